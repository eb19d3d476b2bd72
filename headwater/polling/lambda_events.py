"""What boto3 reads, in the form in which Lambda hands it to a handler. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html, with-kinesis.html and with-sqs.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from consumers.kinesis import KinesisRecord

LambdaEvent: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[LambdaEvent, object], Mapping[str, Any]]
"""A Lambda function that answers with its batchItemFailures."""


def dynamodb_event(records: Iterable[Mapping[str, Any]], stream_arn: str) -> LambdaEvent:
    """Records of GetRecords of a DynamoDB stream."""
    return {"Records": [_dynamodb_record(record, stream_arn) for record in records]}


def kinesis_event(records: Iterable[KinesisRecord], stream_arn: str) -> LambdaEvent:
    """Records of a Kinesis stream, but for their partition keys: what reads them does not keep those."""
    return {"Records": [_kinesis_record(record, stream_arn) for record in records]}


def sqs_event(received: Iterable[Mapping[str, Any]], queue_arn: str) -> LambdaEvent:
    """What ReceiveMessage of SQS gave."""
    return {"Records": [_sqs_record(one, queue_arn) for one in received]}


def _dynamodb_record(record: Mapping[str, Any], stream_arn: str) -> LambdaEvent:
    change = dict(record["dynamodb"])
    for image in change.keys() & {"Keys", "NewImage", "OldImage"}:
        change[image] = {name: attribute_as_json(value) for name, value in change[image].items()}
    change["ApproximateCreationDateTime"] = _seconds(change["ApproximateCreationDateTime"])
    made = {**record, "dynamodb": change, "eventSourceARN": stream_arn}
    if "userIdentity" in record:  # who deleted it, when that was time to live; the API spells it otherwise
        given = record["userIdentity"]
        made["userIdentity"] = {"type": given["Type"], "principalId": given["PrincipalId"]}
    return made


def attribute_as_json(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """A typed attribute as boto3 gives it, with its binary values, at any depth, as base64 text."""
    return _converted(attribute, _base64)


def attribute_from_json(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `attribute_as_json`."""
    return _converted(attribute, base64.b64decode)


def _converted(attribute: Mapping[str, Any], binary: Callable[[Any], Any]) -> dict[str, Any]:
    ((kind, value),) = attribute.items()
    match kind:
        case "B":
            return {kind: binary(value)}
        case "BS":
            return {kind: [binary(one) for one in value]}
        case "L":
            return {kind: [_converted(one, binary) for one in value]}
        case "M":
            return {kind: {name: _converted(one, binary) for name, one in value.items()}}
        case _:
            return {kind: value}


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
    """Seconds since the epoch; whole ones as a whole number, which is all that AWS tells."""
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
