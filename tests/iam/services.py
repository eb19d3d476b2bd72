"""Calls that no test can observe: what AWS makes for a deployment, and what its administrators do.

Each has the page of AWS that says which permission it needs. They are derived from the resources, so that a
new mapping, log group or schedule has its calls here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from iam.deployment import Deployment, Holder
from iam.judge import INSIDE, OUTSIDE, Request, context_of, origin
from iam.templates import Resource

DOCS = "https://docs.aws.amazon.com/"
ADMINISTRATOR = "Administrator"
"""Role of each account that may do everything that its policies can allow: it deploys, and corrects."""


class ServiceCall(NamedTuple):
    """A request, and the page that it is taken from."""

    request: Request
    page: str


def service_calls(deployment: Deployment) -> list[ServiceCall]:
    """Return everything that AWS calls with the roles and by the resource policies of a deployment."""
    makers = ((_MAKERS.get(resource.type), resource) for resource in deployment.resources)
    return [call for make, resource in makers if make for call in make(resource, deployment)]


def administrator(account: str) -> str:
    return f"arn:aws:sts::{account}:assumed-role/{ADMINISTRATOR}/someone"


def _by(
    principal: str, actions: str, resource: str, deployment: Deployment, page: str, **context: str
) -> Iterator[ServiceCall]:
    """Yield requests of a principal; `context`: names with `__` for the colon."""
    holder = deployment.holder_of(resource)
    account = holder.account if holder else resource.split(":")[4] if resource != "*" else ""
    caller = principal.split(":")[4] if principal.startswith("arn:") else ""
    address = INSIDE if f"/{ADMINISTRATOR}/" in principal else None if not caller else OUTSIDE
    values: dict[str, str | None] = {"aws:SecureTransport": "true", **origin(principal, address)}
    if caller:
        values |= {"aws:PrincipalAccount": caller}
    values |= {name.replace("__", ":", 1): value for name, value in context.items()}
    for action in actions.split():
        request = Request(principal, action, resource, account or caller, context_of(values))
        yield ServiceCall(request, DOCS + page)


def _session(role: str, name: str = "service") -> str:
    return f"arn:aws:sts::{role.split(':')[4]}:assumed-role/{role.rpartition('/')[2]}/{name}"


def _via(
    principal: str, actions: str, holder: Holder | None, deployment: Deployment, page: str, **encryption: str
) -> Iterator[ServiceCall]:
    """Yield the calls to KMS of a service that acts for a role: `encryption` names the service's context."""
    if holder is None or holder.key is None:
        return
    service = holder.arn.split(":")[2]
    context = {f"kms__EncryptionContext:{name}": value for name, value in encryption.items()}
    via = {
        "kms__ViaService": f"{service}.{holder.key.split(':')[3]}.amazonaws.com",
        "aws__ViaAWSService": "true",
    }
    yield from _by(principal, actions, holder.key, deployment, page, **via, **context)


def _assume(
    service: str, role: str, deployment: Deployment, page: str, source: str | None = None
) -> Iterator[ServiceCall]:
    context = {"aws__SourceAccount": role.split(":")[4]}
    if source:
        context["aws__SourceArn"] = source
    yield from _by(service, "sts:AssumeRole", role, deployment, page, **context)


# Lambda


