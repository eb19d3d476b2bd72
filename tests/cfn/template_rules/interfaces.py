"""Parameters, conditions, outputs and imports: what stacks take from people and from each other."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from cfn_templates import IMPORTED, Json, World, differences, normal, text

TYPES = {"String", "Number", "CommaDelimitedList", "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"}
PARTS = {
    "Type",
    "Description",
    "Default",
    "AllowedPattern",
    "AllowedValues",
    "MinValue",
    "MaxValue",
    "ConstraintDescription",
}


def parameters(world: World) -> Iterator[str]:
    """Parameters that take anything, that explain nothing, or whose default they refuse themselves."""
    for template in world.values():
        for name, parameter in template.parameters.items():
            where = f"{template.name}.{name}"
            if parameter.get("Type") not in TYPES or set(parameter) - PARTS:
                yield f"{where}: has {sorted(parameter)} of type {parameter.get('Type')}"
            if not parameter.get("Description") or not parameter.get("ConstraintDescription"):
                yield f"{where}: needs a Description and a ConstraintDescription"
            limits = {"MinValue", "MaxValue"} if parameter.get("Type") == "Number" else {"AllowedPattern"}
            if "AllowedValues" not in parameter and not limits <= set(parameter):
                yield f"{where}: needs AllowedValues or {sorted(limits)}"
            if "Default" in parameter and not _accepts(parameter, parameter["Default"]):
                yield f"{where}: refuses its default {parameter['Default']!r}"
            if re.search(r"(?i)password|token|credential", name):
                yield f"{where}: secrets are no parameters: take the ARN of a secret"


def _accepts(parameter: Json, value: Any) -> bool:
    """Return whether CloudFormation accepts a value. A pattern has to match all of it."""
    if "AllowedValues" in parameter:
        return value in parameter["AllowedValues"]
    if parameter.get("Type") == "Number":
        return bool(parameter.get("MinValue", value) <= value <= parameter.get("MaxValue", value))
    values = value.split(",") if parameter.get("Type") == "CommaDelimitedList" else [value]
    return all(re.fullmatch(parameter.get("AllowedPattern", ".*"), each) for each in values)


_RANGE = ("", "*", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/29", "10.0.0.0", "10.0.0.0/160", "a.b.c.d/24")
_ZONE = ("", "eu-west-2", "a", "euw2-az1", "us-east-1-bos-1a", "eu-west-2A", "eu-west-2aa")
_VPC = ("", "*", "subnet-12345678", "vpc-", "vpc-xyz", "vpc-1234567x")
_ACCOUNT = ("", "*", "12345678901", "1234567890123", "arn:aws:iam::123456789012:root")
REFUSED: dict[str, tuple[str, ...]] = {
    "Application": ("", "a", "1a", "Headwater", "headwater_1", "head-", "elevenchars", "a b"),
    "Environment": ("", "p", "Prod", "1prod", "pre-prod", "elevenchars"),
    "FirmCidrs": ("0.0.0.0/0", "203.0.113.0/7", "203.0.113.7", "2001:db8::/32", "203.0.113.0/33", "*"),
    "SourceStack": ("", "a_b", "1a"),
    "StreamStack": ("", "a_b", "1a"),
    "ConsumersStack": ("", "a_b", "1a"),
    "ScheduleStack": ("a_b", "1a"),
    "WarehouseInstanceId": ("*", "a_b", "1a", "a.b"),
    "AlarmEmail": ("*", "duty", "duty@", "@example.com", "a@b@example.com", "a b@example.com"),
    "RunbookUrl": ("", "*", "docs/", "http://example.com/docs", "https://example.com/docs/", "https://u:p@h"),
    "NetworkStack": ("", "a_b", "1a"),
    "ProducersStack": ("", "a_b", "1a"),
    "SourceAccounts": ("", "*", "12345678901", "1234567890123", "arn:aws:iam::123456789012:root"),
    "CodeBucket": ("", "*", "A-Bucket", "a"),
    "LogBucketName": ("", "*", "a/b"),
    "ProducersKey": ("", "producers", "../x.tar"),
    "ConsumersKey": ("", "consumers"),
    "RefresherKey": ("", "refresher"),
    "StreamArn": ("", "*", "headwater-events", "arn:aws:kinesis:eu-west-2:123456789012:stream/*"),
    "StreamRoleArn": ("*", "arn:aws:iam::123456789012:role/*"),
    "StreamKeyArn": ("", "*", "arn:aws:kms:eu-west-2:123456789012:key/*", "alias/x"),
    "LogKeyArn": ("", "*", "arn:aws:kms:eu-west-2:123456789012:key/*", "alias/x"),
    "ReplicaBucketArn": ("*", "headwater-log", "arn:aws:s3:::*", "arn:aws:s3:::bucket/*"),
    "ReplicaKeyArn": ("*", "arn:aws:kms:eu-west-1:123456789012:key/*", "alias/x"),
    "HashSecretKeyArn": ("*", "arn:aws:kms:eu-west-2:123456789012:key/*"),
    "WarehouseSecretKeyArn": ("*", "arn:aws:kms:eu-west-2:123456789012:key/*"),
    "HashSecretArn": ("*", "arn:aws:secretsmanager:eu-west-2:123456789012:secret:*", "a-secret"),
    "WarehouseSecretArn": (
        "",
        "*",
        "arn:aws:secretsmanager:eu-west-2:123456789012:secret:*",
        "mssql://u:p@h/d",
    ),
    "WarehouseHost": ("host:port", "user:password@host", "host/database"),
    "WarehouseDatabase": ("a;b", "a b", "1a"),
    "SubnetIds": ("vpc-12345678", "*"),
    "SecurityGroupIds": ("subnet-12345678", "*"),
    "SchedulerKey": ("", "scheduler"),
    "HostArns": ("*", "i-12345678", "arn:aws:ec2:eu-west-2:123456789012:instance/*"),
    "HostKeyArn": ("*", "arn:aws:kms:eu-west-2:123456789012:key/*", "alias/x"),
    "Zone": ("", "../etc/passwd", "/etc/localtime"),
    "From": ("", "7:00", "24:00", "12:60", "07:00:00"),
    "To": ("", "7:00", "24:01", "12:60", "20"),
    "WorkingDays": ("", "Monday", "mon", "1"),
    "Holidays": ("25.12.2026", "2026-12-25T00:00", "Christmas"),
    "RefresherSecretArn": ("*", "arn:aws:secretsmanager:eu-west-2:123456789012:secret:*", "mssql://u:p@h/d"),
    "InstanceClass": ("", "m6i.xlarge", "db.m6i", "db.t3.micro", "db.t3.medium", "db.m6g.xlarge"),
    "BackupWindow": ("", "17:00", "17:00-24:00", "wed:17:00-wed:17:30"),
    "MaintenanceWindow": ("", "18:00-18:30", "wed:18:00-wed:25:00", "Wed:18:00-Wed:18:30"),
    "RepositoryName": ("", "*", "UPPER", "repository:latest"),
    "ImageDigest": ("", "latest", "sha256:1234"),
    "VpcCidr": _RANGE,
    "SourceVpcCidr": _RANGE,
    "ReplicasCidr": _RANGE,
    "WorkbenchCidr": _RANGE,
    **{
        f"{role}Cidr{zone}": _RANGE
        for role in ("Database", "Consumer", "Producer", "Endpoint")
        for zone in "AB"
    },
    "ZoneA": _ZONE,
    "ZoneB": _ZONE,
    "ReplicasZone": _ZONE,
    "S3PrefixListId": ("", "*", "pl-xyz", "com.amazonaws.eu-west-2.s3"),
    "DynamoDbPrefixListId": ("", "*", "pl-xyz", "com.amazonaws.eu-west-2.dynamodb"),
    "SourceAccount": _ACCOUNT,
    "ReportingAccount": _ACCOUNT,
    "VpcId": _VPC,
    "SourceVpcId": _VPC,
    "ProducerGroupId": ("", "*", "sg-", "subnet-12345678"),
    "PeeringRoleArn": ("", "*", "arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:user/x"),
    "PeeringConnectionId": ("*", "pcx-", "vpc-12345678", "pcx-xyz"),
}
"""Values that the pattern of a parameter has to refuse."""
LEAST = {
    "LagSeconds": 300,
    "LateSeconds": 300,
    "BacklogRows": 1000,
    "CatchUpSeconds": 600,
    "FreeGibibytes": 5,
    "FreeableMebibytes": 64,
    "MostConnections": 20,
    "RetentionHours": 72,
    "LockDays": 1,
    "NoncurrentDays": 30,
    "DeadLetterDays": 30,
    "RejectDays": 30,
    "AccessLogDays": 30,
    "LogRetentionDays": 365,
    "MaxReceiveCount": 10,
    "ArchiveDays": 1,
    "FileConcurrency": 2,
    "FileSeconds": 60,
    "ConsumerSeconds": 60,
    "DynamoDbSeconds": 60,
    "RefresherSeconds": 60,
    "DeliverySeconds": 300,
    "ShardCount": 1,
    "BatchSize": 1,
    "CsvMemory": 512,
    "DynamoDbMemory": 256,
    "ConsumerMemory": 512,
    "RefresherMemory": 256,
    "TaskCpu": 1024,
    "AllocatedGiB": 20,
    "MaxAllocatedGiB": 22,
    "BackupDays": 7,
    "TaskMemory": 8192,
    "ReplicasPort": 1024,
}
MOST = {
    "MaxReceiveCount": 100,
    "BackupDays": 35,
    "AllocatedGiB": 16384,
    "MaxAllocatedGiB": 16384,
    "FileSeconds": 900,
    "ConsumerSeconds": 900,
    "DynamoDbSeconds": 900,
    "RefresherSeconds": 900,
    "CatchUpSeconds": 28_800,  # a working day: longer, and a failure in the morning is silent all day
    "LagSeconds": 86_400,
    "DeliverySeconds": 86_400,  # a third of the shortest retention of the stream
    "BacklogRows": 100_000_000,
    "MostConnections": 30_000,  # SQL Server refuses more than 32,767
    "FreeGibibytes": 10_000,
    "FreeableMebibytes": 100_000,
    "LateSeconds": 36_000,  # an alarm of half the 24 hours that DynamoDB keeps a change follows
}
"""Lambda ends a function after 900 seconds; after all attempts, a file's message stays a week."""
CHOICES: dict[str, list[Any]] = {
    "Architecture": ["arm64", "x86_64"],
    "LockMode": ["GOVERNANCE", "COMPLIANCE"],
    "LogLevel": ["DEBUG", "INFO", "WARNING", "ERROR"],
    "StreamMode": ["ON_DEMAND", "PROVISIONED"],
    "Edition": ["sqlserver-se", "sqlserver-ee"],
    "Version": ["15.0", "16.0"],
    "MultiAz": ["true", "false"],
    "Scheduled": ["true", "false"],
    "RequireMfa": ["true", "false"],
    "InstanceType": ["t4g.nano", "t4g.micro", "t4g.small"],
    "ImageParameter": ["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"],
}


