"""Makes what the entities need in an AWS account: tables, buckets, queue, stream, delivery stream.

Every step makes only what is missing, so that it may be repeated. In two halves, so that a restored state
lies between them: what holds things, then what watches for changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from botocore.exceptions import ClientError

from headwater.aws import Aws
from headwater.settings import Settings
from schemas.aws_errors import aws_errors
from schemas.catalog.entity import Catalog, KeyAttribute
from schemas.errors import ConfigurationError, ConflictError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_firehose.type_defs import ExtendedS3DestinationConfigurationTypeDef
    from mypy_boto3_s3.type_defs import QueueConfigurationTypeDef

T = TypeVar("T")

SHARDS = 2
WATCHED_PREFIXES = ("drop/", "corrections/")
_BUSY_SECONDS = 90.0  # SQS refuses a queue's name for a minute after its deletion
_BUSY_PAUSE = 0.5
_ACTIVE_SECONDS = 120.0  # LocalStack takes up to a minute for a delivery stream


def make_stores(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    """The buckets, and the tables without a stream yet. Raises ConfigurationError, TransientError."""
    for bucket in (settings.log_bucket, settings.source_bucket):
        _repeated(_make_bucket, aws, bucket)
    _repeated(_version_bucket, aws, settings.source_bucket)
    for table, key in catalog.tables().items():
        _repeated(_make_table, aws, table, key)


def make_flow(aws: Aws, settings: Settings, catalog: Catalog, *, pumped: bool) -> None:
    """The streams of the tables, the notifications, the Kinesis stream and its way to the log.

    `pumped`: this AWS's Firehose never reads Kinesis by itself, so that the runtime puts the records there.
    """
    _repeated(_make_stream, aws, settings.stream)
    _repeated(_make_delivery, aws, settings, pumped=pumped)
    for table in catalog.tables():
        _repeated(_enable_stream, aws, table)
    _repeated(_watch, aws, settings.source_bucket, _repeated(_make_queue, aws, settings))


def _repeated(step: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """The step's result, tried again while AWS answers that something is under way or in use.

    The answer to an earlier call may have been lost, and what it asked for is still being made.
    """
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return step(*arguments, **named)
        except (ConflictError, TransientError) as error:
            answered = isinstance(error.__cause__, ClientError)
            if not answered or time.monotonic() > give_up:
                raise
        time.sleep(_BUSY_PAUSE)


def find_queue(aws: Aws, settings: Settings) -> tuple[str, str]:
    """URL and ARN of the queue that is told of files. Raises ConfigurationError when there is none."""
    with aws_errors(f"looking for the queue {settings.queue}"):
        url = aws.sqs.get_queue_url(QueueName=settings.queue)["QueueUrl"]
        found = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def _version_bucket(aws: Aws, bucket: str) -> None:
    with aws_errors(f"versioning the bucket {bucket}"):
        aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def _make_bucket(aws: Aws, bucket: str) -> None:
    with aws_errors(f"making the bucket {bucket}"):
        try:
            aws.s3.create_bucket(Bucket=bucket, **_placement(aws.region))
        except aws.s3.exceptions.BucketAlreadyOwnedByYou:
            return


def _placement(region: str) -> dict[str, Any]:
    """us-east-1 is the one region that may not be named."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _make_table(aws: Aws, table: str, key: Sequence[KeyAttribute]) -> None:
    kinds: tuple[Literal["HASH", "RANGE"], ...] = ("HASH", "RANGE")
    with aws_errors(f"making the table {table}"):
        with suppress(aws.dynamodb.exceptions.ResourceInUseException):
            aws.dynamodb.create_table(
                TableName=table,
                KeySchema=[
                    {"AttributeName": attribute.name, "KeyType": kind}
                    for attribute, kind in zip(key, kinds, strict=False)
                ],
                AttributeDefinitions=[
                    {"AttributeName": attribute.name, "AttributeType": attribute.type} for attribute in key
                ],
                BillingMode="PAY_PER_REQUEST",
            )
        aws.dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


def _enable_stream(aws: Aws, table: str) -> None:
    found = _stream_of(aws, table)
    if not found.get("StreamEnabled"):
        try:
            with aws_errors(f"enabling the stream of the table {table}"):
                aws.dynamodb.update_table(
                    TableName=table,
                    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
                )
        except ConfigurationError:  # AWS says so of a stream that is enabled, as after a lost answer
            if not _stream_of(aws, table).get("StreamEnabled"):
                raise
    elif found.get("StreamViewType") != "NEW_AND_OLD_IMAGES":
        raise ConfigurationError(
            f"the stream of the table {table} is {found.get('StreamViewType')}, which Headwater can't read: "
            "disable it and enable it with NEW_AND_OLD_IMAGES"
        )


