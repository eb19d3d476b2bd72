"""Mistakes in alarms, dashboards and what belongs to them."""

from __future__ import annotations

from typing import Any

from cfn_templates import Template
from mutations import DELETED, Mutation, add, prop, put

LAG, LATE = "monitoring/LagAlarm", "monitoring/TablesLateAlarm"
LETTERS, WAIT = "monitoring/ConsumerDeadLettersAlarm", "monitoring/DeadLettersWaitAlarm"
ASLEEP = "monitoring/AsleepAlarm"
STORAGE = "monitoring/WarehouseStorageAlarm"
RULE = "monitoring/ReplayFailedRule"
REJECTS, LINES = "alarms/RejectsAlarm", "alarms/CsvProducerErrorLines"
FEED = "feeds/NoFileSchoold64debd942"


def described(name: str, place: str, text: str) -> Mutation:
    """Change the description of an alarm."""
    return prop(name, f"{place}/AlarmDescription", {"Fn::Sub": text})


def redrawn(name: str, template: str, old: str, new: str) -> Mutation:
    """Change the text of a dashboard."""

    def apply(target: Template) -> None:
        properties = target.resources["Dashboard"]["Properties"]
        body: Any = properties["DashboardBody"]["Fn::Sub"]
        text = body if isinstance(body, str) else body[0]
        assert old in text
        changed = text.replace(old, new)
        properties["DashboardBody"] = {"Fn::Sub": changed if isinstance(body, str) else [changed, body[1]]}

    return Mutation(name, template, apply)