def limits(world: World) -> Iterator[str]:
    """Parameters that take a value which breaks something, or that are no longer known."""
    for template in world.values():
        for name, parameter in template.parameters.items():
            where = f"{template.name}.{name}"
            yield from (
                f"{where}: takes {value!r}" for value in REFUSED.get(name, ()) if _accepts(parameter, value)
            )
            if "AllowedPattern" in parameter and name not in REFUSED and "tables" not in template.name:
                yield f"{where}: no rule knows values that it has to refuse"
            yield from _bounds(where, name, parameter)
            if name in CHOICES:
                yield from differences(where, parameter.get("AllowedValues"), CHOICES[name])


def _bounds(where: str, name: str, parameter: Json) -> Iterator[str]:
    if parameter.get("Type") != "Number":
        return
    ends = [parameter.get("MinValue", -math.inf), parameter.get("MaxValue", math.inf)]
    numbers = parameter.get("AllowedValues", ends)
    if name not in LEAST:
        yield f"{where}: no rule knows the least that it may take"
    if min(numbers) < LEAST.get(name, -math.inf):
        yield f"{where}: takes {min(numbers)}, less than {LEAST[name]}"
    if max(numbers) > MOST.get(name, math.inf):
        yield f"{where}: takes {max(numbers)}, more than {MOST[name]}"


