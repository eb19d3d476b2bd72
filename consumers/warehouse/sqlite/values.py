"""Exact conversion between Python's typed values and SQLite's.

SQLite has no decimal, date or boolean type. A decimal is stored as text with the digits of its column's
scale. Dates and times are stored as ISO 8601 with the field's precision: the width is fixed, so that text
sorts by time, and SQLite's date functions can read it. Floats are exact but for the sign of a negative zero.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from consumers.warehouse.columns import Converter
from schemas.payload.fields import Field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Storage(NamedTuple):
    """Storage of a kind of field. `write` or `read` is None if SQLite and Python have the same value."""

    sql_type: str
    write: Converter | None = None
    read: Converter | None = None


def _milliseconds(value: datetime | time) -> str:
    return value.isoformat(timespec="milliseconds")


def _microseconds(value: datetime | time) -> str:
    return value.isoformat(timespec="microseconds")


_STORAGE = {
    "string": Storage("TEXT"),
    "enum": Storage("TEXT"),
    "json": Storage("TEXT"),
    "uuid": Storage("TEXT", str, UUID),
    "int": Storage("INTEGER"),
    "long": Storage("INTEGER"),
    "boolean": Storage("INTEGER", int, bool),
    "float": Storage("REAL"),
    "double": Storage("REAL"),
    "bytes": Storage("BLOB"),
    "date": Storage("TEXT", date.isoformat, date.fromisoformat),
    "time-millis": Storage("TEXT", _milliseconds, time.fromisoformat),
    "time-micros": Storage("TEXT", _microseconds, time.fromisoformat),
    "timestamp-millis": Storage("TEXT", _milliseconds, datetime.fromisoformat),
    "timestamp-micros": Storage("TEXT", _microseconds, datetime.fromisoformat),
    "local-timestamp-millis": Storage("TEXT", _milliseconds, datetime.fromisoformat),
    "local-timestamp-micros": Storage("TEXT", _microseconds, datetime.fromisoformat),
}


def storage_of(field: Field) -> Storage:
    """Storage of this field's column."""
    if field.kind == "decimal":
        digits = f".{field.scale}f"
        return Storage("TEXT", lambda value: format(value, digits), Decimal)
    return _STORAGE[field.kind]


# Cached because values repeat: all rows of a file have one moment, and DynamoDB's changes have whole seconds.
@lru_cache(maxsize=8_192)
def instant_text(microseconds: int) -> str:
    """Return microseconds since the epoch as ISO 8601 in UTC with six digits."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


@lru_cache(maxsize=8_192)
def instant_of(text: str) -> int:
    """Return the microseconds since the epoch of a text by `instant_text`."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
