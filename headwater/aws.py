"""The AWS clients of one process, made in one place and before any thread: making them is not thread-safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.aws_errors import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_firehose import FirehoseClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Aws:
    """Every client that the command line and the local runtime use; they may be shared by threads."""

    dynamodb: DynamoDBClient
    dynamodbstreams: DynamoDBStreamsClient
    firehose: FirehoseClient
    kinesis: KinesisClient
    s3: S3Client
    sqs: SQSClient
    region: str


def connect() -> Aws:
    """Clients for the endpoint, region and credentials of the environment. Raises ConfigurationError.

    An endpoint that is away is known within seconds, since every caller either gives up or retries by itself.
    """
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=60, retries={"total_max_attempts": 3, "mode": "standard"})
    with aws_errors("connecting to AWS"):
        session = boto3.session.Session()
        return Aws(
            dynamodb=session.client("dynamodb", config=config),
            dynamodbstreams=session.client("dynamodbstreams", config=config),
            firehose=session.client("firehose", config=config),
            kinesis=session.client("kinesis", config=config),
            s3=session.client("s3", config=config),
            sqs=session.client("sqs", config=config),
            region=session.client("s3").meta.region_name,
        )
