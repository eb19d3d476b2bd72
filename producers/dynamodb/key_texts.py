"""The canonical text of a value in a table's own key. Pure.

A table distinguishes its items by text, an entity its rows by typed values. Two texts of the same moment are
two items, but would be one row. So only the canonical text of a value is accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from schemas.payload.avsc import EPOCHS
from schemas.payload.fields import Field, FieldType
from schemas.privacy import Privacy


def only_text(field: Field) -> Callable[[Any], str] | None:
    """Return the function that writes a value's canonical text; None where each value has only one text.

    UUIDs are in lower case. Times and timestamps are in UTC, with 0, 3 or 6 digits of a second as `java.time`
    writes them, or in the field's format.
    """
    kind, pattern = field.kind, field.format
    # The value of a private field is its text itself, and DynamoDB normalizes numbers, such as an epoch.
    if field.private is not Privacy.PUBLIC or pattern in EPOCHS:
        return None
    if kind is FieldType.UUID:
        return str
    if kind is FieldType.DATE and pattern is None:
        return None
    if kind is not FieldType.DATE and not kind.startswith(("time", "local-timestamp")):
        return None
    return _iso if pattern is None else lambda value: str(_utc(value).strftime(pattern))


def _utc(value: Any) -> Any:
    """Convert a moment with a zone to naive UTC; leave other values as they are."""
    is_moment = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC).replace(tzinfo=None) if is_moment else value


def _iso(value: Any) -> str:
    micros, zone = value.microsecond, "" if value.tzinfo is None else "Z"
    digits = "microseconds" if micros % 1_000 else "milliseconds" if micros else "seconds"
    return f"{_utc(value).isoformat(timespec=digits)}{zone}"
