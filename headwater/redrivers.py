"""The normal path of each stage's dead letters, put together for one installation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from consumers.consume import STAGE as CONSUMER
from consumers.consume import Consumer
from consumers.log_documents import LogDocuments
from consumers.redrive import ConsumerRedriver
from consumers.warehouse.port import Warehouse
from headwater.aws import Aws
from headwater.installation import Installation
from producers.csv.archive import S3Bucket
from producers.csv.file import STAGE as CSV
from producers.csv.handler import Producer as CsvProducer
from producers.csv.redrive import CsvRedriver
from producers.drift_reporter import DriftReporter, S3Sightings
from producers.dynamodb.handler import Producer as DynamoDbProducer
from producers.dynamodb.records import STAGE as DYNAMODB
from producers.dynamodb.redrive import DynamoDbRedriver
from producers.hash_keys import check_use, read_hash_key
from producers.kinesis import KinesisWriter
from producers.letter_store import S3Letters
from producers.publisher import Publisher
from producers.schema_log import S3SchemaLog
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import LetterOutcome, Redriver
from schemas.privacy import HashKey


class _Late:
    """`schemas.letters.outcomes.Redriver` that is made when its first letter comes."""

    def __init__(self, make: Callable[[], Redriver]) -> None:
        self._made = cache(make)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        return self._made().redrive(letters)


def redrivers(here: Installation, aws: Aws, warehouse: Warehouse) -> Mapping[str, Redriver]:
    """By stage. Those of the producers look for the key of hashed fields when their first letter comes: who
    redrives the consumer's letters needs none, and should have none. They raise ConfigurationError then.
    """
    catalog, settings = here.catalog, here.settings
    documents = LogDocuments(aws.s3, settings.log_bucket)
    publisher = Publisher(
        KinesisWriter(aws.kinesis, settings.stream), S3SchemaLog(aws.s3, settings.log_bucket)
    )
    drift = DriftReporter(S3Sightings(aws.s3, settings.source_bucket))

    def dynamodb() -> Redriver:
        key = _hash_key(here, aws)
        return DynamoDbRedriver(
            catalog, lambda store: DynamoDbProducer(catalog, publisher, store, key, drift), key
        )

    def csv() -> Redriver:
        key = _hash_key(here, aws)
        return CsvRedriver(
            lambda store: CsvProducer(
                catalog, publisher, store, lambda name: S3Bucket(aws.s3, name), key, drift
            ),
            S3Letters(aws.s3, settings.source_bucket),
        )

    return {
        CONSUMER: ConsumerRedriver(lambda store: Consumer(catalog, warehouse, store, documents.read)),
        DYNAMODB: _Late(dynamodb),
        CSV: _Late(csv),
    }


def _hash_key(here: Installation, aws: Aws) -> HashKey | None:
    """As the producers find it, with what they refuse: a redrive publishes like them."""
    key = read_hash_key(os.environ, here.catalog)
    if key is not None:
        check_use(aws.s3, here.settings.source_bucket, key, here.catalog)
    return key
