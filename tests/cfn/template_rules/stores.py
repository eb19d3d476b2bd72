"""Buckets, keys, queues, topics and log groups: private, encrypted, and kept for as long as needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cfn_templates import Json, Template, World, differences, normal, text

from template_rules.log_replica import CONFIGURATION

NAME = "${Application}-${Environment}"
PLACE = "${AWS::AccountId}-${AWS::Region}"

UNLOGGED = {"artifacts.ArtifactsBucket", "stream.AccessLogBucket", "source.AccessLogBucket"} | {
    "replica.ReplicaBucket"
}
PLAIN_KEY = {"stream.AccessLogBucket", "source.AccessLogBucket"}  # S3 delivers logs to no other
BUCKET_NAMES = {
    "artifacts.ArtifactsBucket": f"{NAME}-artifacts-{PLACE}",
    "replica.ReplicaBucket": f"{NAME}-log-replica-{PLACE}",
    "stream.AccessLogBucket": f"{NAME}-access-{PLACE}",
    "stream.LogBucket": f"{NAME}-log-{PLACE}",
    "source.AccessLogBucket": f"{NAME}-source-access-{PLACE}",
    "source.SourceBucket": f"{NAME}-source-{PLACE}",
}
UNFINISHED = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


def _noncurrent(days: Any) -> Json:
    return {"NoncurrentVersionExpiration": {"NoncurrentDays": days}}


def _rule(name: str, *parts: Json, **values: Any) -> Json:
    return {"Id": name, "Status": "Enabled"} | values | {key: part[key] for part in parts for key in part}


ACCESS_LOGS = [
    _rule("access-logs", _noncurrent(30), UNFINISHED, ExpirationInDays="${AccessLogDays}"),
]
LIFECYCLES: dict[str, list[Json]] = {
    "artifacts.ArtifactsBucket": [_rule("noncurrent-versions", _noncurrent("${NoncurrentDays}"), UNFINISHED)],
    "stream.AccessLogBucket": ACCESS_LOGS,
    "source.AccessLogBucket": ACCESS_LOGS,
    "replica.ReplicaBucket": [_rule("unfinished-uploads", UNFINISHED)],
    # No rule for log/ and log-errors/.
    "stream.LogBucket": [
        _rule("unfinished-uploads", UNFINISHED),
        _rule(
            "dead-letters",
            _noncurrent("${NoncurrentDays}"),
            Prefix="dead-letters/",
            ExpirationInDays="${DeadLetterDays}",
        ),
        _rule("summaries", _noncurrent("${NoncurrentDays}"), Prefix="summaries/"),
    ],
    # No rule expires current objects of drop/ and corrections/.
    "source.SourceBucket": [
        _rule("noncurrent-versions", _noncurrent("${NoncurrentDays}"), UNFINISHED),
        _rule("archive", Prefix="archive/", ExpirationInDays="${ArchiveDays}"),
        _rule("rejects", Prefix="rejects/", ExpirationInDays="${RejectDays}"),
        _rule("dead-letters", Prefix="dead-letters/", ExpirationInDays="${DeadLetterDays}"),
    ],
}
LOCKED: Json = {
    "ObjectLockEnabled": True,
    "ObjectLockConfiguration": {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "${LockMode}", "Days": "${LockDays}"}},
    },
}
EXTRA: dict[str, Json] = {
    "replica.ReplicaBucket": LOCKED,
    "stream.LogBucket": LOCKED
    | {
        "LoggingConfiguration": {"DestinationBucketName": "${AccessLogBucket}", "LogFilePrefix": "log/"},
        "ReplicationConfiguration": CONFIGURATION,
    },
    "source.SourceBucket": {
        "LoggingConfiguration": {"DestinationBucketName": "${AccessLogBucket}", "LogFilePrefix": "source/"},
        "NotificationConfiguration": {
            "QueueConfigurations": [
                {
                    "Event": "s3:ObjectCreated:*",
                    "Queue": "${FileQueue.Arn}",
                    "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": prefix}]}},
                }
                for prefix in ("drop/", "corrections/")
            ]
        },
    },
}


def buckets(world: World) -> Iterator[str]:
    """Buckets that are not private, versioned, encrypted and logged, or that expire what they should keep."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::S3::Bucket"):
            where = f"{template.name}.{logical_id}"
            yield from differences(where, normal(properties), _bucket(where))


def _bucket(where: str) -> Json:
    plain = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    by_key = {
        # With a bucket key, writers would need kms:Decrypt as well.
        "BucketKeyEnabled": False,
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": re.compile(r"\$\{(Artifacts|Log|Replica|Source)Key\.Arn\}"),
        },
    }
    flags = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return {
        "BucketName": BUCKET_NAMES.get(where),
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [plain if where in PLAIN_KEY else by_key]},
        "LifecycleConfiguration": {"Rules": LIFECYCLES.get(where, [])},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": dict.fromkeys(flags, True),
        "VersioningConfiguration": {"Status": "Enabled"},
    } | EXTRA.get(where, {})


ALIASES = {
    "replica.${ReplicaKey}": f"alias/{NAME}-log-replica",
    "stream.${StreamKey}": f"alias/{NAME}-stream",
    "stream.${LogKey}": f"alias/{NAME}-log",
    "stream.${OperationsKey}": f"alias/{NAME}-operations",
    "warehouse.${WarehouseKey}": f"alias/{NAME}-warehouse",
    "source.${SourceKey}": f"alias/{NAME}-source",
    "source.${OperationsKey}": f"alias/{NAME}-source-operations",
}
"""By template and key."""