def used(world: World) -> Iterator[str]:
    """Parameters, conditions and mappings that nothing uses."""
    for template in world.values():
        body = json.dumps(
            [template.resources, template.outputs, *map(template.body.get, ("Conditions", "Rules"))]
        )
        for name in template.parameters:
            if f'"{name}"' not in body and f"${{{name}}}" not in body:
                yield f"{template.name}.{name}: nothing uses the parameter"
        for kind in ("Conditions", "Mappings"):
            for name in template.body.get(kind, {}):
                if f'"{name}"' not in json.dumps([template.resources, template.outputs]):
                    yield f"{template.name}.{name}: nothing uses it"


FILLED = {"IsInVpc": "SubnetIds", "HasFirmCidrs": "FirmCidrs"}
"""Conditions that a list is not empty."""
CONDITIONS: dict[str, Json] = {
    "monitoring": {
        "HasSchedule": {"Fn::Not": [{"Fn::Equals": [{"Ref": "ScheduleStack"}, ""]}]},
        "HasWarehouseInstance": {"Fn::Not": [{"Fn::Equals": [{"Ref": "WarehouseInstanceId"}, ""]}]},
    },
    "replay": {"IsArm": {"Fn::Equals": [{"Ref": "Architecture"}, "arm64"]}},
    "schedule": {
        "HasHosts": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "HostArns"}]}, ""]}]},
    },
    "workbench": {"RequiresMfa": {"Fn::Equals": [{"Ref": "RequireMfa"}, "true"]}},
    "stream": {
        "HasReplica": {
            "Fn::And": [
                {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}
                for name in ("ReplicaBucketArn", "ReplicaKeyArn")
            ]
        },
        "IsProvisioned": {"Fn::Equals": [{"Ref": "StreamMode"}, "PROVISIONED"]},
    },
}


