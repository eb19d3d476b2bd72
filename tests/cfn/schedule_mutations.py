"""Mistakes in what sleeps out of hours, and in what lets it sleep."""

from mutations import DELETED, Mutation, add, grant, prop, put, statement

FUNCTION = "schedule/Scheduler"
VARIABLES = f"{FUNCTION}/Environment/Variables"
ROLE = "schedule/SchedulerRole"
CALLS = "schedule/SchedulerSchedule"
ARN = "arn:${AWS::Partition}"
HERE = "${AWS::Region}:${AWS::AccountId}"


def _arn(text: str) -> dict[str, str]:
    return {"Fn::Sub": f"{ARN}:{text}"}


SCHEDULE: tuple[Mutation, ...] = (
    # The templates that would wake what sleeps, or never wake it
    prop("the mapping's state stated", "consumers/ConsumerMapping/Enabled", True),
    prop("the mapping created off", "consumers/ConsumerMapping/Enabled", False),
    prop("the refresher's state stated", "consumers/RefresherSchedule/State", "ENABLED"),
    prop("the metrics' state stated", "consumers/MetricsSchedule/State", "DISABLED"),
    prop("the scheduler itself off", f"{CALLS}/State", "DISABLED"),
    prop("the scheduler's state left out", f"{CALLS}/State", DELETED),
    prop("called once a day", f"{CALLS}/ScheduleExpression", "rate(1 day)"),
    prop("called on working days alone", f"{CALLS}/ScheduleExpression", "cron(0 7 ? * MON-FRI *)"),
    prop("calls that are tried again later", f"{CALLS}/Target/RetryPolicy/MaximumRetryAttempts", 185),
    prop("calls that pile up", "schedule/SchedulerCalls/MaximumEventAgeInSeconds", 21600),
    # Two at once, or the wrong code
    prop("two at once", f"{FUNCTION}/ReservedConcurrentExecutions", 2),
    prop("any number at once", f"{FUNCTION}/ReservedConcurrentExecutions", DELETED),
    prop("another handler", f"{FUNCTION}/Handler", "headwater.schedule.handler.run"),
    prop("another package", f"{FUNCTION}/Code/S3Key", {"Ref": "CodeBucket"}),
    prop("a time limit of seconds", f"{FUNCTION}/Timeout", 3),
    # What it is told
    prop("hours in UTC", f"{VARIABLES}/HEADWATER_SCHEDULE_ZONE", "UTC"),
    prop("from and to exchanged", f"{VARIABLES}/HEADWATER_SCHEDULE_FROM", {"Ref": "To"}),
    prop("no holidays", f"{VARIABLES}/HEADWATER_SCHEDULE_HOLIDAYS", DELETED),
    prop(
        "the refresher's schedule alone",
        f"{VARIABLES}/HEADWATER_SCHEDULE_SCHEDULES",
        {"Fn::Sub": "${Application}-${Environment}-refresher"},
    ),
    prop(
        "the scheduler pauses itself",
        f"{VARIABLES}/HEADWATER_SCHEDULE_SCHEDULES",
        {"Fn::Sub": "${Application}-${Environment}-scheduler"},
    ),
    prop("a producer's function as its mapping", f"{VARIABLES}/HEADWATER_SCHEDULE_MAPPING", "x"),
    put("hours over midnight", "schedule/Parameters/To/AllowedPattern", ".*"),
    put("a zone that is a path", "schedule/Parameters/Zone/AllowedPattern", "[A-Za-z0-9_+./-]+"),
    put("hosts by any id", "schedule/Parameters/HostArns/AllowedPattern", ".*"),
    # Rights
    statement("any database", f"{ROLE}/TurnWarehouse", Resource="*"),
    statement("all databases of the account", f"{ROLE}/TurnWarehouse", Resource=_arn(f"rds:{HERE}:db:*")),
    statement(
        "it may delete the database",
        f"{ROLE}/TurnWarehouse",
        Action=[
            "rds:DescribeDBInstances",
            "rds:StartDBInstance",
            "rds:StopDBInstance",
            "rds:DeleteDBInstance",
        ],
    ),
    statement("any action of RDS", f"{ROLE}/TurnWarehouse", Action="rds:*"),
    statement("any host", f"{ROLE}/TurnHosts", Resource=_arn(f"ec2:{HERE}:instance/*")),
    statement(
        "it may terminate hosts", f"{ROLE}/TurnHosts", Action=["ec2:StartInstances", "ec2:TerminateInstances"]
    ),
    statement("any mapping", f"{ROLE}/TurnConsumer", Resource=_arn(f"lambda:{HERE}:event-source-mapping:*")),
    statement(
        "it may delete the mapping",
        f"{ROLE}/TurnConsumer",
        Action=["lambda:GetEventSourceMapping", "lambda:DeleteEventSourceMapping"],
    ),
    statement("every mapping", f"{ROLE}/TurnConsumer", Resource="*"),
    statement("anybody is the scheduler", f"{ROLE}/LambdaAssumes", Principal={"AWS": "*"}),
    statement("Lambda of any account is the scheduler", f"{ROLE}/LambdaAssumes", Condition=DELETED),
    grant(
        "it stops the stream",
        ROLE,
        {"Effect": "Allow", "Action": "kinesis:UpdateStreamMode", "Resource": "*"},
    ),
    statement("any schedule", f"{ROLE}/TurnSchedules", Resource=_arn(f"scheduler:{HERE}:schedule/*")),
    statement("it passes any role", f"{ROLE}/PassScheduleRoles", Resource="*"),
    statement("it passes roles to any service", f"{ROLE}/PassScheduleRoles", Condition=DELETED),
    statement("it uses the key for itself", f"{ROLE}/GrantVolumeKey", Condition=DELETED),
    statement("it reads what the key encrypts", f"{ROLE}/GrantVolumeKey", Action="kms:Decrypt"),
    grant(
        "it pauses the stream's delivery",
        ROLE,
        {"Effect": "Allow", "Action": "firehose:DeleteDeliveryStream", "Resource": "*"},
    ),
    grant(
        "it pauses producers",
        ROLE,
        {"Effect": "Allow", "Action": "lambda:PutFunctionConcurrency", "Resource": "*"},
    ),
    # Alarms
    prop("nobody hears", "schedule/SchedulerPendingAlarm/AlarmActions", DELETED),
    prop("silent when it does not run", "schedule/SchedulerPendingAlarm/TreatMissingData", "notBreaching"),
    prop("fires every night", "schedule/SchedulerPendingAlarm/EvaluationPeriods", 1),
    prop("another installation's metric", "schedule/SchedulerPendingAlarm/Dimensions/0/Value", "scheduler"),
    add("no alarm on errors", "schedule/SchedulerErrorsAlarm", {"Type": "AWS::SNS::Topic"}),
)
