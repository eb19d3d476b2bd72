"""Conversion of the text of a cell or attribute to the typed value of a field. Ambiguous text is refused.

| kind | text |
|---|---|
| int, long | digits, with an optional minus; no blanks, separators, plus or point: 1.0 is refused |
| decimal | digits, with an optional minus and point |
| float, double | as decimal, with an optional exponent |
| boolean | true or false in any case; with a format such as "Y|N", exactly one of the two |
| date, time, timestamp | ISO 8601 extended; with a format, as strptime parses it, or an epoch |
| enum, string | unchanged |
| uuid | the form with 36 characters |
| bytes | base64 |
| json | JSON, brought into canonical form |

What the field itself allows (range, digits, symbols, zone, maxLength) is checked by its packer, not here.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import TypeAlias
from uuid import UUID

from schemas.payload.fields import Field, FieldType, canonical_json_of

ReadText: TypeAlias = Callable[[str], object]
"""Converts text that is not empty. Raises ValueError or PoisonEventError, naming the rule, not the value."""

MAX_NUMBER = 400  # characters
REMEMBERED = 32_768  # cached texts of a column of dates or times (90 years of days): parsing them is slow

_ASCII = re.compile(r"[\x00-\x7f]+")
# re.ASCII, because \d also matches digits of other scripts, which Decimal would accept.
_DECIMAL = re.compile(r"-?(\d+(\.\d+)?|\.\d+)", re.ASCII)
_FLOAT = re.compile(r"-?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_TIMESTAMP = re.compile(rf"{_DATE.pattern}[T ]{_TIME.pattern}(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_EPOCH_DIGITS = {"epoch-seconds": 6, "epoch-millis": 3}  # decimal places from the unit to microseconds


@cache
def reader(field: Field) -> ReadText:
    """Return the function that converts the texts of a field's column. Compiled once for a field."""
    kind = field.kind
    if kind is FieldType.BOOLEAN:
        return _boolean(field.format)
    if field.format in _EPOCH_DIGITS:
        return _epoch(field.format, aware=not kind.startswith("local"))
    if field.format is not None:
        return lru_cache(REMEMBERED)(_formatted(kind, field.format))
    return _READERS[kind]


def _shaped(shape: re.Pattern[str], parse: ReadText, rule: str, longest: int = MAX_NUMBER) -> ReadText:
    """Return a function that checks the shape of a text before it is parsed."""

    def read(text: str) -> object:
        # The length is checked first: a cell may have millions of digits, which are slow to parse.
        if len(text) <= longest and shape.fullmatch(text):
            try:
                return parse(text)
            except (ValueError, ArithmeticError):
                pass  # its message quotes the text (INV-7)
        raise ValueError(rule)

    return read


def _formatted(kind: FieldType, pattern: str) -> ReadText:
    def parse(text: str) -> object:
        moment = datetime.strptime(text, pattern)  # noqa: DTZ007 - the packer asks for a zone
        if kind is FieldType.DATE:
            return moment.date()
        return moment.time() if kind.startswith("time-") else moment

    return _shaped(_ASCII, parse, f"does not have the format {pattern}")


def _epoch(unit: str, *, aware: bool) -> ReadText:
    start = datetime(1970, 1, 1, tzinfo=UTC if aware else None)
    digits = _EPOCH_DIGITS[unit]

    def parse(text: str) -> datetime:
        # Decimal keeps every digit: a fraction below a microsecond is refused, never rounded.
        micros = Decimal(text).scaleb(digits)
        if micros != int(micros):
            raise ValueError("never rounded")
        return start + timedelta(microseconds=int(micros))

    return _shaped(_DECIMAL, parse, f"is not a moment in {unit}", longest=25)


def _boolean(pattern: str | None) -> ReadText:
    true, false = pattern.split("|") if pattern else ("true", "false")
    normalized = str if pattern else str.lower

    def read(text: str) -> bool:
        text = normalized(text)
        if text == true:
            return True
        if text == false:
            return False
        raise ValueError(f"is neither {true} nor {false}")

    return read


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None


def _whole(text: str) -> int:
    digits = text.removeprefix("-")
    if digits.isdecimal() and digits.isascii() and len(digits) <= MAX_NUMBER:
        return int(text)
    raise ValueError("is not a whole number")


_double = _shaped(_FLOAT, float, "is not a number")
_iso_time = _shaped(_TIME, time.fromisoformat, "is not a time of the form HH:MM:SS")
_iso_timestamp = _shaped(
    _TIMESTAMP,
    datetime.fromisoformat,
    "is not a moment of the form YYYY-MM-DDTHH:MM:SS",
)

_READERS: dict[FieldType, ReadText] = {
    FieldType.STRING: str,
    FieldType.ENUM: str,
    FieldType.INT: _whole,
    FieldType.LONG: _whole,
    FieldType.FLOAT: _double,
    FieldType.DOUBLE: _double,
    FieldType.DECIMAL: _shaped(_DECIMAL, Decimal, "is not a number in plain digits"),
    FieldType.DATE: lru_cache(REMEMBERED)(
        _shaped(_DATE, date.fromisoformat, "is not a date of the form YYYY-MM-DD")
    ),
    FieldType.TIME_MILLIS: _iso_time,
    FieldType.TIME_MICROS: _iso_time,
    FieldType.TIMESTAMP_MILLIS: _iso_timestamp,
    FieldType.TIMESTAMP_MICROS: _iso_timestamp,
    FieldType.LOCAL_TIMESTAMP_MILLIS: _iso_timestamp,
    FieldType.LOCAL_TIMESTAMP_MICROS: _iso_timestamp,
    FieldType.UUID: _shaped(_UUID, UUID, "is not a UUID in its form of 36 characters"),
    FieldType.BYTES: _base64,
    FieldType.JSON: canonical_json_of,
}
