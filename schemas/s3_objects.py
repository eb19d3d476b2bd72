"""Listing and reading of objects in S3, with a client that the caller passes in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from schemas.aws_errors import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class StoredObject(NamedTuple):
    """An object of a bucket; `size` is in bytes, `modified` in seconds since the epoch."""

    key: str
    size: int
    modified: float


def list_objects(s3: S3Client, bucket: str, prefix: str, after: str = "") -> Iterator[StoredObject]:
    """Yield the objects under a prefix whose keys sort after `after`, in order of key. Raises TransientError,
    ConfigurationError."""
    pages = s3.get_paginator("list_objects_v2")
    # Pages are requested lazily, so that the whole iteration has to be inside the block.
    with aws_errors(f"listing s3://{bucket}/{prefix}"):
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after):
            for item in page.get("Contents", []):
                yield StoredObject(item["Key"], item["Size"], item["LastModified"].timestamp())


def read_object(s3: S3Client, bucket: str, key: str) -> bytes:
    """Return the content of an object. Raises TransientError, ConfigurationError."""
    with aws_errors(f"reading s3://{bucket}/{key}"):
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
