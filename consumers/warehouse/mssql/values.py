"""Python's typed values as SQL Server stores them, and back, exactly.

A value travels as JSON text, or as a literal in a statement, and never as a parameter of pymssql's own: those
cut datetimes to milliseconds and send ASCII bytes as text. Decimals, dates and times go as text that the
column's type reads exactly, whatever the language of the login (ISO 8601 for DATE, TIME and DATETIME2).

Text is in a binary collation: values that differ in case, accents or width are different. SQL Server's `=`
ignores trailing blanks in every collation, yet what is stored keeps them, and our own key is a hash of all.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import ldexp
from typing import NamedTuple

from consumers.tsql_types import tsql_type_of
from consumers.warehouse.columns import Converter
from schemas.payload.fields import Field

BINARY_COLLATION = "Latin1_General_100_BIN2"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
_MICROSECOND = timedelta(microseconds=1)
_LEAST_FLOAT = ldexp(1.0, -1022)
_LEAST_REAL = ldexp(1.0, -126)


class Storage(NamedTuple):
    """How a kind of field is stored. `write` gives what JSON and literals take, `read` takes what pymssql
    gives; no function where the value is the same. `write` raises ValueError, naming the rule alone."""

    sql_type: str
    write: Converter | None = None
    read: Converter | None = None
    collated: bool = False

    @property
    def unbounded(self) -> bool:
        """Whether its text may be longer than NVARCHAR(n) goes."""
        return self.sql_type == "NVARCHAR(MAX)"


def _iso(precision: str) -> Converter:
    def text(value: datetime | time) -> str:
        return value.isoformat(timespec=precision)

    return text


def _utc(precision: str) -> Converter:
    def text(value: datetime) -> str:
        return value.replace(tzinfo=None).isoformat(timespec=precision)

    return text


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)


def _floating(least: float, type_name: str) -> Converter:
    rule = f"{type_name} holds no number so near to zero"

    def check(value: float) -> float:
        if value and -least < value < least:
            raise ValueError(rule)
        return value

    return check


_CONVERSIONS: dict[str, tuple[Converter | None, Converter | None]] = {
    "uuid": (str, None),
    "float": (_floating(_LEAST_REAL, "REAL"), None),
    "double": (_floating(_LEAST_FLOAT, "FLOAT"), None),
    "date": (date.isoformat, None),
    "time-millis": (_iso("milliseconds"), None),
    "time-micros": (_iso("microseconds"), None),
    "timestamp-millis": (_utc("milliseconds"), _aware),
    "timestamp-micros": (_utc("microseconds"), _aware),
    "local-timestamp-millis": (_iso("milliseconds"), None),
    "local-timestamp-micros": (_iso("microseconds"), None),
}
"""`write` and `read` of the kinds that need them. REAL and FLOAT have no denormalised numbers:
https://learn.microsoft.com/sql/t-sql/data-types/float-and-real-transact-sql"""
_COLLATED = frozenset(["string", "json", "enum"])


def storage_of(field: Field) -> Storage:
    """Return the storage of this field's column."""
    write, read = _CONVERSIONS.get(field.kind, (None, None))
    if field.kind == "decimal":
        digits = f".{field.scale}f"
        return Storage(tsql_type_of(field), lambda value: format(value, digits))
    return Storage(tsql_type_of(field), write, read, collated=field.kind in _COLLATED)


def binary_text(value: bytes) -> str:
    """16 bytes as the text of the UNIQUEIDENTIFIER that CAST makes these bytes again: neither JSON nor
    OPENJSON has binary, and CAST is as fast as any. Its first three groups are little-endian."""
    return uuid_text(value[3::-1] + value[5:3:-1] + value[7:5:-1] + value[8:])


def uuid_text(value: bytes) -> str:
    """16 bytes as a UUID is written; through uuid.UUID it would take five times as long."""
    shown = value.hex()
    return f"{shown[:8]}-{shown[8:12]}-{shown[12:16]}-{shown[16:20]}-{shown[20:]}"


@lru_cache(maxsize=8_192)  # a file's rows are of one moment, DynamoDB's changes of whole seconds
def instant_text(microseconds: int) -> str:
    """An instant, microseconds since the epoch, as DATETIME2(6) reads it."""
    return (_NAIVE_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def instant_of(value: datetime) -> int:
    """The inverse of `instant_text`, of what pymssql gives."""
    return (value - _NAIVE_EPOCH) // _MICROSECOND
