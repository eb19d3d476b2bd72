"""Exact conversion between Python's typed values and SQL Server's.

Values are sent as JSON text or as literals, never as parameters of pymssql, which truncates datetimes to
milliseconds and sends ASCII bytes as text. Decimals, dates and times are sent as text that the column's type
reads exactly, whatever the language of the login (ISO 8601 for DATE, TIME and DATETIME2).

Text columns have a binary collation, so values that differ in case, accents or width are different. SQL
Server's `=` ignores trailing blanks in every collation, but stores them; our own key is a hash, which
includes them.
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
# SQL Server stores no denormalised numbers: it would round them to zero.
# https://learn.microsoft.com/sql/t-sql/data-types/float-and-real-transact-sql
_LEAST_FLOAT = ldexp(1.0, -1022)
_LEAST_REAL = ldexp(1.0, -126)


class Storage(NamedTuple):
    """Storage of a kind of field.

    `write` converts to the form for JSON and literals, `read` converts what pymssql returns; None if the
    value stays the same. `write` raises ValueError, which names the rule but no value (INV-7).
    """

    sql_type: str
    write: Converter | None = None
    read: Converter | None = None
    collated: bool = False

    @property
    def unbounded(self) -> bool:
        """True if its text may exceed the limit of NVARCHAR(n)."""
        return self.sql_type == "NVARCHAR(MAX)"


def _iso(precision: str) -> Converter:
    def text(value: datetime | time) -> str:
        return value.isoformat(timespec=precision)

    return text


def _utc(precision: str) -> Converter:
    # DATETIME2 has no time zone; timestamps are in UTC already.
    def text(value: datetime) -> str:
        return value.replace(tzinfo=None).isoformat(timespec=precision)

    return text


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)


def _floating(least: float, type_name: str) -> Converter:
    """Return a converter that refuses numbers whose absolute value is below `least`, except zero."""
    rule = f"{type_name} can't store a number so close to zero"

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
"""`write` and `read` of the kinds that need a conversion."""
_COLLATED = frozenset(["string", "json", "enum"])


def storage_of(field: Field) -> Storage:
    """Return the storage of this field's column."""
    write, read = _CONVERSIONS.get(field.kind, (None, None))
    if field.kind == "decimal":
        digits = f".{field.scale}f"
        return Storage(tsql_type_of(field), lambda value: format(value, digits))
    return Storage(tsql_type_of(field), write, read, collated=field.kind in _COLLATED)


def binary_text(value: bytes) -> str:
    """Return 16 bytes as the text of the UNIQUEIDENTIFIER that CAST(... AS BINARY(16)) converts back."""
    # JSON has no binary type, and OPENJSON can't decode one. SQL Server stores the first three groups of a
    # UNIQUEIDENTIFIER in little-endian order.
    return uuid_text(value[3::-1] + value[5:3:-1] + value[7:5:-1] + value[8:])


def uuid_text(value: bytes) -> str:
    """Return 16 bytes in the text form of a UUID."""
    digits = value.hex()  # uuid.UUID would take five times as long
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


# Cached because values repeat: all rows of a file have one moment, and DynamoDB's changes have whole seconds.
@lru_cache(maxsize=8_192)
def instant_text(microseconds: int) -> str:
    """Return microseconds since the epoch as text for DATETIME2(6)."""
    return (_NAIVE_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def instant_of(value: datetime) -> int:
    """Return the microseconds since the epoch of a DATETIME2(6) as pymssql returns it."""
    return (value - _NAIVE_EPOCH) // _MICROSECOND
