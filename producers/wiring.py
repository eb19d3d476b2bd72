"""Construction of the parts of a producer from the settings, for Lambda, `headwater up` and redrives."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from producers.aws_clients import aws_clients
from producers.drift_reporter import DriftReporter, S3Sightings
from producers.hash_keys import check_use, read_hash_key, secret_reader
from producers.kinesis import KinesisWriter
from producers.publisher import Publisher
from producers.schema_log import S3SchemaLog
from schemas.aws_errors import silence_botocore_bodies
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.letters.letter import LetterStore
from schemas.letters.s3_letters import S3Letters
from schemas.privacy import HashKey
from schemas.settings import Settings, read_settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Wiring(NamedTuple):
    """The parts of a producer. A redrive replaces `letters`, to see which letters come again."""

    catalog: Catalog
    publisher: Publisher
    letters: LetterStore
    s3: S3Client
    hash_key: HashKey | None
    drift: DriftReporter


def wire(
    settings: Settings, client: Callable[[str], Any] | None = None, catalog: Catalog | None = None
) -> Wiring:
    """Build the parts for these settings. Raises ConfigurationError and TransientError.

    `client` creates a client of an AWS service by its name (default: producers/aws_clients.py). `catalog` is
    that of the settings' home, if it is loaded already.
    """
    silence_botocore_bodies()  # at DEBUG level botocore logs request bodies, which hold field values (INV-7)
    catalog = catalog or load_catalog(settings.home)
    client = client or aws_clients(settings)
    s3 = client("s3")
    hash_key = read_hash_key(settings, catalog, secret_reader(client))
    if hash_key is not None:
        check_use(s3, settings.source_bucket, hash_key, catalog)
    writer = KinesisWriter(client("kinesis"), settings.stream)
    return Wiring(
        catalog=catalog,
        publisher=Publisher(writer, S3SchemaLog(s3, settings.log_bucket)),
        letters=S3Letters(s3, settings.source_bucket),
        s3=s3,
        hash_key=hash_key,
        drift=DriftReporter(S3Sightings(s3, settings.source_bucket)),
    )


def wire_from_environment() -> Wiring:
    """Build the parts of a Lambda function from its environment (schemas/settings.py)."""
    return wire(read_settings(os.environ))