def conditions(world: World) -> Iterator[str]:
    """Conditions that are not what their names promise."""
    for template in world.values():
        for name, condition in template.body.get("Conditions", {}).items():
            parameter = name.removeprefix("Uses").removeprefix("Has") + (
                "" if name.endswith("Arn") else "Arn"
            )
            if parameter not in template.parameters:
                parameter = parameter.removesuffix("Arn")
            value: Any = {"Ref": parameter}
            if name in FILLED:
                value = {"Fn::Join": ["", {"Ref": FILLED[name]}]}
            expected = CONDITIONS.get(template.name, {}).get(name, {"Fn::Not": [{"Fn::Equals": [value, ""]}]})
            yield from differences(f"{template.name}.{name}", condition, expected)


def _two(subnet: str) -> str:
    """Return the output with the subnets of both zones."""
    return json.dumps({"Fn::Join": [",", [{"Ref": f"{subnet}A"}, {"Ref": f"{subnet}B"}]]})


OUTPUTS: dict[str, dict[str, str]] = {
    "replica": {"ReplicaBucketArn": "${ReplicaBucket.Arn}", "ReplicaKeyArn": "${ReplicaKey.Arn}"},
    "artifacts": {"ArtifactsBucketName": "${ArtifactsBucket}", "ArtifactsKeyArn": "${ArtifactsKey.Arn}"},
    "stream": {
        "StreamArn": "${EventStream.Arn}",
        "StreamKeyArn": "${StreamKey.Arn}",
        "LogBucketName": "${LogBucket}",
        "LogKeyArn": "${LogKey.Arn}",
        "OperationsKeyArn": "${OperationsKey.Arn}",
        "AlarmTopicArn": "${AlarmTopic}",
        "IteratorAgeHalf": "${Retention:RetentionHours:Half}",
        "IteratorAgeMost": "${Retention:RetentionHours:Most}",
    },
    "source": {
        "SourceBucketName": "${SourceBucket}",
        "SourceKeyArn": "${SourceKey.Arn}",
        "QueueArn": "${FileQueue.Arn}",
        "FileSeconds": "${FileSeconds}",
        "OperationsKeyArn": "${OperationsKey.Arn}",
        "AlarmTopicArn": "${AlarmTopic}",
    },
    "producers": {
        "CsvProducerName": "${CsvProducer}",
        "DynamoDbProducerArn": "${DynamoDbProducer.Arn}",
        "DynamoDbProducerName": "${DynamoDbProducer}",
        "DynamoDbSeconds": "${DynamoDbSeconds}",
        "DynamoDbProducerRoleArn": "${DynamoDbProducerRole.Arn}",
        "DynamoDbProducerRoleName": "${DynamoDbProducerRole}",
        "ProducerRedriveName": "${ProducerRedrive}",
        "HashSecretArn": "${HashSecretArn}",
    },
    "consumers": {
        "ConsumerName": "${Consumer}",
        "ConsumerMappingId": "${ConsumerMapping}",
        "ConsumerSeconds": "${ConsumerSeconds}",
        "RefresherName": "${Refresher}",
        "ConsumerRedriveName": "${ConsumerRedrive}",
        "MetricsName": "${Metrics}",
        "RefresherScheduleRoleArn": "${RefresherScheduleRole.Arn}",
        "MetricsScheduleRoleArn": "${MetricsScheduleRole.Arn}",
        "WarehouseSecretArn": "${WarehouseSecretArn}",
        "WarehouseHost": "${WarehouseHost}",
        "WarehouseDatabase": "${WarehouseDatabase}",
    },
    "network": {
        "VpcId": "${Vpc}",
        "VpcCidr": "${VpcCidr}",
        **{f"{role}SubnetIds": _two(f"{role}Subnet") for role in ("Database", "Consumer", "Producer")},
        "WorkbenchSubnetId": "${WorkbenchSubnet}",
        **{
            f"{group}GroupId": f"${{{group}Group.GroupId}}"
            for group in ("Warehouse", "Consumer", "Producer", "Workbench", "Endpoint")
        },
        "ProducerRoutesId": "${ProducerRoutes}",
    },
    "peering": {"PeeringConnectionId": "${Peering}"},
    "replicas": {
        "PeeringRoleArn": "${PeeringRole.Arn}",
        "ReplicasSubnetId": "${ReplicasSubnet}",
        "ReplicasGroupId": "${ReplicasGroup.GroupId}",
    },
    "schedule": {"SchedulerName": "${Scheduler}"},
    "warehouse": {
        "WarehouseHost": "${Warehouse.Endpoint.Address}",
        "WarehouseSecretArn": "${ConsumerSecret}",
        "RefresherSecretArn": "${RefresherSecret}",
        "OwnerSecretArn": "${Warehouse.MasterUserSecret.SecretArn}",
        "WarehouseSecretKeyArn": "${WarehouseKey.Arn}",
        "WarehouseInstanceId": "${Warehouse}",
        "MultiAz": "${MultiAz}",
    },
    "workbench": {
        "WorkbenchInstanceId": "${Workbench}",
        "DevelopersPolicyArn": "${DevelopersPolicy}",
        "ShellDocumentName": "${ShellDocument}",
    },
    "replay": {"ReplayClusterName": "${ReplayCluster}", "ReplayTaskArn": "${ReplayTask}"},
}
OPTIONAL = {
    "HashSecretArn": "HasHashSecret",
    "WarehouseHost": "HasWarehouseHost",
    "WarehouseDatabase": "HasWarehouseDatabase",
}


