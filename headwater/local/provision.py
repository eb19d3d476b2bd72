"""Creation of what the entities need in an AWS account, and checks of it: tables, buckets, queue, streams.

Every step creates only what is missing, so that it can be repeated. It has two halves, so that a state can be
restored in between: what holds data, then what reports changes.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from headwater.aws import Aws, repeat_while_busy
from headwater.deployed import REPORTING, SOURCE, Deployed
from headwater.sources.kinds import KINDS
from schemas.aws_errors import aws_errors
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, TransientError
from schemas.settings import Settings
from schemas.stream import parse_stream

if TYPE_CHECKING:
    from mypy_boto3_firehose.type_defs import ExtendedS3DestinationConfigurationTypeDef

SHARDS = 2
_ACTIVE_SECONDS = 120.0  # LocalStack takes up to a minute for a delivery stream


def make_stores(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    """Create what holds data: buckets and tables. Raises ConfigurationError, TransientError."""
    for bucket in (settings.log_bucket, settings.source_bucket):
        repeat_while_busy(_make_bucket, aws, bucket)
    repeat_while_busy(_version_bucket, aws, settings.source_bucket)
    for kind in KINDS.values():
        kind.make_stores(aws, settings, catalog)


def make_flow(aws: Aws, settings: Settings, catalog: Catalog, *, pumped: bool) -> None:
    """Create what reports changes: streams of tables, notifications, the Kinesis stream and its delivery.

    `pumped`: this AWS's Firehose never reads Kinesis by itself, so that the runtime puts the records there.
    """
    repeat_while_busy(_make_stream, aws, settings.stream)
    repeat_while_busy(_make_delivery, aws, settings, pumped=pumped)
    for kind in KINDS.values():
        kind.make_flow(aws, settings, catalog)


def check_deployed(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    """Check that everything exists which the steps above would create, and create nothing.

    Raises ConfigurationError with all that is missing or wrong, TransientError.
    """
    found = Deployed()
    _check_bucket(found, aws, settings.log_bucket, REPORTING)
    _check_bucket(found, aws, settings.source_bucket, SOURCE)
    with found.check(f"stream {settings.stream}", REPORTING):
        _check_delivery(found, aws, settings, _stream_arn(aws, settings.stream))
    for kind in KINDS.values():
        kind.check(found, aws, settings, catalog)
    found.require()


def _check_bucket(found: Deployed, aws: Aws, bucket: str, template: str) -> None:
    with found.check(f"bucket {bucket}", template):
        if aws.s3.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
            raise ConfigurationError(f"the bucket {bucket} has no versioning")


def _check_delivery(found: Deployed, aws: Aws, settings: Settings, stream_arn: str) -> None:
    name = settings.delivery_stream
    # The owner of another account's stream delivers it to the log; it can't be seen from this account.
    if stream_arn.split(":")[4] != aws.client("sts").get_caller_identity()["Account"]:
        return
    with found.check(f"delivery stream {name}", REPORTING):
        description = aws.firehose.describe_delivery_stream(DeliveryStreamName=name)[
            "DeliveryStreamDescription"
        ]
        source = description.get("Source", {}).get("KinesisStreamSourceDescription", {})
        if source.get("KinesisStreamARN") != stream_arn:
            raise ConfigurationError(f"the delivery stream {name} does not read the stream {settings.stream}")
        destination = description["Destinations"][0].get("ExtendedS3DestinationDescription", {})
        bucket = destination.get("BucketARN", "").rpartition(":")[2]
        if (bucket, destination.get("Prefix")) != (settings.log_bucket, "log/"):
            raise ConfigurationError(
                f"the delivery stream {name} does not write to s3://{settings.log_bucket}/log/"
            )


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
    """Return the location of a bucket. S3 refuses the name of us-east-1, its default."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _make_stream(aws: Aws, stream: str) -> None:
    with aws_errors(f"making the stream {stream}"):
        named = parse_stream(stream)
        if named.arn is None:  # an ARN names a stream that exists
            with suppress(aws.kinesis.exceptions.ResourceInUseException):
                aws.kinesis.create_stream(StreamName=stream, ShardCount=SHARDS)
        waiter = aws.kinesis.get_waiter("stream_exists")
        waiter.wait(**named.arguments, WaiterConfig={"Delay": 1})


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
    summary = aws.kinesis.describe_stream_summary(**parse_stream(stream).arguments)
    return summary["StreamDescriptionSummary"]["StreamARN"]