ALARM_MUTATIONS: tuple[Mutation, ...] = (
    # Nobody hears it.
    prop("nobody hears of dead letters", f"{LETTERS}/AlarmActions", DELETED),
    prop("an empty list of actions", f"{REJECTS}/AlarmActions", []),
    prop("no word when it is over", f"{LETTERS}/OKActions", DELETED),
    prop("actions switched off", f"{LETTERS}/ActionsEnabled", False),
    prop("another account's topic", f"{REJECTS}/AlarmActions", [{"Fn::Sub": "arn:x:${StreamStack}"}]),
    prop("the composite notifies nobody", f"{LATE}/AlarmActions", DELETED),
    prop("the lag is in no composite", f"{LATE}/AlarmRule", {"Fn::Sub": 'ALARM("${BacklogAlarm}")'}),
    prop("the backlog is in no composite", f"{LATE}/AlarmRule", {"Fn::Sub": 'ALARM("${LagAlarm}")'}),
    prop(
        "both have to be late",
        f"{LATE}/AlarmRule",
        {"Fn::Sub": 'ALARM("${LagAlarm}") AND ALARM("${BacklogAlarm}")'},
    ),
    put("no composite", "monitoring/Resources/TablesLateAlarm", DELETED),
    put("an alarm taken away", "alarms/Resources/RejectsAlarm", DELETED),
    # It sleeps too long.
    prop(
        "silenced by the lag itself",
        f"{LATE}/ActionsSuppressor",
        {"Fn::If": ["HasSchedule", {"Fn::GetAtt": ["LagAlarm", "Arn"]}, {"Ref": "AWS::NoValue"}]},
    ),
    prop("silenced for a day", f"{LATE}/ActionsSuppressorExtensionPeriod", 86_400),
    prop("pages wait for an hour", f"{LATE}/ActionsSuppressorWaitPeriod", 3600),
    prop("a dead scheduler silences", f"{ASLEEP}/TreatMissingData", "breaching"),
    prop("asleep while awake", f"{ASLEEP}/ComparisonOperator", "GreaterThanThreshold"),
    prop("sleep notifies people each night", f"{ASLEEP}/AlarmActions", [{"Ref": "AWS::NoValue"}]),
    put("asleep without a schedule", "monitoring/Resources/AsleepAlarm/Condition", DELETED),
    put("a morning without alarms", "monitoring/Parameters/CatchUpSeconds/MaxValue", 86_400),
    prop(
        "a silent scheduler is no alarm", "monitoring/SchedulerSilentAlarm/TreatMissingData", "notBreaching"
    ),
    prop(
        "half of the retention after five minutes", "consumers/ConsumerBehindHalfAlarm/EvaluationPeriods", 1
    ),
    # It reads another metric.
    prop("a metric of all installations", f"{LAG}/Dimensions", DELETED),
    prop("the short name of the function", f"{LAG}/Dimensions/0/Value", "metrics"),
    prop(
        "the lag of batches",
        f"{LAG}/Dimensions/0/Value",
        {"Fn::Sub": "${Application}-${Environment}-consumer"},
    ),
    prop("the dimension of Lambda", f"{LAG}/Dimensions/0/Name", "FunctionName"),
    prop("another namespace", f"{LETTERS}/Namespace", "AWS/Lambda"),
    prop("a metric that nobody writes", f"{REJECTS}/MetricName", "Rejected"),
    prop("the stream by its ARN", "monitoring/WritesThrottledAlarm/Dimensions/0/Name", "StreamARN"),
    prop("another instance", f"{STORAGE}/Metrics/1/MetricStat/Metric/Dimensions/0/Value", "warehouse"),
    prop("all feeds", f"{FEED}/Metrics/1/MetricStat/Metric/Dimensions/1", DELETED),
    prop("another feed", f"{FEED}/Metrics/1/MetricStat/Metric/Dimensions/1/Value", "schools"),
    # It measures wrongly.
    prop("the best minute of a count", f"{LETTERS}/Statistic", "Minimum"),
    prop("one late minute", f"{LAG}/Statistic", "Maximum"),
    prop("bytes for GiB", f"{STORAGE}/Metrics/0/Expression", "bytes / 1"),
    prop("milliseconds for per cent", "monitoring/ConsumerSlowAlarm/Metrics/0/Expression", "duration / 1000"),
    prop("compares the metric itself", f"{STORAGE}/Metrics/1/ReturnData", True),
    prop("no file counts as a file", f"{FEED}/Metrics/0/Expression", "FILL(files, 1)"),
    prop("a feed without data is fine", f"{FEED}/TreatMissingData", "notBreaching"),
    prop("a feed by its average", f"{FEED}/Metrics/1/MetricStat/Stat", "Average"),
    prop("unmeasured lag is fine", f"{LAG}/TreatMissingData", "notBreaching"),
    prop("no letters is an alarm", f"{LETTERS}/TreatMissingData", "breaching"),
    prop("missing data is missing", f"{REJECTS}/TreatMissingData", DELETED),
    prop("letters are forgotten each night", f"{WAIT}/TreatMissingData", "notBreaching"),
    prop("letters at every hour of the day", f"{WAIT}/DatapointsToAlarm", 24),
    # Thresholds and times.
    prop("a tenth letter", f"{LETTERS}/Threshold", 10),
    prop("at the threshold", f"{REJECTS}/ComparisonOperator", "GreaterThanOrEqualToThreshold"),
    prop("beyond the retention", "consumers/ConsumerBehindMostAlarm/Threshold", 604_800_001),
    prop("a lag of ever", f"{LAG}/Threshold", 10**9),
    prop("longer than a day of minutes", f"{LAG}/EvaluationPeriods", 289),
    prop("longer than a week of hours", f"{FEED}/EvaluationPeriods", 169),
    prop("periods of seconds", f"{LETTERS}/Period", 10),
    prop("CPU for five minutes", "monitoring/WarehouseCpuAlarm/EvaluationPeriods", 1),
    put("an alarm at full storage", "monitoring/Parameters/FreeGibibytes/MinValue", 0),
    put("late after a day", "alarms/Parameters/LateSeconds/MaxValue", 86_400),
    # What a person reads.
    described(
        "no instruction", LETTERS, "Dead letters. Runbook: ${RunbookUrl}/alarms.md#consumer-dead-letters"
    ),
    described("no runbook", LETTERS, "x" * 100),
    described(
        "the runbook of another alarm", LETTERS, "x" * 100 + " Runbook: ${RunbookUrl}/alarms.md#rejects"
    ),
    described("a link that leads nowhere", REJECTS, "x" * 100 + " Runbook: docs/alarms.md#rejects"),
    described(
        "a text that CloudWatch refuses", REJECTS, "x" * 1100 + " Runbook: ${RunbookUrl}/alarms.md#rejects"
    ),
    put("a URL that ends with a slash", "monitoring/Parameters/RunbookUrl/AllowedPattern", ".+"),
    put("any address", "alarms/Parameters/AlarmEmail/AllowedPattern", ".*"),
    # Filters, events, subscriptions, dashboards.
    prop("errors of another function", f"{LINES}/LogGroupName", "/aws/lambda/consumer"),
    prop("warnings as errors", f"{LINES}/FilterPattern", '{ $.level = "WARNING" }'),
    prop("any text with ERROR", f"{LINES}/FilterPattern", "ERROR"),
    prop("a filter that counts nothing", f"{LINES}/MetricTransformations/0/MetricValue", "0"),
    prop("a filter of all installations", f"{LINES}/MetricTransformations/0/MetricName", "csv-producer"),
    prop("every task of the account", f"{RULE}/EventPattern/detail/clusterArn", DELETED),
    prop("tasks that start", f"{RULE}/EventPattern/detail/lastStatus/0", "RUNNING"),
    prop("only exit code 1", f"{RULE}/EventPattern/detail/$or/0/containers/exitCode", [1]),
    prop("tasks that never start", f"{RULE}/EventPattern/detail/$or/1", DELETED),
    prop("a rule that sleeps", f"{RULE}/State", "DISABLED"),
    prop("a target without permission", f"{RULE}/Targets", [{"Id": "a", "Arn": {"Ref": "Topic"}}]),
    prop("mail to someone else", "monitoring/AlarmSubscription/Endpoint", "someone@example.com"),
    prop("a web hook", "alarms/AlarmSubscription/Protocol", "http"),
    put("a subscription without an address", "alarms/Resources/AlarmSubscription/Condition", DELETED),
    redrawn("a metric without a writer", "monitoring", '"Backlog"', '"Waiting"'),
    redrawn("the dimension of another service", "monitoring", "DeliveryStreamName", "StreamName"),
    redrawn(
        "another installation", "alarms", "${Application}-${Environment}-csv-producer", "other-csv-producer"
    ),
    redrawn("a region", "alarms", "${AWS::Region}", "eu-west-2"),
    redrawn("widgets on each other", "monitoring", '"x": 12', '"x": 0'),
    put("no dashboard", "alarms/Resources/Dashboard", DELETED),
    add(
        "an alarm that nobody reviewed",
        "alarms/Extra",
        {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "x", "AlarmDescription": "y"}},
    ),
)
