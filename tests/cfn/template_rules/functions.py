"""Lambda functions and the task of replay: what they run, and with which environment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from cfn_templates import Json, World, differences, normal

from headwater.schedule import handler
from schemas import settings

NAME = "${Application}-${Environment}"


class Function(NamedTuple):
    """What distinguishes one function."""

    name: str
    handler: str
    zip: str
    memory: Any
    seconds: Any
    reserved: int | None = None


FUNCTIONS = {
    "producers": {
        "CsvProducer": Function(
            "csv-producer",
            "producers.csv.handler.handler",
            "ProducersKey",
            "${CsvMemory}",
            "${SourceStack:FileSeconds}",
        ),
        "DynamoDbProducer": Function(
            "dynamodb-producer",
            "producers.dynamodb.handler.handler",
            "ProducersKey",
            "${DynamoDbMemory}",
            "${DynamoDbSeconds}",
        ),
        "ProducerRedrive": Function(
            "producer-redrive", "producers.redrive_handler.handler", "ProducersKey", "${CsvMemory}", 900
        ),
    },
    "consumers": {
        "Consumer": Function(
            "consumer", "consumers.handler.handler", "ConsumersKey", "${ConsumerMemory}", "${ConsumerSeconds}"
        ),
        "Refresher": Function(
            "refresher",
            "consumers.reporting.handler.handler",
            "RefresherKey",
            "${RefresherMemory}",
            "${RefresherSeconds}",
            reserved=1,  # one at a time
        ),
        "ConsumerRedrive": Function(
            "consumer-redrive", "consumers.redrive_handler.handler", "ConsumersKey", "${ConsumerMemory}", 900
        ),
        "Metrics": Function("metrics", "consumers.metrics_handler.handler", "ConsumersKey", 512, 60),
    },
    "schedule": {
        "Scheduler": Function(
            "scheduler", "headwater.schedule.handler.handler", "SchedulerKey", 256, 120, reserved=1
        )
    },
}
"""By template and logical id."""


def _joined(parameter: str) -> str:
    return json.dumps({"Fn::Join": [",", {"Ref": parameter}]})


def _if(condition: str, value: Any) -> Json:
    return {"Fn::If": [condition, value, "${AWS::NoValue}"]}


PRODUCERS: Json = {
    "HEADWATER_STREAM": "${StreamArn}",
    "HEADWATER_STREAM_ROLE": _if("UsesStreamRole", "${StreamRoleArn}"),
    "HEADWATER_LOG_BUCKET": "${LogBucketName}",
    "HEADWATER_SOURCE_BUCKET": "${SourceStack:SourceBucketName}",
    "HEADWATER_HASH_SECRET": _if("HasHashSecret", "${HashSecretArn}"),
    "HEADWATER_LOG_LEVEL": "${LogLevel}",
}
WAREHOUSE: Json = {
    "HEADWATER_WAREHOUSE_SECRET": "${WarehouseSecretArn}",
    "HEADWATER_WAREHOUSE_HOST": _if("HasWarehouseHost", "${WarehouseHost}"),
    "HEADWATER_WAREHOUSE_DATABASE": _if("HasWarehouseDatabase", "${WarehouseDatabase}"),
    "HEADWATER_LOG_LEVEL": "${LogLevel}",
    "FREETDSCONF": "/var/task/freetds.conf",
}
REFRESHER = WAREHOUSE | {
    "HEADWATER_WAREHOUSE_SECRET": {
        "Fn::If": ["HasRefresherSecret", "${RefresherSecretArn}", "${WarehouseSecretArn}"]
    }
}
STREAM: Json = {
    "HEADWATER_STREAM": "${StreamStack:StreamArn}",
    "HEADWATER_LOG_BUCKET": "${StreamStack:LogBucketName}",
}
SCHEDULE: Json = {
    "HEADWATER_SCHEDULE_ZONE": "${Zone}",
    "HEADWATER_SCHEDULE_FROM": "${From}",
    "HEADWATER_SCHEDULE_TO": "${To}",
    "HEADWATER_SCHEDULE_DAYS": _joined("WorkingDays"),
    "HEADWATER_SCHEDULE_HOLIDAYS": _joined("Holidays"),
    "HEADWATER_SCHEDULE_WAREHOUSE": "${WarehouseInstanceId}",
    "HEADWATER_SCHEDULE_HOSTS": _joined("HostArns"),
    "HEADWATER_SCHEDULE_MAPPING": "${ConsumersStack:ConsumerMappingId}",
    "HEADWATER_SCHEDULE_SCHEDULES": f"{NAME}-refresher,{NAME}-metrics",
    "HEADWATER_LOG_LEVEL": "${LogLevel}",
}
VARIABLES = {"producers": PRODUCERS, "consumers": STREAM | WAREHOUSE, "schedule": SCHEDULE}
VPC = _if("IsInVpc", {"SubnetIds": "${SubnetIds}", "SecurityGroupIds": "${SecurityGroupIds}"})


def functions(world: World) -> Iterator[str]:
    """Functions that differ from what they are known to be."""
    for template in world.values():
        found = {id_: normal(properties) for id_, properties in template.of_type("AWS::Lambda::Function")}
        known = FUNCTIONS.get(template.name, {})
        expected = {id_: _function(template.name, id_, function) for id_, function in known.items()}
        yield from differences(template.name, found, expected)


def _function(template: str, logical_id: str, function: Function) -> Json:
    variables = REFRESHER if logical_id == "Refresher" else VARIABLES[template]
    expected: Json = {
        "FunctionName": f"{NAME}-{function.name}",
        "Description": re.compile(".+"),
        "Runtime": "python3.13",  # pymssql's wheels need the glibc of this one
        "Architectures": ["${Architecture}"],
        "Handler": function.handler,
        "Code": {"S3Bucket": "${CodeBucket}", "S3Key": f"${{{function.zip}}}"},
        "Role": f"${{{logical_id}Role.Arn}}",
        "MemorySize": function.memory,
        "Timeout": function.seconds,
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"${{{logical_id}LogGroup}}"},
        "Environment": {"Variables": variables},
    }
    if template == "consumers":
        expected["VpcConfig"] = VPC
    if function.reserved is not None:
        expected["ReservedConcurrentExecutions"] = function.reserved
    return expected


def handlers(world: World) -> Iterator[str]:
    """Handlers that cannot be imported."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::Lambda::Function"):
            module, _, name = properties["Handler"].rpartition(".")
            try:
                found = getattr(import_module(module), name)
            except (ImportError, AttributeError, ValueError) as error:
                yield f"{template.name}.{logical_id}: no handler {properties['Handler']}: {error}"
            else:
                if not callable(found):
                    yield f"{template.name}.{logical_id}: {properties['Handler']} is no function"