def outputs(world: World) -> Iterator[str]:
    """Outputs of another value than they are named after, or with another export."""
    for template in world.values():
        expected = {
            name: {
                "Description": re.compile(".+"),
                "Value": value,
                "Export": {"Name": f"${{AWS::StackName}}:{name}"},
            }
            | (
                {"Condition": OPTIONAL[name]}
                if template.name in ("producers", "consumers") and name in OPTIONAL
                else {}
            )
            for name, value in OUTPUTS.get(template.name, {}).items()
        }
        yield from differences(f"{template.name}.Outputs", normal(template.outputs), expected)


PSEUDO = {"AccountId", "Region", "Partition", "URLSuffix", "StackName", "NoValue"}


def references(world: World) -> Iterator[str]:
    """References to what a template does not have."""
    for template in world.values():
        known = {*template.parameters, *template.resources, *(f"AWS::{name}" for name in PSEUDO)}
        known |= set(template.body.get("Conditions", {}))
        for name in _references([template.resources, template.outputs]):
            if name not in known:
                yield f"{template.name}: refers to {name}, which it does not have"


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("Ref", "DependsOn"):
                yield from item if isinstance(item, list) else [item]
            elif key in ("Fn::GetAtt", "Fn::If"):  # the name of a resource, or of a condition
                yield item[0]
                yield from _references(item[1:])
            elif key == "Fn::Sub":
                yield from _variables(*(item if isinstance(item, list) else (item, {})))
            else:
                yield from _references(item)


def _variables(pattern: str, local: Json) -> Iterator[str]:
    """Yield what a `!Sub` refers to, except its own variables."""
    names = (name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", pattern))
    yield from (name for name in names if name not in local)
    yield from _references(local)


def imports(world: World) -> Iterator[str]:
    """Imported values that no stack exports."""
    for template in world.values():
        for value in _imports(template.body):
            match = re.fullmatch(r"\$\{(\w+)\}:(\w+)", text(value))
            exporter = IMPORTED.get(match[1], "") if match else ""
            if not match or match[1] not in template.parameters or match[2] not in OUTPUTS.get(exporter, {}):
                yield f"{template.name}: imports {text(value)}, which no stack exports"


def _imports(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            yield value["Fn::ImportValue"]
        for item in value.values():
            yield from _imports(item)
    elif isinstance(value, list):
        for item in value:
            yield from _imports(item)


RULES = (parameters, limits, used, conditions, outputs, references, imports)
