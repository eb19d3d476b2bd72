"""Access to objects in S3 and to files of rejected rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import NamedTuple

from headwater.aws import Aws
from schemas.aws_errors import aws_errors


class StoredObject(NamedTuple):
    """An object of a bucket; `size` is in bytes, `modified` in seconds since the epoch."""

    key: str
    size: int
    modified: float


def list_objects(aws: Aws, bucket: str, prefix: str, after: str = "") -> Iterator[StoredObject]:
    """Yield the objects under a prefix whose keys sort after `after`, in order of key. Raises TransientError,
    ConfigurationError."""
    pages = aws.s3.get_paginator("list_objects_v2")
    # Pages are requested lazily, so that the whole iteration has to be inside the block.
    with aws_errors(f"listing s3://{bucket}/{prefix}"):
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after):
            for item in page.get("Contents", []):
                yield StoredObject(item["Key"], item["Size"], item["LastModified"].timestamp())


def read_object(aws: Aws, bucket: str, key: str) -> bytes:
    """Return the content of an object. Raises TransientError, ConfigurationError."""
    with aws_errors(f"reading s3://{bucket}/{key}"):
        return aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def rejected_rows(reject_file: bytes) -> list[dict[str, str]]:
    """Return the rows of a rejects file: row number, position, column and reason, followed by the cells."""
    return list(csv.DictReader(StringIO(reject_file.decode(), newline="")))
