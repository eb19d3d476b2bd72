"""Lambda events from what boto3 reads. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html, with-kinesis.html and with-sqs.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from consumers.kinesis import KinesisRecord
from producers.dynamodb.item_records import item_as_json

LambdaEvent: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[LambdaEvent, object], Mapping[str, Any]]
"""A Lambda handler that returns batchItemFailures."""


def dynamodb_event(records: Iterable[Mapping[str, Any]], stream_arn: str) -> LambdaEvent:
    """Return the event for records that GetRecords of a DynamoDB stream returned."""
    return {"Records": [_dynamodb_record(record, stream_arn) for record in records]}


def kinesis_event(records: Iterable[KinesisRecord], stream_arn: str) -> LambdaEvent:
    """Return the event for records of a Kinesis stream, without their partition keys.

    The reader does not keep partition keys, and no handler reads them.
    """
    return {"Records": [_kinesis_record(record, stream_arn) for record in records]}


def sqs_event(received: Iterable[Mapping[str, Any]], queue_arn: str) -> LambdaEvent:
    """Return the event for messages that ReceiveMessage of SQS returned."""
    return {"Records": [_sqs_record(one, queue_arn) for one in received]}


def _dynamodb_record(record: Mapping[str, Any], stream_arn: str) -> LambdaEvent:
    change = dict(record["dynamodb"])
    for image in change.keys() & {"Keys", "NewImage", "OldImage"}:
        change[image] = item_as_json(change[image])
    change["ApproximateCreationDateTime"] = _seconds(change["ApproximateCreationDateTime"])
    made = {**record, "dynamodb": change, "eventSourceARN": stream_arn}
    if "userIdentity" in record:  # set if time to live deleted the item; the API spells it differently
        given = record["userIdentity"]
        made["userIdentity"] = {"type": given["Type"], "principalId": given["PrincipalId"]}
    return made


def _kinesis_record(record: KinesisRecord, stream_arn: str) -> LambdaEvent:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "sequenceNumber": record.sequence,
            "data": _base64(record.payload),
            "approximateArrivalTimestamp": record.arrived_at.timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{record.shard}:{record.sequence}",
        "eventName": "aws:kinesis:record",
        "awsRegion": _region(stream_arn),
        "eventSourceARN": stream_arn,
    }


def _sqs_record(received: Mapping[str, Any], queue_arn: str) -> LambdaEvent:
    return {
        "messageId": received["MessageId"],
        "receiptHandle": received["ReceiptHandle"],
        "body": received["Body"],
        "attributes": received.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": received["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": _region(queue_arn),
    }


def _region(arn: str) -> str:
    return arn.split(":")[3]


def _seconds(moment: datetime) -> float | int:
    """Return seconds since the epoch, as an int if they are whole, as AWS sends them."""
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
