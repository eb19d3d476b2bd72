"""Parsing of S3 event notifications. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from schemas.errors import PoisonEventError
from schemas.positions import order_within_second

TEST = "s3:TestEvent"  # sent once, when notifications are switched on
CREATED = "ObjectCreated:"


class Notice(NamedTuple):
    """A notification of a new object. S3 always fills in all of it; emulators may not."""

    bucket: str
    key: str
    version: str | None
    etag: str | None
    event_time: str | None = None
    sequencer: str | None = None

    def order(self, last_modified: datetime) -> str:
        """Return the order of the upload within the second of its LastModified; "" if it is unknown."""
        try:
            event_time = datetime.fromisoformat(self.event_time or "")
            return order_within_second(last_modified, event_time, self.sequencer or "")
        except (ValueError, TypeError):  # not a time, or one without a zone
            return ""


def read_notices(notification: str) -> list[Notice]:
    """Return the new objects of a notification. Raises PoisonEventError for any other text."""
    try:
        parsed = json.loads(notification)
        if parsed.get("Event") == TEST:
            return []
        return [_notice(record) for record in parsed["Records"] if _is_new(record)]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise PoisonEventError("not a notification of S3") from None


def _is_new(record: Any) -> bool:
    return bool(record["eventName"].startswith(CREATED))


def _notice(record: Any) -> Notice:
    s3 = record["s3"]
    created = s3["object"]
    return Notice(
        bucket=s3["bucket"]["name"],
        key=unquote_plus(created["key"]),  # S3 encodes a blank as +, emulators as %20
        version=created.get("versionId"),
        etag=created.get("eTag"),
        event_time=record.get("eventTime"),
        sequencer=created.get("sequencer"),
    )
