"""Python's typed values as SQLite stores them, and back, exactly.

SQLite has no decimal, date or boolean. A decimal is text with the digits of its column's scale. Dates and
times are ISO 8601 with the digits of the field's precision: of fixed width, so that text is in order of time,
and in a form that SQLite's date functions read. A float is a float, but for the sign of a negative zero.
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
    """How a kind of field is stored; no function where SQLite's value is Python's."""

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


@lru_cache(maxsize=8_192)  # a file's rows are of one moment, DynamoDB's changes of whole seconds
def instant_text(microseconds: int) -> str:
    """An instant, microseconds since the epoch, as ISO 8601 in UTC with six digits."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


@lru_cache(maxsize=8_192)
def instant_of(text: str) -> int:
    """The inverse of `instant_text`."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
