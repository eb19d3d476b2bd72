"""The defaults of parameters: each was reviewed, since a deployment file that says nothing gets it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cfn_templates import World

NOTHING: Any = object()
"""In place of a default where the deployment file has to state a value."""
DEFAULTS: dict[str, Any] = {
    "Application": "headwater",
    "Architecture": "arm64",
    "LogLevel": "INFO",
    "RepositoryName": "headwater",
    "RunbookUrl": "docs",
    # What is kept, and for how long
    "AccessLogDays": 365,
    "ArchiveDays": 365,
    "BackupDays": 14,
    "DeadLetterDays": 365,
    "LockDays": 365,
    "LockMode": "GOVERNANCE",
    "LogRetentionDays": 365,
    "NoncurrentDays": 90,
    "RejectDays": 365,
    "RetentionHours": 168,
    # Capacity
    "BatchSize": 500,
    "ConsumerMemory": 1769,
    "ConsumerSeconds": 300,
    "CsvMemory": 1769,
    "DynamoDbMemory": 1024,
    "DynamoDbSeconds": 300,
    "FileConcurrency": 5,
    "FileSeconds": 300,
    "MaxReceiveCount": 50,
    "RefresherMemory": 1024,
    "RefresherSeconds": 300,
    "ShardCount": 2,
    "StreamMode": "ON_DEMAND",
    "TaskCpu": 2048,
    "TaskMemory": 8192,
    # Thresholds: far below the retention of the stream and the 32,767 connections of SQL Server, and above
    # the tenth of AllocatedGiB at which RDS enlarges the storage.
    "BacklogRows": 100_000,
    "CatchUpSeconds": 7200,
    "DeliverySeconds": 900,
    "FreeGibibytes": 20,
    "FreeableMebibytes": 256,
    "LagSeconds": 900,
    "LateSeconds": 900,
    "MostConnections": 200,
    # The warehouse: its windows are at a time at which schedules keep it on (test_defaults.py).
    "AllocatedGiB": 100,
    "BackupWindow": "17:00-17:30",
    "Edition": "sqlserver-se",
    "InstanceClass": "db.m6i.xlarge",
    "MaintenanceWindow": "wed:18:00-wed:18:30",
    "MaxAllocatedGiB": 1000,
    "MultiAz": "false",
    "Scheduled": "false",
    "Version": "16.0",
    # The schedule: zone and hours differ between firms, so that they have no default.
    "WorkingDays": "Mon,Tue,Wed,Thu,Fri",
    # The workbench and the replicas
    "ImageParameter": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
    "InstanceType": "t4g.micro",
    "ReplicasPort": 5432,
    "RequireMfa": "true",
    # What an installation may do without
    **dict.fromkeys(
        (
            *("AlarmEmail", "FirmCidrs", "HashSecretArn", "HashSecretKeyArn", "Holidays", "HostArns"),
            *("HostKeyArn", "PeeringConnectionId", "RefresherSecretArn", "ReplicaBucketArn", "ReplicaKeyArn"),
            *("ScheduleStack", "SecurityGroupIds"),
            *("StreamRoleArn", "SubnetIds", "WarehouseDatabase", "WarehouseHost", "WarehouseInstanceId"),
            "WarehouseSecretKeyArn",
        ),
        "",
    ),
    # Where the name stands for something that the template cannot do without
    "schedule.WarehouseInstanceId": NOTHING,
    "workbench.FirmCidrs": NOTHING,
    **dict.fromkeys((f"{name}.Application" for name in ("feeds", "tables", "tables-created")), NOTHING),
}
"""By name of the parameter, or by template and name where one template differs; any other has no default."""


def defaults(world: World) -> Iterator[str]:
    """Parameters with another default than the reviewed one, and those that must not have any."""
    for template in world.values():
        for name, parameter in template.parameters.items():
            where = f"{template.name}.{name}"
            expected = DEFAULTS.get(where, DEFAULTS.get(name, NOTHING))
            found = parameter.get("Default", NOTHING)
            if (type(found), found) != (type(expected), expected):
                said, right = ("none" if one is NOTHING else repr(one) for one in (found, expected))
                yield f"{where}: its default is {said}, not {right}"


RULES = (defaults,)
