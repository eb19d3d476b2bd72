"""Objects and rejected rows as they lie in S3."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import NamedTuple

from headwater.aws import Aws
from schemas.aws_errors import aws_errors


class StoredObject(NamedTuple):
    """One object of a bucket; `size` in bytes, `modified` in seconds since the epoch."""

    key: str
    size: int
    modified: float


def list_objects(aws: Aws, bucket: str, prefix: str, after: str = "") -> Iterator[StoredObject]:
    """The objects under a prefix whose keys come after `after`, in order of key. Raises TransientError,
    ConfigurationError."""
    pages = aws.s3.get_paginator("list_objects_v2")
    with aws_errors(f"listing s3://{bucket}/{prefix}"):
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after):
            for item in page.get("Contents", []):
                yield StoredObject(item["Key"], item["Size"], item["LastModified"].timestamp())


def read_object(aws: Aws, bucket: str, key: str) -> bytes:
    """The whole object. Raises TransientError, ConfigurationError."""
    with aws_errors(f"reading s3://{bucket}/{key}"):
        return aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def rejected_rows(reject_file: bytes) -> list[dict[str, str]]:
    """The rows of a file of rejects: where each stood, the column and the reason, then its own cells."""
    return list(csv.DictReader(StringIO(reject_file.decode(), newline="")))
