"""Puts a CSV file where the feed of an entity is read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from headwater.aws import Aws
from schemas.aws_errors import aws_errors
from schemas.catalog.entity import CsvSource, DynamoDbSource, Entity
from schemas.errors import ConfigurationError

# LastModified counts in whole seconds, and the last upload of a feed wins. Notifications order the uploads of
# one second, but an emulator may tell less than S3 does.
ONE_SECOND = 1.0


class Dropped(NamedTuple):
    """Where a file went. `version` is S3's id of it."""

    bucket: str
    key: str
    version: str | None


def drop_file(aws: Aws, bucket: str, file: Path, source: CsvSource) -> Dropped:
    """Uploads a file; the next one will be a later one. Raises TransientError, ConfigurationError."""
    key = f"drop/{source.feed}/{file.name}"
    try:
        with file.open("rb") as body, aws_errors(f"uploading to s3://{bucket}/{key}"):
            answer = aws.s3.put_object(Bucket=bucket, Key=key, Body=body)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}; name a CSV file") from error
    time.sleep(ONE_SECOND)
    return Dropped(bucket, key, answer.get("VersionId"))


def feed_of(entity: Entity, feed: str | None) -> CsvSource:
    """The one feed of an entity, or that which is named. Raises ConfigurationError."""
    feeds = {source.feed: source for source in entity.sources if isinstance(source, CsvSource)}
    if feed is None and len(feeds) == 1:
        return next(iter(feeds.values()))
    if feed in feeds:
        return feeds[feed]
    if feeds:
        raise ConfigurationError(f"{entity.name} has the feeds {', '.join(feeds)}: say which with --feed")
    tables = [source.table for source in entity.sources if isinstance(source, DynamoDbSource)]
    raise ConfigurationError(
        f"{entity.name} comes from the DynamoDB table {', '.join(tables)}, not from files: put items there"
    )