KNOWN = {*settings.VARIABLES, *settings._UNSHOWN, *handler.VARIABLES, "FREETDSCONF", "AWS_REGION"}


def variables(world: World) -> Iterator[str]:
    """Environment variables that nothing reads."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::Lambda::Function"):
            for name in sorted(set(properties["Environment"]["Variables"]) - KNOWN):
                yield f"{template.name}.{logical_id}: nothing reads {name}"


TASK_VARIABLES = [
    {"Name": "AWS_REGION", "Value": "${AWS::Region}"},
    {"Name": "HEADWATER_STREAM", "Value": "${StreamStack:StreamArn}"},
    {"Name": "HEADWATER_LOG_BUCKET", "Value": "${StreamStack:LogBucketName}"},
    {"Name": "HEADWATER_WAREHOUSE_SECRET", "Value": "${WarehouseSecretArn}"},
    _if("HasWarehouseHost", {"Name": "HEADWATER_WAREHOUSE_HOST", "Value": "${WarehouseHost}"}),
    _if("HasWarehouseDatabase", {"Name": "HEADWATER_WAREHOUSE_DATABASE", "Value": "${WarehouseDatabase}"}),
]
REGISTRY = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}"
TASK: Json = {
    "Family": f"{NAME}-replay",
    "Cpu": "${TaskCpu}",
    "Memory": "${TaskMemory}",
    "NetworkMode": "awsvpc",
    "RequiresCompatibilities": ["FARGATE"],
    "RuntimePlatform": {
        "CpuArchitecture": {"Fn::If": ["IsArm", "ARM64", "X86_64"]},
        "OperatingSystemFamily": "LINUX",
    },
    "ExecutionRoleArn": "${ReplayStartRole.Arn}",
    "TaskRoleArn": "${ReplayRole.Arn}",
    "Volumes": [{"Name": "temporary"}],
    "ContainerDefinitions": [
        {
            "Name": "replay",
            "Image": f"{REGISTRY}/${{RepositoryName}}@${{ImageDigest}}",
            "Command": ["replay", "--help"],
            "Essential": True,
            "ReadonlyRootFilesystem": True,
            "MountPoints": [{"ContainerPath": "/tmp", "SourceVolume": "temporary"}],
            "Environment": TASK_VARIABLES,
            "LogConfiguration": {
                "LogDriver": "awslogs",
                "Options": {
                    "awslogs-group": "${ReplayLogGroup}",
                    "awslogs-region": "${AWS::Region}",
                    "awslogs-stream-prefix": "replay",
                },
            },
        }
    ],
}
CLUSTER: Json = {
    "ClusterName": f"{NAME}-replay",
    "CapacityProviders": ["FARGATE"],
    "ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}],
}


def tasks(world: World) -> Iterator[str]:
    """Tasks and clusters that differ from what replay needs."""
    for template in world.values():
        for type_, expected in (("AWS::ECS::TaskDefinition", TASK), ("AWS::ECS::Cluster", CLUSTER)):
            for logical_id, properties in template.of_type(type_):
                yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


RULES = (functions, handlers, variables, tasks)
