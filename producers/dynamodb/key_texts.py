"""The one text of a value in a table's own key: what is written otherwise could be another item. Pure.

A table tells its items apart by texts, an entity its rows by typed values. Two texts of one moment are two
items and would be one row, so of each value one text alone is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from schemas.payload.avsc import EPOCHS
from schemas.payload.fields import Field, FieldType
from schemas.privacy import Privacy


def only_text(field: Field) -> Callable[[Any], str] | None:
    """How the values of a field are written where several texts have one value; None where none have.

    UUIDs in lower case; times and timestamps as `java.time` writes them, in UTC, with 0, 3 or 6 digits of a
    second; with a format by that format, in UTC. DynamoDB itself has one form for each number.
    """
    kind, pattern = field.kind, field.format
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
    """A moment in UTC; a time, a date or a local moment as it is."""
    is_moment = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC).replace(tzinfo=None) if is_moment else value


def _iso(value: Any) -> str:
    micros, zone = value.microsecond, "" if value.tzinfo is None else "Z"
    digits = "microseconds" if micros % 1_000 else "milliseconds" if micros else "seconds"
    return f"{_utc(value).isoformat(timespec=digits)}{zone}"
