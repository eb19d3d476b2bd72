"""What roles may do: exact actions on exact resources, and who may assume them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from cfn_templates import Json, Statement, Template, World, conditions, differences, listed, statements, text

from template_rules import log_replica

S3_READ = {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"}
LISTED = ""
"""In place of a prefix: the bucket itself."""

OBJECTS: dict[str, dict[str, dict[str, set[str]]]] = {
    "producers": {
        "${SourceStack:SourceBucketName}": {
            LISTED: {"s3:ListBucket", "s3:ListBucketVersions"},
            "drop/": S3_READ | {"s3:DeleteObjectVersion"},
            "corrections/": S3_READ | {"s3:DeleteObjectVersion"},
            "archive/": {"s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"},
            "rejects/": {"s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"},
            "progress/": {"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObjectVersion"},
            "registers/": {"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObjectVersion"},
            "drift/": {"s3:PutObject"},
            "hash-keys/": {"s3:GetObject", "s3:PutObject"},
            "dead-letters/csv/": {"s3:PutObject"},
            "dead-letters/dynamodb/": {"s3:PutObject"},
            "dead-letters/": {"s3:GetObject", "s3:PutObject"},
        },
        # Producers never read the log.
        "${LogBucketName}": {"log/_schemas/": {"s3:PutObject"}},
    },
    "stream": {
        "${LogBucket.Arn}": {
            LISTED: {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
            "log/": {"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"},
            "log-errors/": {"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"},
        },
    },
    "consumers": {
        "${StreamStack:LogBucketName}": {
            LISTED: {"s3:ListBucket"},
            "log/_schemas/": {"s3:GetObject"},
            "dead-letters/consumer/": {"s3:GetObject", "s3:PutObject"},
        },
    },
    "replay": {
        "${StreamStack:LogBucketName}": {
            LISTED: {"s3:ListBucket"},
            "log/": {"s3:GetObject"},
            "log-errors/": {"s3:GetObject"},
        },
    },
}
"""By template, bucket and prefix: the actions on objects that some role needs."""

KINESIS_READ = {
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
ARN = "arn:${AWS::Partition}"
HERE = "${AWS::Region}:${AWS::AccountId}"
FORWARDING = "AWS-StartPortForwardingSessionToRemoteHost"
VIA = "{}.${{AWS::Region}}.${{AWS::URLSuffix}}"

KEYS = {
    "${StreamKeyArn}": {"kinesis"},
    "${LogKeyArn}": {"s3"},
    "${SourceStack:SourceKeyArn}": {"s3", "sqs", "dynamodb"},
    "${HashSecretKeyArn}": {"secretsmanager"},
    "${WarehouseSecretKeyArn}": {"secretsmanager"},
    "${StreamStack:StreamKeyArn}": {"kinesis"},
    "${StreamStack:LogKeyArn}": {"s3"},
    "${StreamKey.Arn}": {"kinesis"},
    "${LogKey.Arn}": {"s3"},
    "arn:aws:kms:eu-west-2:000000000000:key/0": {"dynamodb"},  # the key of a table in the rendered template
}
"""The services through which a role may use a key."""
DECRYPTED_ONLY = {
    "${StreamStack:StreamKeyArn}",
    "${StreamKey.Arn}",
    "${HashSecretKeyArn}",
    "${WarehouseSecretKeyArn}",
}
ENCRYPTED_ONLY = {"${StreamKeyArn}", "${LogKeyArn}"}
"""Keys of the reporting account: source accounts cannot read what they wrote."""

REFRESHER_SECRET = text(
    {"Fn::If": ["HasRefresherSecret", {"Ref": "RefresherSecretArn"}, {"Ref": "WarehouseSecretArn"}]}
)
METRICS = f"{ARN}:logs:{HERE}:log-group:RDSOSMetrics"
OTHERS: dict[str, dict[str, set[str]]] = {
    "warehouse": {
        re.escape(METRICS): {"logs:CreateLogGroup", "logs:PutRetentionPolicy"},
        re.escape(f"{METRICS}:log-stream:*"): LOGS | {"logs:DescribeLogStreams", "logs:GetLogEvents"},
    },
    "workbench": {
        re.escape(f"{ARN}:ec2:{HERE}:instance/*"): {"ssm:UpdateInstanceInformation"},
        r"\*": {
            "logs:DescribeLogGroups",
            *(f"ssmmessages:{do}{what}Channel" for do in ("Create", "Open") for what in ("Control", "Data")),
        },
        r"\$\{SessionLogGroup\.Arn\}": LOGS | {"logs:DescribeLogStreams"},
        re.escape(f"{ARN}:ec2:{HERE}:instance/${{Workbench}}"): {"ssm:StartSession"},
        re.escape(f"{ARN}:ssm:${{AWS::Region}}::document/{FORWARDING}"): {"ssm:StartSession"},
        re.escape(f"{ARN}:ssm:{HERE}:session/*"): {"ssm:ResumeSession", "ssm:TerminateSession"},
        re.escape(f"{ARN}:ssm:{HERE}:session/${{aws:userid}}-*"): {"ssmmessages:OpenDataChannel"},
    },
    "producers": {
        r"\$\{StreamArn\}": {"kinesis:ListShards", "kinesis:PutRecords"},
        r"\$\{StreamRoleArn\}": {"sts:AssumeRole"},
        r"\$\{HashSecretArn\}": {"secretsmanager:GetSecretValue"},
        r"\$\{SourceStack:QueueArn\}": {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
        r"\$\{\w+LogGroup\.Arn\}": LOGS,
    },
    "stream": {
        r"\$\{EventStream\.Arn\}": KINESIS_READ - {"kinesis:DescribeStreamSummary"}
        | {"kinesis:DescribeStream"},
        re.escape(f"{ARN}:logs:{HERE}:log-group:/aws/kinesisfirehose/")
        + r"\$\{Application\}-\$\{Environment\}-events-to-log:log-stream:delivery": {"logs:PutLogEvents"},
        **{re.escape(resource): actions for resource, actions in log_replica.NEEDS.items()},
    },
    "consumers": {
        r"\$\{StreamStack:StreamArn\}": KINESIS_READ | {"kinesis:DescribeStream"},
        r"\$\{WarehouseSecretArn\}": {"secretsmanager:GetSecretValue"},
        re.escape(REFRESHER_SECRET): {"secretsmanager:GetSecretValue"},
        r"\$\{\w+LogGroup\.Arn\}": LOGS,
        r"\$\{(Refresher|Metrics)\.Arn\}": {"lambda:InvokeFunction"},
        re.escape(f"{ARN}:ec2:{HERE}:") + r"(network-interface|security-group|subnet)/\*": {
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:UnassignPrivateIpAddresses",
        },
        # AWS allows nothing else than all resources for the actions on `*`, here and below.
        r"\*": {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"},
    },
    "schedule": {
        re.escape(f"{ARN}:rds:{HERE}:db:${{WarehouseInstanceId}}"): {
            "rds:DescribeDBInstances",
            "rds:StartDBInstance",
            "rds:StopDBInstance",
        },
        r"\*": {"ec2:DescribeInstances"},
        r"\$\{HostArns\}": {"ec2:StartInstances", "ec2:StopInstances"},
        r"\$\{HostKeyArn\}": {"kms:CreateGrant"},
        re.escape(f"{ARN}:lambda:{HERE}:event-source-mapping:${{ConsumersStack:ConsumerMappingId}}"): {
            "lambda:GetEventSourceMapping",
            "lambda:UpdateEventSourceMapping",
        },
        re.escape(f"{ARN}:scheduler:{HERE}:schedule/default/${{Application}}-${{Environment}}-")
        + "(refresher|metrics)": {"scheduler:GetSchedule", "scheduler:UpdateSchedule"},
        r"\$\{ConsumersStack:(Refresher|Metrics)ScheduleRoleArn\}": {"iam:PassRole"},
        r"\$\{SchedulerLogGroup\.Arn\}": LOGS,
        r"\$\{Scheduler\.Arn\}": {"lambda:InvokeFunction"},
    },
    "replay": {
        r"\$\{StreamStack:StreamArn\}": KINESIS_READ,
        r"\$\{WarehouseSecretArn\}": {"secretsmanager:GetSecretValue"},
        r"\$\{\w+LogGroup\.Arn\}": LOGS,
        re.escape(f"{ARN}:ecr:{HERE}:repository/${{RepositoryName}}"): {
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        },
        r"\*": {"ecr:GetAuthorizationToken"},
    },
    "network": {
        r"\$\{FlowLogGroup\.Arn\}": LOGS | {"logs:DescribeLogStreams"},
        r"\*": {"logs:DescribeLogGroups"},
    },
    "replicas": {
        re.escape(f"{ARN}:ec2:{HERE}:vpc/${{SourceVpcId}}"): {"ec2:AcceptVpcPeeringConnection"},
        re.escape(f"{ARN}:ec2:{HERE}:vpc-peering-connection/*"): {"ec2:AcceptVpcPeeringConnection"},
    },
    "tables": {
        r"\$\{Stream\w+\}": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
        re.escape(f"{ARN}:dynamodb:{HERE}:table/") + r"[\w.-]+/stream/\*": {"dynamodb:ListStreams"},
    },
    "tables-created": {
        r"\$\{Table\w+\.StreamArn\}": {
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
        },
        re.escape(f"{ARN}:dynamodb:{HERE}:table/") + r"[\w.-]+/stream/\*": {"dynamodb:ListStreams"},
    },
}
"""By template and pattern of a resource: the actions that some role needs."""

_OBJECT = re.compile(r"(?:arn:\$\{AWS::Partition\}:s3:::)?(\$\{[\w:.]+\})(?:/(.*)\*)?")


def exact_actions(world: World) -> Iterator[str]:
    """Statements of roles that are no plain permission of exact actions."""
    for statement in _identity(world):
        keys = {"Sid", "Effect", "Action", "Resource", "Condition"}
        if set(statement.body) - keys or not {"Sid", "Effect", "Action", "Resource"} <= set(statement.body):
            yield f"{statement.where}: has {sorted(statement.body)}"
        if statement.body.get("Effect") != "Allow":
            yield f"{statement.where}: its effect is {statement.body.get('Effect')}"
        if not re.fullmatch(r"([A-Z][a-z]+)+", statement.sid):
            yield f"{statement.where}: needs a Sid that says what for"
        for action in statement.actions:
            if not isinstance(action, str) or not re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action):
                yield f"{statement.where}: {action} is not one action"


def exact_resources(world: World) -> Iterator[str]:
    """Actions on resources that no role is known to need."""
    for statement in _identity(world):
        for resource in statement.resources:
            unknown = {*statement.actions} - _needed(statement.template, resource)
            if unknown:
                yield f"{statement.where}: {sorted(unknown)} on {resource}"


def _needed(template: str, resource: str) -> set[str]:
    """Return the actions on a resource that some role of the template needs."""
    if resource in KEYS:
        allowed = {"kms:Decrypt", "kms:GenerateDataKey"}
        allowed -= {"kms:GenerateDataKey"} if resource in DECRYPTED_ONLY else set()
        return allowed - ({"kms:Decrypt"} if resource in ENCRYPTED_ONLY else set())
    for pattern, actions in OTHERS.get(template, {}).items():
        if re.fullmatch(pattern, resource):
            return actions
    match = _OBJECT.fullmatch(resource)
    buckets = OBJECTS.get(template, {})
    return buckets.get(match[1], {}).get(match[2] or LISTED, set()) if match else set()


def granted(world: World) -> Iterator[str]:
    """Actions on resources that some role needs, and that no role has."""
    for name, needed in OTHERS.items():
        if name not in world:
            continue
        found: dict[str, set[str]] = {}
        for statement in _identity({name: world[name]}):
            for resource in statement.resources:
                pattern = next((one for one in needed if re.fullmatch(one, resource)), "")
                found.setdefault(pattern, set()).update(statement.actions)
        for pattern, actions in needed.items():
            if missing := actions - found.get(pattern, set()):
                yield f"{name}: no role has {sorted(missing)} on {pattern}"


def exact_conditions(world: World) -> Iterator[str]:
    """Statements of roles without the condition that they need, or with another one."""
    for statement in _identity(world):
        found, expected = conditions(statement.body), _conditions(statement)
        if found not in expected:
            yield f"{statement.where}: its condition is {found or 'missing'}, not one of {expected}"


def _conditions(statement: Statement) -> list[Json]:
    if any(action.startswith("kms:") for action in statement.actions):
        return _of_key(statement)
    if statement.actions == ["iam:PassRole"]:
        return [{"StringEquals": {"iam:PassedToService": ["scheduler.amazonaws.com"]}}]
    if statement.template == "producers" and any("log/_schemas" in name for name in statement.resources):
        return [{"Null": {"s3:if-none-match": ["false"]}}]
    if statement.sid == "AcceptFromNetwork":
        network = f"{ARN}:ec2:${{AWS::Region}}:${{ReportingAccount}}:vpc/${{VpcId}}"
        return [{"ArnEquals": {"ec2:RequesterVpc": [network]}}]
    if statement.holder == "DevelopersPolicy":
        return [DEVELOPERS.get(statement.sid, {})]
    if statement.sid == "ListDeadLetters":
        return [{"StringEquals": {"s3:prefix": ["dead-letters/"]}}]
    return [{}]


def _of_key(statement: Statement) -> list[Json]:
    services = set.intersection(*(KEYS.get(resource, set()) for resource in statement.resources))
    via = [VIA.format(service) for service in sorted(services)]
    if statement.actions == ["kms:CreateGrant"]:
        via = [VIA.format("ec2")]
    if statement.resources == ["${ReplicaKeyArn}"]:
        via = [log_replica.VIA_REPLICA]
    aws = {"Bool": {"kms:GrantIsForAWSResource": ["true"]}} if "kms:CreateGrant" in statement.actions else {}
    return [{"StringEquals": {"kms:ViaService": [service]}} | aws for service in via]


FROM_FIRM = {"IpAddress": {"aws:SourceIp": ["${FirmCidrs}"]}}
MFA = ["RequiresMfa", text({"aws:MultiFactorAuthPresent": "true"}), "${AWS::NoValue}"]
DEVELOPERS: dict[str, Json] = {
    "ForwardPort": FROM_FIRM
    | {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": ["true"]}, "Bool": {"Fn::If": MFA}},
    "EndOwnSessions": FROM_FIRM
    | {"StringLike": {"ssm:resourceTag/aws:ssmmessages:session-id": ["${aws:userid}"]}},
}
WHEN = {
    "AssumeStreamRole": "UsesStreamRole",
    "WriteStream": "!UsesStreamRole",
    "EncryptStream": "!UsesStreamRole",
    "ReadHashSecret": "HasHashSecret",
    "DecryptHashSecret": "HasHashSecretKey",
    "MarkHashKeys": "HasHashSecret",
    "DecryptWarehouseSecret": "HasWarehouseSecretKey",
    "KeepNetworkInterfaces": "IsInVpc",
    "FindNetworkInterfaces": "IsInVpc",
    "OnlyFromFirm": "HasFirmCidrs",
    "ManagedFromFirm": "HasFirmCidrs",
    "FindHosts": "HasHosts",
    "TurnHosts": "HasHosts",
    "GrantVolumeKey": "HasHostKey",
}
"""Statements that apply under a condition only."""


def conditional(world: World) -> Iterator[str]:
    """Statements that apply where nothing needs them, or that do not where something does."""
    for template in world.values():
        for statement in statements(template):
            if statement.condition != WHEN.get(statement.sid, ""):
                yield f"{statement.where}: applies under {statement.condition or 'no condition'}"


def distinct_sids(world: World) -> Iterator[str]:
    """Sids that a policy has twice."""
    counts = Counter(
        (statement.template, statement.holder, statement.kind, statement.sid)
        for template in world.values()
        for statement in statements(template)
    )
    yield from (f"{'.'.join(key)}: {count} statements" for key, count in counts.items() if count > 1)


def trusted_services(world: World) -> Iterator[str]:
    """Roles that another service than the one that uses them may assume, or without a condition."""
    for template in world.values():
        users = dict(_users(template))
        for logical_id, properties in template.of_type("AWS::IAM::Role"):
            where = f"{template.name}.{logical_id}"
            if set(properties) - {"AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "Policies"}:
                yield f"{where}: has {sorted(properties)}"
            attached = [text(policy) for policy in properties.get("ManagedPolicyArns", ())]
            yield from differences(f"{where}.ManagedPolicyArns", attached, ATTACHED.get(where, []))
            trust = listed(properties["AssumeRolePolicyDocument"]["Statement"])
            user, forms = users.get(logical_id, "no service"), [_trust(item) for item in trust]
            if user not in TRUST or forms != [TRUST[user]]:
                yield f"{where}: used by {user}, and trusts {forms}"


ATTACHED = {
    "producers.CsvProducerRole": ["${PublishPolicy}", "${FilesPolicy}"],
    "producers.DynamoDbProducerRole": ["${PublishPolicy}"],
    "producers.ProducerRedriveRole": ["${PublishPolicy}", "${FilesPolicy}"],
    "consumers.ConsumerRole": ["${WarehousePolicy}", "${LogPolicy}", "${StreamPolicy}"],
    "consumers.RefresherRole": ["${RefresherPolicy}"],
    "consumers.ConsumerRedriveRole": ["${WarehousePolicy}", "${LogPolicy}"],
    "consumers.MetricsRole": ["${WarehousePolicy}", "${StreamPolicy}"],
}
"""The managed policies of each role."""
ACCOUNT = {"StringEquals": {"aws:SourceAccount": ["${AWS::AccountId}"]}}
TRUST: dict[str, Json] = {
    "lambda": {"Service": "lambda.amazonaws.com", "Condition": ACCOUNT},
    "firehose": {
        "Service": "firehose.amazonaws.com",
        "Condition": ACCOUNT
        | {
            "ArnEquals": {
                "aws:SourceArn": [
                    f"{ARN}:firehose:{HERE}:deliverystream/${{Application}}-${{Environment}}-events-to-log"
                ]
            }
        },
    },
    "scheduler": {
        "Service": "scheduler.amazonaws.com",
        "Condition": ACCOUNT
        | {"ArnLike": {"aws:SourceArn": [f"{ARN}:scheduler:{HERE}:schedule-group/default"]}},
    },
    "vpc-flow-logs": {
        "Service": "vpc-flow-logs.amazonaws.com",
        "Condition": ACCOUNT | {"ArnLike": {"aws:SourceArn": [f"{ARN}:ec2:{HERE}:vpc-flow-log/*"]}},
    },
    # CloudFormation there assumes the role for whoever deploys the stack.
    "the reporting account": {"AWS": f"{ARN}:iam::${{ReportingAccount}}:root", "Condition": {}},
    "ec2": {"Service": "ec2.amazonaws.com", "Condition": {}},
    # Its page names no key; only who may pass the role can name it in a bucket.
    "s3": {"Service": "s3.amazonaws.com", "Condition": {}},
    "rds": {
        "Service": "monitoring.rds.amazonaws.com",
        "Condition": ACCOUNT
        | {
            "ArnEquals": {
                "aws:SourceArn": [f"{ARN}:rds:{HERE}:db:${{Application}}-${{Environment}}-warehouse"]
            }
        },
    },
    "ecs-tasks": {
        "Service": "ecs-tasks.amazonaws.com",
        "Condition": ACCOUNT | {"ArnLike": {"aws:SourceArn": [f"{ARN}:ecs:{HERE}:*"]}},
    },
}


def _trust(statement: Json) -> Json:
    plain = statement.get("Effect") == "Allow" and statement.get("Action") == "sts:AssumeRole"
    principal = statement.get("Principal")
    if not plain or not isinstance(principal, dict) or set(principal) not in ({"Service"}, {"AWS"}):
        return {"not plain": text(statement)}
    return {**{kind: text(who) for kind, who in principal.items()}, "Condition": conditions(statement)}


USERS = (
    ("AWS::Lambda::Function", "lambda", ("Role",)),
    ("AWS::ECS::TaskDefinition", "ecs-tasks", ("ExecutionRoleArn", "TaskRoleArn")),
    ("AWS::EC2::FlowLog", "vpc-flow-logs", ("DeliverLogsPermissionArn",)),
    ("AWS::RDS::DBInstance", "rds", ("MonitoringRoleArn",)),
)
"""Types that use roles, the service that does, and the properties that name the roles."""


NAMED = {
    "replicas": [("PeeringRole", "the reporting account")],
    "stream": [("ReplicationRole", "s3")],
}
"""Roles that no property of a resource names plainly, by template."""


def _users(template: Template) -> Iterator[tuple[str, str]]:
    """Yield each role of a template with the service that uses it."""
    for type_, service, paths in USERS:
        for _, properties in template.of_type(type_):
            for path in paths:
                yield properties[path]["Fn::GetAtt"][0], service
    for _, properties in template.of_type("AWS::Scheduler::Schedule"):
        yield properties["Target"]["RoleArn"]["Fn::GetAtt"][0], "scheduler"
    yield from NAMED.get(template.name, ())
    for _, properties in template.of_type("AWS::IAM::InstanceProfile"):
        yield from ((role["Ref"], "ec2") for role in properties["Roles"])
    for _, properties in template.of_type("AWS::KinesisFirehose::DeliveryStream"):
        yield properties["ExtendedS3DestinationConfiguration"]["RoleARN"]["Fn::GetAtt"][0], "firehose"


def attached_policies(world: World) -> Iterator[str]:
    """Managed policies that are attached to other roles than they are for."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::IAM::ManagedPolicy"):
            roles = [text(role) for role in properties.get("Roles", ())]
            expected = ["${ProducersStack:DynamoDbProducerRoleName}"] if "tables" in template.name else []
            if roles != expected or set(properties) - {"Description", "PolicyDocument", "Roles"}:
                yield f"{template.name}.{logical_id}: attached to {roles}, with {sorted(properties)}"


def _identity(world: World) -> Iterator[Statement]:
    for template in world.values():
        yield from (statement for statement in statements(template) if statement.kind == "identity")


RULES = (
    exact_actions,
    exact_resources,
    granted,
    exact_conditions,
    conditional,
    distinct_sids,
    trusted_services,
    attached_policies,
)
