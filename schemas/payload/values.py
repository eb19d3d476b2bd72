"""Strict conversion between Python values and the Avro base types of one kind of field.

fastavro is lax: it writes 1.7, True and 2**31 into an int and interprets a naive datetime as local time. So
each value is checked and reduced to the base type that its logical type annotates before fastavro writes it,
and restored after fastavro has read it. fastavro is also faster with base types.

A `pack` converts a value to Avro's base type, or raises ValueError with the broken rule but not the value
(INV-7). An `unpack` is its inverse, and raises ValueError for input that encodes no valid value.
https://avro.apache.org/docs/1.12.0/specification/#logical-types
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from math import isfinite
from struct import pack as struct_pack
from typing import Any, TypeAlias
from uuid import UUID

Pack: TypeAlias = Callable[[object], object]
Unpack: TypeAlias = Callable[[Any], object]
Coder: TypeAlias = tuple[Pack, Unpack]


def identity(value: object) -> object:
    """Return the value unchanged.

    The `unpack` of kinds that fastavro reads exactly: a codec recognises this function and skips the call.
    """
    return value


def _wrong_type(expected: str, value: object) -> ValueError:
    return ValueError(f"takes {expected}, got {type(value).__name__}")


def _whole(name: str, low: int, high: int) -> Coder:
    out_of_range = f"{name} takes {low} to {high}"

    def check(value: object) -> int:
        if type(value) is not int:  # isinstance would accept a bool
            raise _wrong_type("int", value)
        if not low <= value <= high:
            raise ValueError(out_of_range)
        return value

    return check, check


def _boolean() -> Coder:
    def check(value: object) -> bool:
        if type(value) is not bool:
            raise _wrong_type("bool", value)
        return value

    return check, identity


def _floating(bits: int) -> Coder:
    def check(value: object) -> float:
        if type(value) is not float:
            raise _wrong_type("float", value)
        if not isfinite(value):
            raise ValueError("takes finite numbers")
        return value

    def check_32(value: object) -> float:
        number = check(value)
        # Avro rounds a float to 32 bits. That is accepted, an overflow is not.
        try:
            struct_pack("<f", number)
        except OverflowError:
            raise ValueError("is too large for a float of 32 bits") from None
        return number

    return (check_32 if bits == 32 else check), check


def _text(limit: int | None) -> Coder:
    def check(value: object) -> str:
        if type(value) is not str:
            raise _wrong_type("str", value)
        if limit is not None and len(value) > limit:
            raise ValueError(f"takes at most {limit} characters, got {len(value)}")
        if not value.isascii():  # fast: most text is ASCII, which has no surrogates
            _refuse_surrogates(value)
        return value

    return check, identity if limit is None else check


def _refuse_surrogates(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which UTF-8 does not have") from None


def _bytes(limit: int | None) -> Coder:
    def check(value: object) -> bytes:
        if type(value) is not bytes:
            raise _wrong_type("bytes", value)
        if limit is not None and len(value) > limit:
            raise ValueError(f"takes at most {limit} bytes, got {len(value)}")
        return value

    return check, identity if limit is None else check


def _enum(symbols: Sequence[str]) -> Coder:
    known = frozenset(symbols)

    def check(value: object) -> str:
        if type(value) is not str:
            raise _wrong_type("str", value)
        if value not in known:
            raise ValueError(f"takes one of {', '.join(symbols)}")
        return value

    return check, identity


def _decimal(precision: int, scale: int) -> Coder:
    limit = 10**precision
    # The context is wide enough for every value that fits. For any other it raises Inexact and never rounds.
    scaleb = Context(prec=80, traps=[Inexact, InvalidOperation]).scaleb
    inexact = f"does not fit decimal({precision},{scale}) exactly"

    def unscaled(value: Decimal) -> int:
        try:
            scaled = scaleb(value, scale)
            if -limit < scaled < limit and (number := int(scaled)) == scaled:
                return number
        except DecimalException:
            pass
        raise ValueError(inexact)

    def pack(value: object) -> bytes:
        if type(value) is not Decimal:
            raise _wrong_type("Decimal", value)
        number = unscaled(value)
        # Fewest bytes in two's complement: equal values must give equal bytes (INV-5).
        size = (number if number >= 0 else ~number).bit_length() // 8 + 1
        return number.to_bytes(size, "big", signed=True)

    def unpack(raw: bytes) -> Decimal:
        number = int.from_bytes(raw, "big", signed=True)
        if not -limit < number < limit:
            raise ValueError(inexact)
        return scaleb(Decimal(number), -scale)

    return pack, unpack


_DAY_0 = date(1970, 1, 1).toordinal()


def _date() -> Coder:
    def pack(value: object) -> int:
        if type(value) is not date:  # a datetime is an instance of date
            raise _wrong_type("date", value)
        return value.toordinal() - _DAY_0

    def unpack(days: int) -> date:
        try:
            return date.fromordinal(days + _DAY_0)
        except (ValueError, OverflowError):
            raise ValueError("is outside the years 1 to 9999") from None

    return pack, unpack


def _ticks(micros: int, unit: int) -> int:
    """Return microseconds as ticks of `unit` microseconds. Raises ValueError rather than round."""
    ticks, rest = divmod(micros, unit)
    if rest:
        raise ValueError("takes whole milliseconds")
    return ticks


def _time(unit: int) -> Coder:
    ticks_a_day = 86_400_000_000 // unit

    def pack(value: object) -> int:
        if type(value) is not time:
            raise _wrong_type("time", value)
        if value.tzinfo is not None:
            raise ValueError("takes a time without a time zone")
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return _ticks(seconds * 1_000_000 + value.microsecond, unit)

    def unpack(ticks: int) -> time:
        if not 0 <= ticks < ticks_a_day:
            raise ValueError("is outside one day")
        seconds, micros = divmod(ticks * unit, 1_000_000)
        return time(seconds // 3600, seconds // 60 % 60, seconds % 60, micros)

    return pack, unpack


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_MICRO = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_MICRO = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def _timestamp(unit: int, *, aware: bool) -> Coder:
    epoch = _EPOCH if aware else _EPOCH.replace(tzinfo=None)
    wrong_zone = f"takes a datetime {'with' if aware else 'without'} a time zone"

    def pack(value: object) -> int:
        if type(value) is not datetime:
            raise _wrong_type("datetime", value)
        if (value.utcoffset() is not None) is not aware:
            raise ValueError(wrong_zone)
        since = value - epoch
        # Integer arithmetic: timedelta.total_seconds() is a float, which loses microseconds.
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        if not _FIRST_MICRO <= micros <= _LAST_MICRO:
            raise ValueError("is outside the years 1 to 9999 in UTC")
        return _ticks(micros, unit)

    def unpack(ticks: int) -> datetime:
        micros = ticks * unit
        if not _FIRST_MICRO <= micros <= _LAST_MICRO:
            raise ValueError("is outside the years 1 to 9999")
        return epoch + timedelta(0, 0, micros)

    return pack, unpack


def _uuid() -> Coder:
    def pack(value: object) -> str:
        if type(value) is not UUID:
            raise _wrong_type("UUID", value)
        return str(value)

    def unpack(text: str) -> UUID:
        try:
            value = UUID(text)
            # UUID() also accepts braces, upper case and other forms, which would not encode to the same
            # bytes.
            if str(value) == text:
                return value
        except ValueError:
            pass
        raise ValueError("is not a UUID in its form of 36 characters")

    return pack, unpack


def nullable(coder: Coder) -> Coder:
    """Return the coder for the union [null, X], given that of X."""
    pack, unpack = coder
    if unpack is not identity:
        inner = unpack

        def unpack(value: Any) -> object:
            return None if value is None else inner(value)

    return (lambda value: None if value is None else pack(value)), unpack


def coder(
    kind: str,
    *,
    precision: int = 0,
    scale: int = 0,
    symbols: Sequence[str] = (),
    max_length: int | None = None,
) -> Coder:
    """Return `pack` and `unpack` of one kind of field (schemas.payload.fields.FieldType)."""
    match kind:
        case "string" | "json":
            return _text(max_length)
        case "bytes":
            return _bytes(max_length)
        case "enum":
            return _enum(symbols)
        case "decimal":
            return _decimal(precision, scale)
        case _:
            return _PLAIN[kind]


_PLAIN: dict[str, Coder] = {
    "int": _whole("int", -(2**31), 2**31 - 1),
    "long": _whole("long", -(2**63), 2**63 - 1),
    "float": _floating(32),
    "double": _floating(64),
    "boolean": _boolean(),
    "date": _date(),
    "time-millis": _time(1_000),
    "time-micros": _time(1),
    "timestamp-millis": _timestamp(1_000, aware=True),
    "timestamp-micros": _timestamp(1, aware=True),
    "local-timestamp-millis": _timestamp(1_000, aware=False),
    "local-timestamp-micros": _timestamp(1, aware=False),
    "uuid": _uuid(),
}
