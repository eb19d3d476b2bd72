"""Notifications of S3: which objects they speak of. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from schemas.errors import PoisonEventError

TEST = "s3:TestEvent"  # what S3 sends when notifications are switched on
CREATED = "ObjectCreated:"


class Notice(NamedTuple):
    """What a notification says of an object. S3 itself always tells version and ETag."""

    bucket: str
    key: str
    version: str | None
    etag: str | None


def read_notices(notification: str) -> list[Notice]:
    """The new objects that it names. Raises PoisonEventError for what is no notification of S3."""
    try:
        found = json.loads(notification)
        if found.get("Event") == TEST:
            return []
        return [_notice(record["s3"]) for record in found["Records"] if _is_new(record)]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise PoisonEventError("not a notification of S3") from None


def _is_new(record: Any) -> bool:
    return bool(record["eventName"].startswith(CREATED))


def _notice(s3: Any) -> Notice:
    made = s3["object"]
    key = unquote_plus(made["key"])  # a blank comes as +, elsewhere as %20
    return Notice(s3["bucket"]["name"], key, made.get("versionId"), made.get("eTag"))
