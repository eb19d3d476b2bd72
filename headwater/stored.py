"""Objects and rejected rows as they lie in S3."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO, TextIOWrapper
from typing import IO, NamedTuple, cast

from headwater.aws import Aws
from headwater.settings import Settings
from producers.csv.text import MAX_FIELD
from schemas.aws_errors import aws_errors

ROWS = ".csv"
"""Ending of a key under rejects/ that holds the rejected rows of a file."""
REASON = ".reason.json"
"""Ending of a key that says why a file was rejected whole; the file is beside it."""


class StoredObject(NamedTuple):
    """One object of a bucket; `size` in bytes, `modified` in seconds since the epoch."""

    key: str
    size: int
    modified: float


class Rejects(NamedTuple):
    """How much of what was dropped was rejected: single rows, and files as a whole."""

    rows: int
    files: int


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


def count_rejects(aws: Aws, settings: Settings) -> Rejects:
    """Of the files that were read and of those that were not. Raises TransientError, ConfigurationError."""
    bucket = settings.source_bucket
    keys = [item.key for item in list_objects(aws, bucket, "rejects/")]
    rows = sum(_count_rows(aws, bucket, key) for key in keys if key.endswith(ROWS))
    return Rejects(rows, sum(key.endswith(REASON) for key in keys))


def _count_rows(aws: Aws, bucket: str, key: str) -> int:
    """The rows behind the header. Memory holds one, and whatever else lies there is counted, not refused."""
    csv.field_size_limit(MAX_FIELD)  # of the whole process; a reject's cells are as large as its file's
    with aws_errors(f"reading s3://{bucket}/{key}"):
        body = aws.s3.get_object(Bucket=bucket, Key=key)["Body"]
        text = TextIOWrapper(cast(IO[bytes], body), errors="replace", encoding="utf-8", newline="")
        return max(0, sum(1 for row in csv.reader(text) if row) - 1)


def rejected_rows(reject_file: bytes) -> list[dict[str, str]]:
    """The rows of a file of rejects: where each stood, the column and the reason, then its own cells."""
    return list(csv.DictReader(StringIO(reject_file.decode(), newline="")))