def _stream_of(aws: Aws, table: str) -> Mapping[str, Any]:
    with aws_errors(f"looking at the stream of the table {table}"):
        return aws.dynamodb.describe_table(TableName=table)["Table"].get("StreamSpecification", {})


def _make_stream(aws: Aws, stream: str) -> None:
    with aws_errors(f"making the stream {stream}"):
        with suppress(aws.kinesis.exceptions.ResourceInUseException):
            aws.kinesis.create_stream(StreamName=stream, ShardCount=SHARDS)
        aws.kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})


def _make_delivery(aws: Aws, settings: Settings, *, pumped: bool) -> None:
    name = settings.delivery_stream
    destination: ExtendedS3DestinationConfigurationTypeDef = {
        "RoleARN": settings.firehose_role,
        "BucketARN": f"arn:aws:s3:::{settings.log_bucket}",
        "Prefix": "log/",
        "ErrorOutputPrefix": "log-errors/",
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
        "CompressionFormat": "UNCOMPRESSED",
    }
    with aws_errors(f"making the delivery stream {name}"):
        try:
            if pumped:
                aws.firehose.create_delivery_stream(
                    DeliveryStreamName=name,
                    DeliveryStreamType="DirectPut",
                    ExtendedS3DestinationConfiguration=destination,
                )
            else:
                aws.firehose.create_delivery_stream(
                    DeliveryStreamName=name,
                    DeliveryStreamType="KinesisStreamAsSource",
                    KinesisStreamSourceConfiguration={
                        "KinesisStreamARN": _stream_arn(aws, settings.stream),
                        "RoleARN": settings.firehose_role,
                    },
                    ExtendedS3DestinationConfiguration=destination,
                )
        except aws.firehose.exceptions.ResourceInUseException:
            pass
    _await_delivery(aws, name)


def _await_delivery(aws: Aws, name: str) -> None:
    give_up = time.monotonic() + _ACTIVE_SECONDS
    while True:
        with aws_errors(f"looking at the delivery stream {name}"):
            answer = aws.firehose.describe_delivery_stream(DeliveryStreamName=name)
        if answer["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE":
            return
        if time.monotonic() > give_up:
            raise TransientError(
                f"the delivery stream {name} did not become ACTIVE within {_ACTIVE_SECONDS:g} s"
            )
        time.sleep(1)


def _stream_arn(aws: Aws, stream: str) -> str:
    return aws.kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]


def _make_queue(aws: Aws, settings: Settings) -> str:
    """The queue's ARN. S3 alone, for this one bucket, may send to it."""
    with aws_errors(f"making the queue {settings.queue}"):
        try:
            aws.sqs.get_queue_url(QueueName=settings.queue)
        except aws.sqs.exceptions.QueueDoesNotExist:
            aws.sqs.create_queue(QueueName=settings.queue)
    url, arn = find_queue(aws, settings)
    with aws_errors(f"letting S3 send to the queue {settings.queue}"):
        aws.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps(_only_from(settings.source_bucket, arn))}
        )
    return arn


def _only_from(bucket: str, queue_arn: str) -> dict[str, object]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html"""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _watch(aws: Aws, bucket: str, queue_arn: str) -> None:
    """Notifications of both prefixes to the queue; what else the bucket notifies stays."""
    with aws_errors(f"asking the bucket {bucket} for notifications"):
        found = aws.s3.get_bucket_notification_configuration(Bucket=bucket)
        others = [q for q in found.get("QueueConfigurations", []) if q["QueueArn"] != queue_arn]
        aws.s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "TopicConfigurations": found.get("TopicConfigurations", []),
                "LambdaFunctionConfigurations": found.get("LambdaFunctionConfigurations", []),
                "QueueConfigurations": [*others, *_queue_configurations(queue_arn)],
            },
        )


def _queue_configurations(queue_arn: str) -> Iterator[QueueConfigurationTypeDef]:
    for prefix in WATCHED_PREFIXES:
        yield {
            "Id": f"headwater-{prefix.strip('/')}",
            "QueueArn": queue_arn,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
        }
