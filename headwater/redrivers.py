"""The normal path of each stage's dead letters, put together for one installation."""

from __future__ import annotations

import os
from collections.abc import Mapping

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
from producers.dynamodb.handler import Producer as DynamoDbProducer
from producers.dynamodb.records import STAGE as DYNAMODB
from producers.dynamodb.redrive import DynamoDbRedriver
from producers.hash_keys import read_hash_key
from producers.kinesis import KinesisWriter
from producers.letters import S3Letters
from producers.publisher import Publisher
from producers.schema_log import S3SchemaLog
from schemas.letter_outcomes import Redriver


def redrivers(here: Installation, aws: Aws, warehouse: Warehouse) -> Mapping[str, Redriver]:
    """By stage. Raises ConfigurationError where a field is hashed and no key is set."""
    catalog, settings = here.catalog, here.settings
    documents = LogDocuments(aws.s3, settings.log_bucket)
    publisher = Publisher(
        KinesisWriter(aws.kinesis, settings.stream), S3SchemaLog(aws.s3, settings.log_bucket)
    )
    key = read_hash_key(os.environ, catalog)
    return {
        CONSUMER: ConsumerRedriver(lambda store: Consumer(catalog, warehouse, store, documents.read)),
        DYNAMODB: DynamoDbRedriver(catalog, lambda store: DynamoDbProducer(catalog, publisher, store, key)),
        CSV: CsvRedriver(
            lambda store: CsvProducer(catalog, publisher, store, lambda name: S3Bucket(aws.s3, name), key),
            S3Letters(aws.s3, settings.source_bucket),
        ),
    }