def keys(world: World) -> Iterator[str]:
    """Keys that do not rotate, or that are disabled, in use elsewhere or without an alias."""
    for template in world.values():
        aliases = [text(properties["TargetKeyId"]) for _, properties in template.of_type("AWS::KMS::Alias")]
        for logical_id, properties in template.of_type("AWS::KMS::Key"):
            where = f"{template.name}.{logical_id}"
            shown = {
                key: value for key, value in properties.items() if key not in ("KeyPolicy", "Description")
            }
            yield from differences(where, normal(shown), {"EnableKeyRotation": True})
            if where != "artifacts.ArtifactsKey" and aliases.count(f"${{{logical_id}}}") != 1:
                yield f"{where}: has {aliases.count(f'${{{logical_id}}}')} aliases"
        for logical_id, properties in template.of_type("AWS::KMS::Alias"):
            name = ALIASES.get(f"{template.name}.{text(properties['TargetKeyId'])}")
            yield from differences(f"{template.name}.{logical_id}", text(properties["AliasName"]), name)


FORTNIGHT = 14 * 24 * 60 * 60
"""Seconds: the longest that SQS keeps a message."""
QUEUE = {
    "KmsMasterKeyId": "${SourceKey.Arn}",
    "MessageRetentionPeriod": FORTNIGHT,
    "ReceiveMessageWaitTimeSeconds": 20,
}
QUEUES: dict[str, Json] = {
    "source.FileQueue": QUEUE
    | {
        "QueueName": f"{NAME}-source-{PLACE}-files",
        "RedrivePolicy": {
            "deadLetterTargetArn": "${DeadFileQueue.Arn}",
            "maxReceiveCount": "${MaxReceiveCount}",
        },
        "VisibilityTimeout": "${Visibility:FileSeconds:Seconds}",
    },
    "source.DeadFileQueue": QUEUE | {"QueueName": f"{NAME}-source-{PLACE}-files-dead"},
}


def queues(world: World) -> Iterator[str]:
    """Queues that are not encrypted, that forget, or that give up without a dead-letter queue."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::SQS::Queue"):
            where = f"{template.name}.{logical_id}"
            yield from differences(where, normal(properties), QUEUES.get(where, {}))


def visibility(world: World) -> Iterator[str]:
    """Time limits of the CSV producer of which the visibility time-out of its queue is not six times.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    source = world["source"]
    table = source.body["Mappings"]["Visibility"]
    for seconds in source.parameters["FileSeconds"]["AllowedValues"]:
        visible = table.get(str(seconds), {}).get("Seconds", 0)
        if visible != 6 * seconds:
            yield f"source.Visibility.{seconds}: {visible} s are not six times {seconds} s"
        most = source.parameters["MaxReceiveCount"]["MaxValue"]
        # The age of a message in the dead-letter queue counts from its arrival in the first one.
        if visible * most > FORTNIGHT / 2:
            yield f"source.Visibility.{seconds}: {most} attempts leave less than a week for a person"


def topics(world: World) -> Iterator[str]:
    """Topics that are not encrypted with a key that CloudWatch may use."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::SNS::Topic"):
            part = "-source" if template.name == "source" else ""
            expected = {"TopicName": f"{NAME}{part}-alarms", "KmsMasterKeyId": "${OperationsKey.Arn}"}
            yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


LOG_GROUPS = {
    "stream.DeliveryLogGroup": f"/aws/kinesisfirehose/{NAME}-events-to-log",
    "replay.ReplayLogGroup": f"/aws/ecs/{NAME}-replay",
    "network.FlowLogGroup": f"/aws/vpc/{NAME}-flow",
    "warehouse.WarehouseAgentLogGroup": f"/aws/rds/instance/{NAME}-warehouse/agent",
    "warehouse.WarehouseErrorLogGroup": f"/aws/rds/instance/{NAME}-warehouse/error",
    "workbench.SessionLogGroup": f"/aws/ssm/{NAME}-workbench",
}


def _of_function(logical_id: str) -> str:
    """Return the name of the log group of a function, whose logical id is in the words of its name."""
    words = re.findall(r"[A-Z][a-z]+", logical_id.removesuffix("LogGroup").replace("DynamoDb", "Dynamodb"))
    return f"/aws/lambda/{NAME}-{'-'.join(words).lower()}"


def log_groups(world: World) -> Iterator[str]:
    """Log groups that are not encrypted, or kept for ever, or that the key's policy does not cover."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::Logs::LogGroup"):
            expected = {
                "KmsKeyId": _operations_key(template),
                "LogGroupName": LOG_GROUPS.get(f"{template.name}.{logical_id}") or _of_function(logical_id),
                "RetentionInDays": "${LogRetentionDays}",
            }
            yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


def _operations_key(template: Template) -> str:
    if template.name == "stream":
        return "${OperationsKey.Arn}"
    return f"${{{'SourceStack' if template.name == 'producers' else 'StreamStack'}:OperationsKeyArn}}"


RULES = (buckets, keys, queues, visibility, topics, log_groups)