def _function(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    role = resource.properties["Role"]
    page = "lambda/latest/dg/lambda-intro-execution-role.html"
    yield from _assume("lambda.amazonaws.com", role, deployment, page)
    group = resource.properties["LoggingConfig"]["LogGroup"]
    stream = f"arn:aws:logs:{resource.region}:{resource.account}:log-group:{group}:log-stream:1"
    page = "lambda/latest/dg/monitoring-cloudwatchlogs.html"
    yield from _by(_session(role), "logs:CreateLogStream logs:PutLogEvents", stream, deployment, page)
    if "VpcConfig" in resource.properties:
        yield from _interfaces(resource, deployment)


def _interfaces(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    page = "lambda/latest/dg/configuration-vpc.html"
    session, place = _session(resource.properties["Role"]), f"{resource.region}:{resource.account}"
    interface = f"arn:aws:ec2:{place}:network-interface/eni-1"
    actions = (
        "ec2:AssignPrivateIpAddresses ec2:CreateNetworkInterface ec2:DeleteNetworkInterface "
        "ec2:UnassignPrivateIpAddresses"
    )
    yield from _by(session, actions, interface, deployment, page)
    for other in ("subnet/subnet-12345678", "security-group/sg-12345678"):
        arn = f"arn:aws:ec2:{place}:{other}"
        yield from _by(session, "ec2:CreateNetworkInterface", arn, deployment, page)
    yield from _by(session, "ec2:DescribeNetworkInterfaces ec2:DescribeSubnets", "*", deployment, page)


def _mapping(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    source = resource.properties["EventSourceArn"]
    function = deployment.one("AWS::Lambda::Function", resource.properties["FunctionName"])
    session = _session(function.properties["Role"])
    service = source.split(":")[2]
    actions, page = _POLLS[service]
    yield from _by(session, actions, source, deployment, page)
    if service == "dynamodb":
        yield from _by(session, "dynamodb:ListStreams", source, deployment, page)
    holder = deployment.holder_of(source.partition("/stream/")[0])
    name = {"sqs": "aws:sqs:arn", "kinesis": "aws:kinesis:arn"}.get(service)
    encryption = {name: source} if name else {}
    yield from _via(session, "kms:Decrypt", holder, deployment, page, **encryption)


_POLLS = {
    "sqs": (
        "sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "lambda/latest/dg/services-sqs-configure.html",
    ),
    "kinesis": (
        "kinesis:DescribeStream kinesis:DescribeStreamSummary kinesis:GetRecords kinesis:GetShardIterator "
        "kinesis:ListShards",
        "lambda/latest/dg/services-kinesis-create.html",
    ),
    "dynamodb": (
        "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator",
        "lambda/latest/dg/services-dynamodb-eventsourcemapping.html",
    ),
}

# Firehose, S3, SQS


def _delivery(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    page, properties = "firehose/latest/dev/controlling-access.html", resource.properties
    role = properties["KinesisStreamSourceConfiguration"]["RoleARN"]
    stream = properties["KinesisStreamSourceConfiguration"]["KinesisStreamARN"]
    destination = properties["ExtendedS3DestinationConfiguration"]
    bucket, session = destination["BucketARN"], _session(role)
    yield from _assume("firehose.amazonaws.com", role, deployment, page, resource.arn)
    reads = "kinesis:DescribeStream kinesis:GetRecords kinesis:GetShardIterator kinesis:ListShards"
    yield from _by(session, reads, stream, deployment, page)
    holder = deployment.holder_of(stream)
    yield from _via(session, "kms:Decrypt", holder, deployment, page, **{"aws:kinesis:arn": stream})
    lists = "s3:GetBucketLocation s3:ListBucket s3:ListBucketMultipartUploads"
    yield from _by(session, lists, bucket, deployment, page)
    for prefix in (destination["Prefix"], destination["ErrorOutputPrefix"]):
        key = f"{bucket}/{prefix}2026/01/01/00/1"
        writes = "s3:AbortMultipartUpload s3:GetObject s3:PutObject"
        yield from _by(session, writes, key, deployment, page)
        yield from _via(
            session,
            "kms:Decrypt kms:GenerateDataKey",
            deployment.holder_of(bucket),
            deployment,
            page,
            **{"aws:s3:arn": key},
        )
    logging = destination["CloudWatchLoggingOptions"]
    group = f"arn:aws:logs:{resource.region}:{resource.account}:log-group:{logging['LogGroupName']}"
    log_stream = f"{group}:log-stream:{logging['LogStreamName']}"
    yield from _by(session, "logs:PutLogEvents", log_stream, deployment, page)


def _bucket(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    """Yield what S3 sends: notifications to queues, access logs and replicas to other buckets."""
    source = {"aws__SourceAccount": resource.account, "aws__SourceArn": resource.arn}
    notifications = resource.properties.get("NotificationConfiguration", {})
    page = "AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html"
    for queue in {each["Queue"] for each in notifications.get("QueueConfigurations", ())}:
        yield from _by("s3.amazonaws.com", "sqs:SendMessage", queue, deployment, page, **source)
        holder = deployment.holder_of(queue)
        if holder and holder.key:
            actions = "kms:Decrypt kms:GenerateDataKey"
            yield from _by("s3.amazonaws.com", actions, holder.key, deployment, page, **source)
    logging = resource.properties.get("LoggingConfiguration")
    if logging:
        page = "AmazonS3/latest/userguide/enable-server-access-logging.html"
        key = f"arn:aws:s3:::{logging['DestinationBucketName']}/{logging.get('LogFilePrefix', '')}1"
        yield from _by("logging.s3.amazonaws.com", "s3:PutObject", key, deployment, page, **source)
    replication = resource.properties.get("ReplicationConfiguration")
    for rule in replication["Rules"] if replication else ():
        yield from _replication(resource, replication["Role"], rule, deployment)


def _replication(
    resource: Resource, role: str, rule: Mapping[str, Any], deployment: Deployment
) -> Iterator[ServiceCall]:
    """Yield what S3 calls to replicate an object, its tags and its retention to another bucket."""
    page, session = "AmazonS3/latest/userguide/setting-repl-config-perm-overview.html", _session(role)
    replica, name = rule["Destination"]["Bucket"], f"{rule['Filter']['Prefix']}/2026/01/01/00/1"
    yield from _assume("s3.amazonaws.com", role, deployment, page)
    lists = "s3:GetReplicationConfiguration s3:ListBucket"
    yield from _by(session, lists, resource.arn, deployment, page)
    reads = "s3:GetObjectVersionAcl s3:GetObjectVersionForReplication s3:GetObjectVersionTagging"
    yield from _by(session, reads, f"{resource.arn}/{name}", deployment, page)
    writes = "s3:ReplicateObject s3:ReplicateTags"
    yield from _by(session, writes, f"{replica}/{name}", deployment, page)
    page = "AmazonS3/latest/userguide/object-lock-managing.html"
    locks = "s3:GetObjectLegalHold s3:GetObjectRetention"
    yield from _by(session, locks, f"{resource.arn}/{name}", deployment, page)
    page = "AmazonS3/latest/userguide/replication-config-for-kms-objects.html"
    for action, bucket in (("kms:Decrypt", resource.arn), ("kms:Encrypt", replica)):
        context = {"aws:s3:arn": f"{bucket}/{name}"}
        yield from _via(session, action, deployment.holder_of(bucket), deployment, page, **context)


# RDS, EC2


def _database(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    """Yield what the monitoring of a database's operating system calls."""
    role, page = (
        resource.properties["MonitoringRoleArn"],
        "AmazonRDS/latest/UserGuide/USER_Monitoring.OS.Enabling.html",
    )
    yield from _assume("monitoring.rds.amazonaws.com", role, deployment, page, resource.arn)
    group = f"arn:aws:logs:{resource.region}:{resource.account}:log-group:RDSOSMetrics"
    session = _session(role)
    yield from _by(session, "logs:CreateLogGroup logs:PutRetentionPolicy", group, deployment, page)
    writes = "logs:CreateLogStream logs:DescribeLogStreams logs:GetLogEvents logs:PutLogEvents"
    yield from _by(session, writes, f"{group}:log-stream:1", deployment, page)


def _host(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    """Yield what the agent of Session Manager calls with the role of its host."""
    page = "systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html"
    profile = deployment.one("AWS::IAM::InstanceProfile", resource.properties["IamInstanceProfile"])
    place = f"{resource.region}:{resource.account}"
    role = f"arn:aws:iam::{resource.account}:role/{profile.properties['Roles'][0]}"
    yield from _by("ec2.amazonaws.com", "sts:AssumeRole", role, deployment, page)
    session = _session(role)
    host = f"arn:aws:ec2:{place}:instance/i-12345678"
    yield from _by(session, "ssm:UpdateInstanceInformation", host, deployment, page)
    channels = "ssmmessages:{0}ControlChannel ssmmessages:{0}DataChannel"
    for action in ("Create", "Open"):
        yield from _by(session, channels.format(action), "*", deployment, page)
    yield from _by(session, "logs:DescribeLogGroups", "*", deployment, page)
    (group,) = (
        each.arn for each in deployment.resources if each.stack == resource.stack and "LogGroup" in each.type
    )
    yield from _by(session, "logs:DescribeLogStreams", group, deployment, page)
    stream = f"{group.removesuffix(':*')}:log-stream:1"
    yield from _by(session, "logs:CreateLogStream logs:PutLogEvents", stream, deployment, page)


# CloudWatch, Scheduler, ECS


def _alarm(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    source = {"aws__SourceAccount": resource.account}
    for topic in {*resource.properties.get("AlarmActions", ()), *resource.properties.get("OKActions", ())}:
        page = "sns/latest/dg/sns-access-policy-use-cases.html"
        yield from _by("cloudwatch.amazonaws.com", "sns:Publish", topic, deployment, page, **source)
        holder = deployment.holder_of(topic)
        if holder and holder.key:
            page = "sns/latest/dg/sns-key-management.html"
            actions = "kms:Decrypt kms:GenerateDataKey"
            yield from _by("cloudwatch.amazonaws.com", actions, holder.key, deployment, page, **source)


def _log_group(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    holder = deployment.holder_of(resource.arn)
    if holder and holder.key:
        page = "AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
        actions = "kms:Decrypt kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom"
        context = {"kms__EncryptionContext:aws:logs:arn": resource.arn.removesuffix(":*")}
        service = f"logs.{resource.region}.amazonaws.com"
        yield from _by(service, actions, holder.key, deployment, page, **context)


def _schedule(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    target = resource.properties["Target"]
    page = "scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html"
    group = f"arn:aws:scheduler:{resource.region}:{resource.account}:schedule-group/default"
    yield from _assume("scheduler.amazonaws.com", target["RoleArn"], deployment, page, group)
    page = "scheduler/latest/UserGuide/managing-targets-templated.html"
    session = _session(target["RoleArn"])
    yield from _by(session, "lambda:InvokeFunction", target["Arn"], deployment, page)


def _task(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    start, role = resource.properties["ExecutionRoleArn"], resource.properties["TaskRoleArn"]
    page = "AmazonECS/latest/developerguide/task-iam-roles.html"
    place = f"{resource.region}:{resource.account}"
    for assumed in (start, role):
        source = f"arn:aws:ecs:{place}:task/1"
        yield from _assume("ecs-tasks.amazonaws.com", assumed, deployment, page, source)
    page, session = "AmazonECS/latest/developerguide/task_execution_IAM_role.html", _session(start)
    (container,) = resource.properties["ContainerDefinitions"]
    yield from _by(session, "ecr:GetAuthorizationToken", "*", deployment, page)
    repository = f"arn:aws:ecr:{place}:repository/{container['Image'].partition('/')[2].partition('@')[0]}"
    pulls = "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetDownloadUrlForLayer"
    yield from _by(session, pulls, repository, deployment, page)
    group = container["LogConfiguration"]["Options"]["awslogs-group"]
    stream = f"arn:aws:logs:{place}:log-group:{group}:log-stream:1"
    yield from _by(session, "logs:CreateLogStream logs:PutLogEvents", stream, deployment, page)


# Networks


def _flow_log(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    page, role = (
        "vpc/latest/userguide/flow-logs-iam-role.html",
        resource.properties["DeliverLogsPermissionArn"],
    )
    place = f"{resource.region}:{resource.account}"
    source = f"arn:aws:ec2:{place}:vpc-flow-log/fl-1"
    yield from _assume("vpc-flow-logs.amazonaws.com", role, deployment, page, source)
    group = f"arn:aws:logs:{place}:log-group:{resource.properties['LogGroupName']}"
    writes = "logs:CreateLogStream logs:PutLogEvents"
    yield from _by(_session(role), writes, f"{group}:log-stream:1", deployment, page)
    yield from _by(_session(role), "logs:DescribeLogStreams", f"{group}:*", deployment, page)
    yield from _by(_session(role), "logs:DescribeLogGroups", "*", deployment, page)


def _peering(resource: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    """Yield what CloudFormation calls for whoever deploys the peering: it accepts in the other account."""
    page, properties = (
        "AWSCloudFormation/latest/UserGuide/peer-with-vpc-in-another-account.html",
        resource.properties,
    )
    place = f"{resource.region}:{properties['PeerOwnerId']}"
    (role,) = (one.arn for one in deployment.resources if one.logical == "PeeringRole")
    yield from _by(administrator(resource.account), "sts:AssumeRole", role, deployment, page)
    accept = "ec2:AcceptVpcPeeringConnection"
    vpc = f"arn:aws:ec2:{place}:vpc/{properties['PeerVpcId']}"
    yield from _by(_session(role), accept, vpc, deployment, page)
    connection = f"arn:aws:ec2:{place}:vpc-peering-connection/pcx-1"
    requester = f"arn:aws:ec2:{resource.region}:{resource.account}:vpc/vpc-12345678"
    yield from _by(_session(role), accept, connection, deployment, page, ec2__RequesterVpc=requester)


_MAKERS: Mapping[str, Callable[[Resource, Deployment], Iterator[ServiceCall]]] = {
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::EventSourceMapping": _mapping,
    "AWS::KinesisFirehose::DeliveryStream": _delivery,
    "AWS::S3::Bucket": _bucket,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::ECS::TaskDefinition": _task,
    "AWS::EC2::FlowLog": _flow_log,
    "AWS::EC2::VPCPeeringConnection": _peering,
    "AWS::RDS::DBInstance": _database,
    "AWS::EC2::Instance": _host,
}

# Administrators


def administrators_calls(deployment: Deployment) -> Iterator[ServiceCall]:
    """Yield what the administrators of each account do with what holds data."""
    for resource in deployment.resources:
        if resource.type == "AWS::KinesisFirehose::DeliveryStream":
            yield from _restored_schemas(resource, deployment)
        actions, suffix, page = _ADMINISTERED.get(resource.type, ("", "", ""))
        arn, person = resource.arn + suffix, administrator(resource.account)
        yield from _by(person, actions, arn, deployment, page)
        # Another deployment from anywhere, such as one that corrects the firm's ranges.
        page, outside = "IAM/latest/UserGuide/access_forward_access_sessions.html", {"aws__SourceIp": OUTSIDE}
        actions = _DEPLOYED.get(resource.type, "")
        yield from _by(person, actions, resource.arn, deployment, page, aws__ViaAWSService="true", **outside)


def _restored_schemas(delivery: Resource, deployment: Deployment) -> Iterator[ServiceCall]:
    """Yield the upload of a schema to the log, whole and in parts: a part has no precondition."""
    bucket = delivery.properties["ExtendedS3DestinationConfiguration"]["BucketARN"]
    person, key = administrator(delivery.account), f"{bucket}/log/_schemas/1"
    page = "AmazonS3/latest/userguide/conditional-writes-enforce.html"
    whole = {"s3__if-none-match": "*", "s3__ObjectCreationOperation": "true"}
    yield from _by(person, "s3:PutObject", key, deployment, page, **whole)
    yield from _by(person, "s3:PutObject", key, deployment, page, s3__ObjectCreationOperation="false")


_DEPLOYED = {
    "AWS::S3::Bucket": "s3:PutBucketPolicy s3:PutLifecycleConfiguration",
    "AWS::KMS::Key": "kms:DisableKey kms:PutKeyPolicy",
    "AWS::SecretsManager::Secret": "secretsmanager:PutResourcePolicy",
}
"""What CloudFormation calls for a person who deploys."""
_ADMINISTERED: Mapping[str, tuple[str, str, str]] = {
    "AWS::KMS::Key": (
        "kms:CreateGrant kms:DisableKey kms:PutKeyPolicy kms:ScheduleKeyDeletion",
        "",
        "kms/latest/developerguide/key-policy-default.html",
    ),
    "AWS::S3::Bucket": ("s3:PutObject s3:GetObject", "/any", "AmazonS3/latest/userguide/security-iam.html"),
    "AWS::SQS::Queue": (
        "sqs:StartMessageMoveTask",
        "",
        "AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html",
    ),
    "AWS::SecretsManager::Secret": (
        "secretsmanager:GetSecretValue secretsmanager:PutSecretValue",
        "",
        "secretsmanager/latest/userguide/auth-and-access_resource-policies.html",
    ),
    "AWS::SNS::Topic": ("sns:Publish", "", "sns/latest/dg/sns-access-policy-use-cases.html"),
}
