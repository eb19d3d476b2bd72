"""Dead letters and rejected rows as they lie in S3."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import NamedTuple

from headwater.aws import Aws
from headwater.settings import Settings
from schemas.aws_errors import aws_errors
from schemas.dead_letter import DeadLetter, decode_letters


class StoredObject(NamedTuple):
    """One object of a bucket; `size` in bytes, `modified` in seconds since the epoch."""

    key: str
    size: int
    modified: float


class Rejects(NamedTuple):
    """How much of what was dropped was rejected."""

    files: int
    rows: int


def list_objects(aws: Aws, bucket: str, prefix: str) -> Iterator[StoredObject]:
    """The objects under a prefix, in order of key. Raises TransientError, ConfigurationError."""
    with aws_errors(f"listing s3://{bucket}/{prefix}"):
        for page in aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield StoredObject(item["Key"], item["Size"], item["LastModified"].timestamp())


def read_object(aws: Aws, bucket: str, key: str) -> bytes:
    """The whole object. Raises TransientError, ConfigurationError."""
    with aws_errors(f"reading s3://{bucket}/{key}"):
        return aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def read_letters(aws: Aws, settings: Settings) -> list[DeadLetter]:
    """Every dead letter of producers and consumers, each once, in order of stage and id."""
    letters = {
        (letter.stage, letter.id): letter
        for bucket in (settings.source_bucket, settings.log_bucket)
        for item in list_objects(aws, bucket, "dead-letters/")
        for letter in decode_letters(read_object(aws, bucket, item.key))
    }
    return [letters[name] for name in sorted(letters)]


def count_rejects(aws: Aws, settings: Settings) -> Rejects:
    """Files with rejected rows, and how many rows."""
    bodies = [
        read_object(aws, settings.source_bucket, item.key)
        for item in list_objects(aws, settings.source_bucket, "rejects/")
    ]
    return Rejects(len(bodies), sum(map(count_rows, bodies)))


def count_rows(reject_file: bytes) -> int:
    """Rows of a reject file below its header."""
    return max(0, sum(1 for _ in csv.reader(StringIO(reject_file.decode(), newline=""))) - 1)
