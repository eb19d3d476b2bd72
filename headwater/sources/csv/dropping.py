"""Upload of a CSV file to a feed."""

from __future__ import annotations

import time
from pathlib import Path

from headwater.aws import Aws
from headwater.sources.kind import Dropped
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.settings import Settings
from schemas.sources.csv import CsvSource

# LastModified counts in whole seconds, and the last upload of a feed wins. Notifications order the uploads of
# one second, but those of an emulator may lack the sequencer that S3 adds.
ONE_SECOND = 1.0


def drop_file(aws: Aws, settings: Settings, file: Path, source: CsvSource) -> Dropped:
    """Upload a file, and wait until the next upload will be later.

    Raises TransientError, ConfigurationError.
    """
    bucket = settings.source_bucket
    key = f"drop/{source.feed}/{file.name}"
    try:
        with file.open("rb") as body, aws_errors(f"uploading to s3://{bucket}/{key}"):
            answer = aws.s3.put_object(Bucket=bucket, Key=key, Body=body)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}; name a CSV file") from error
    time.sleep(ONE_SECOND)
    return Dropped(bucket, key, answer.get("VersionId"))
