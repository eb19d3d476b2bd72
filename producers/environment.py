"""What a Lambda function of the producers is wired to, read from its environment once in a container's life.

| variable | |
|---|---|
| HEADWATER_STREAM | the Kinesis stream that takes the events; default headwater-events |
| HEADWATER_LOG_BUCKET | the bucket of the log, for the schemas; default headwater-log |
| HEADWATER_SOURCE_BUCKET | the bucket in the source account, for dead letters; default headwater-source |
| HEADWATER_HOME | a folder with entities/ instead of the sample entities |
| HEADWATER_HASH_SECRET, or HEADWATER_HASH_KEY | the key of hashed fields: producers/hash_keys.py |

boto3 reads its own: AWS_ENDPOINT_URL, AWS_REGION and the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import boto3

from producers.drift_reporter import DriftReporter, S3Sightings
from producers.hash_keys import check_use, read_hash_key
from producers.kinesis import KinesisWriter
from producers.letter_store import S3Letters
from producers.publisher import Publisher
from producers.schema_log import S3SchemaLog
from schemas.aws_errors import silence_botocore_bodies
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.privacy import HashKey

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Wiring(NamedTuple):
    """The parts that every source needs."""

    catalog: Catalog
    publisher: Publisher
    letters: S3Letters
    s3: S3Client
    hash_key: HashKey | None
    drift: DriftReporter


def wire(environ: Mapping[str, str]) -> Wiring:
    """The parts that the environment describes. Raises ConfigurationError, TransientError."""
    silence_botocore_bodies()
    home = environ.get("HEADWATER_HOME")
    catalog = load_catalog(Path(home) if home else None)
    s3 = boto3.client("s3")
    source_bucket = environ.get("HEADWATER_SOURCE_BUCKET", "headwater-source")
    hash_key = read_hash_key(environ, catalog)
    if hash_key is not None:
        check_use(s3, source_bucket, hash_key, catalog)
    log_bucket = environ.get("HEADWATER_LOG_BUCKET", "headwater-log")
    writer = KinesisWriter(boto3.client("kinesis"), environ.get("HEADWATER_STREAM", "headwater-events"))
    return Wiring(
        catalog,
        Publisher(writer, S3SchemaLog(s3, log_bucket)),
        S3Letters(s3, source_bucket),
        s3,
        hash_key,
        DriftReporter(S3Sightings(s3, source_bucket)),
    )
