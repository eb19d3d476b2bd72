"""The AWS clients of one process, created in one place and before any thread: creation is not thread-safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from schemas.aws_errors import aws_errors
from schemas.errors import ConflictError, TransientError
from schemas.settings import Settings

if TYPE_CHECKING:
    import botocore.session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_firehose import FirehoseClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

T = TypeVar("T")

_BUSY_SECONDS = 90.0  # SQS refuses a queue's name for a minute after its deletion
_BUSY_PAUSE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """Every client that the command line and the local runtime use; threads may share them."""

    dynamodb: DynamoDBClient
    dynamodbstreams: DynamoDBStreamsClient
    firehose: FirehoseClient
    kinesis: KinesisClient
    s3: S3Client
    sqs: SQSClient
    region: str
    client: Callable[[str], Any]
    """Create another client, by the name of its service, for the same endpoint and credentials."""


def connect(environ: Mapping[str, str] | None = None, settings: Settings | None = None) -> Aws:
    """Clients for the endpoint, region and credentials of this process's environment.

    With `environ`, those of the embedded AWS, whatever AWS_* variables the process has. `settings` name the
    stream, and the role to assume for it. The time-outs are short, since every caller either gives up or
    retries by itself. Raises ConfigurationError.
    """
    import boto3
    from botocore.config import Config

    from consumers.aws_clients import aws_clients

    # A proxy of the environment is never meant for the embedded AWS on this machine.
    isolated: dict[str, Any] = {} if environ is None else {"proxies": {}}
    endpoint = environ["AWS_ENDPOINT_URL"] if environ else None
    config = Config(
        connect_timeout=3, read_timeout=60, retries={"total_max_attempts": 3, "mode": "standard"}, **isolated
    )
    with aws_errors("connecting to AWS"):
        session: Any = boto3.session.Session(botocore_session=_session(environ) if environ else None)
        client = aws_clients(settings or Settings(), session.client, endpoint_url=endpoint, config=config)
        s3 = client("s3")
        return Aws(
            dynamodb=client("dynamodb"),
            dynamodbstreams=client("dynamodbstreams"),
            firehose=client("firehose"),
            kinesis=client("kinesis"),
            s3=s3,
            sqs=client("sqs"),
            region=s3.meta.region_name,
            client=client,
        )


def _session(environ: Mapping[str, str]) -> botocore.session.Session:
    """A session of these credentials that reads no AWS_* variable of the process."""
    import botocore.session
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as VARIABLES

    unread = {name: (option, None, *rest) for name, (option, _variable, *rest) in VARIABLES.items()}
    session = botocore.session.Session(session_vars=unread)
    session.set_config_variable("region", environ["AWS_DEFAULT_REGION"])
    session.set_credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
    return session


def repeat_while_busy(step: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call `step` again while AWS answers that something is in progress or in use; return its result.

    The answer to an earlier call may have been lost, and what it asked for is still being created. Raises
    what `step` raises after 90 s.
    """
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return step(*arguments, **named)
        except (ConflictError, TransientError) as error:
            # Only an answer of AWS is worth the wait; without one the endpoint is away.
            if not _is_answer(error) or time.monotonic() > give_up:
                raise
        time.sleep(_BUSY_PAUSE)


def _is_answer(error: Exception) -> bool:
    from botocore.exceptions import ClientError

    return isinstance(error.__cause__, ClientError)
