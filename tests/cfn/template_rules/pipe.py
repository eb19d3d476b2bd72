"""The stream and its delivery to the log: encrypted, long enough kept, complete."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cfn_templates import Json, World, differences, normal

from replay.log.reader import ERRORS, LOG

NAME = "${Application}-${Environment}"
STREAM: Json = {
    "Name": f"{NAME}-events",
    "RetentionPeriodHours": "${RetentionHours}",
    "ShardCount": {"Fn::If": ["IsProvisioned", "${ShardCount}", "${AWS::NoValue}"]},
    "StreamEncryption": {"EncryptionType": "KMS", "KeyId": "${StreamKey.Arn}"},
    "StreamModeDetails": {"StreamMode": "${StreamMode}"},
}
DELIVERY: Json = {
    "DeliveryStreamName": f"{NAME}-events-to-log",
    "DeliveryStreamType": "KinesisStreamAsSource",
    "KinesisStreamSourceConfiguration": {
        "KinesisStreamARN": "${EventStream.Arn}",
        "RoleARN": "${DeliveryRole.Arn}",
    },
    "ExtendedS3DestinationConfiguration": {
        "BucketARN": "${LogBucket.Arn}",
        "RoleARN": "${DeliveryRole.Arn}",
        "Prefix": LOG,
        "ErrorOutputPrefix": ERRORS,
        "BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 64},
        "CompressionFormat": "UNCOMPRESSED",  # frames are cut at offsets of the object
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "${LogKey.Arn}"}},
        "CloudWatchLoggingOptions": {
            "Enabled": True,
            "LogGroupName": "${DeliveryLogGroup}",
            "LogStreamName": "${DeliveryLogStream}",
        },
    },
}
LOG_STREAM: Json = {"LogGroupName": "${DeliveryLogGroup}", "LogStreamName": "delivery"}

SHORTEST_HOURS = 72
"""A failure on Friday evening is noticed on Monday."""


def stream(world: World) -> Iterator[str]:
    """A stream or a delivery that differs from what the log needs."""
    for template in world.values():
        for type_, expected in (
            ("AWS::Kinesis::Stream", STREAM),
            ("AWS::KinesisFirehose::DeliveryStream", DELIVERY),
            ("AWS::Logs::LogStream", LOG_STREAM),
        ):
            for logical_id, properties in template.of_type(type_):
                yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


def tables(world: World) -> Iterator[str]:
    """Tables without both images in their streams, encryption, recovery or protection from deletion."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::DynamoDB::Table"):
            names = [attribute["AttributeName"] for attribute in properties["AttributeDefinitions"]]
            expected = {
                "TableName": re.compile(r"[\w.-]{3,255}"),
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": re.compile("[SNB]")} for name in names
                ],
                "KeySchema": [
                    {"AttributeName": name, "KeyType": kind}
                    for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
                ],
                "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "DeletionProtectionEnabled": True,
                "SSESpecification": {
                    "SSEEnabled": True,
                    "SSEType": "KMS",
                    "KMSMasterKeyId": "${SourceStack:SourceKeyArn}",
                },
            }
            yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


def delivery_order(world: World) -> Iterator[str]:
    """Resources that CloudFormation could create before what they need, or delete after it."""
    for name, needed in (
        ("stream.Delivery", {"LogBucketPolicy"}),
        ("stream.LogBucket", {"AccessLogBucketPolicy"}),
        ("source.SourceBucket", {"AccessLogBucketPolicy", "FileQueuePolicy"}),
    ):
        template, _, logical_id = name.partition(".")
        depends = world[template].resources.get(logical_id, {}).get("DependsOn", [])
        if set(depends if isinstance(depends, list) else [depends]) != needed:
            yield f"{name}: depends on {depends}, not on {sorted(needed)}"


def retention(world: World) -> Iterator[str]:
    """Retentions that are too short, and thresholds that are not 50 and 80 % of theirs."""
    template = world["stream"]
    parameter, table = template.parameters["RetentionHours"], template.body["Mappings"]["Retention"]
    hours = [*parameter.get("AllowedValues", ())]
    if {str(number) for number in hours} != set(table):
        yield f"stream.Retention: has {sorted(table)}, not the values of RetentionHours"
    for number in (*hours, parameter.get("Default", 0)):
        if number < SHORTEST_HOURS:
            yield f"stream.RetentionHours: {number} hours are less than {SHORTEST_HOURS}"
    for number, thresholds in table.items():
        milliseconds = int(number) * 3_600_000
        expected = {"Half": milliseconds * 50 // 100, "Most": milliseconds * 80 // 100}
        yield from differences(f"stream.Retention.{number}", thresholds, expected)


RULES = (stream, tables, delivery_order, retention)
