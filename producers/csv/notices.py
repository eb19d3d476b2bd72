"""Notifications of S3: which objects they speak of. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from schemas.errors import PoisonEventError
from schemas.positions import order_within_second

TEST = "s3:TestEvent"  # what S3 sends when notifications are switched on
CREATED = "ObjectCreated:"


class Notice(NamedTuple):
    """What a notification says of an object. S3 itself always tells all of it."""

    bucket: str
    key: str
    version: str | None
    etag: str | None
    event_time: str | None = None
    sequencer: str | None = None

    def order(self, last_modified: datetime) -> str:
        """Of the upload within the second of its LastModified; nothing where no time was told."""
        try:
            event_time = datetime.fromisoformat(self.event_time or "")
            return order_within_second(last_modified, event_time, self.sequencer or "")
        except (ValueError, TypeError):  # no moment, or one without a zone
            return ""


def read_notices(notification: str) -> list[Notice]:
    """The new objects that it names. Raises PoisonEventError for what is no notification of S3."""
    try:
        found = json.loads(notification)
        if found.get("Event") == TEST:
            return []
        return [_notice(record) for record in found["Records"] if _is_new(record)]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise PoisonEventError("not a notification of S3") from None


def _is_new(record: Any) -> bool:
    return bool(record["eventName"].startswith(CREATED))


def _notice(record: Any) -> Notice:
    s3, event_time = record["s3"], record.get("eventTime")
    made = s3["object"]
    key = unquote_plus(made["key"])  # a blank comes as +, elsewhere as %20
    told = made.get("versionId"), made.get("eTag"), event_time, made.get("sequencer")
    return Notice(s3["bucket"]["name"], key, *told)
