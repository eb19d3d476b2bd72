"""Avro's binary encoding of single values (specification, "Binary Encoding"), strict in both directions.

By hand and not by fastavro, for two reasons. fastavro writes what it should refuse (1.7, True or 2**31 into
an int, a naive datetime as host-local time) and reads what it should refuse (a negative branch or symbol
index). And to check while writing costs half of checking and then fastavro's writing. The tests hold every
kind against fastavro as an independent writer and reader.

A packer takes one value and returns its bytes, or raises ValueError with the broken rule: never the value
(INV-7). An unpacker takes the payload and an offset and returns the value and the next offset; it raises
ValueError for bytes that no value has, IndexError where they end too early. A length that runs past the end
makes an offset past the end: the caller compares the last offset with the payload's length, once.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from math import isfinite
from typing import TypeAlias
from uuid import UUID

Pack: TypeAlias = Callable[[object], bytes]
Unpack: TypeAlias = Callable[[bytes, int], tuple[object, int]]
Coder: TypeAlias = tuple[Pack, Unpack]

# Two groups of seven bits at a time: half the steps for a timestamp of today, one for most lengths.
_PAIRS = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(1 << 14)]
_LAST = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(1 << 14)]


def pack_varint(number: int) -> bytes:
    """A whole number of 64 bits as Avro writes int and long: zig-zag, seven bits a byte."""
    rest = number << 1 if number >= 0 else ~(number << 1)
    if rest < 16384:
        return _LAST[rest]
    packed = _PAIRS[rest & 16383]
    rest >>= 14
    while rest >= 16384:
        packed += _PAIRS[rest & 16383]
        rest >>= 14
    return packed + _LAST[rest]


def unpack_varint(payload: bytes, start: int) -> tuple[int, int]:
    """The number at an offset, and the next offset."""
    first = payload[start]
    if first < 128:
        return (first >> 1) ^ -(first & 1), start + 1
    second = payload[start + 1]
    if second < 128:
        number = first & 127 | second << 7
        return (number >> 1) ^ -(number & 1), start + 2
    return _unpack_long_varint(payload, start + 2, first & 127 | (second & 127) << 7)


def _unpack_long_varint(payload: bytes, start: int, number: int) -> tuple[int, int]:
    shift = 14
    while (byte := payload[start]) >= 128 and shift < 64:
        number |= (byte & 127) << shift
        shift += 7
        start += 1
    number |= byte << shift
    if number >> 64:
        raise ValueError("is a number of more than 64 bits")
    return (number >> 1) ^ -(number & 1), start + 1


def _unpack_length(payload: bytes, start: int) -> tuple[int, int]:
    length, start = unpack_varint(payload, start)
    if length < 0:
        raise ValueError("has a negative length")
    return length, start


def _wrong_type(wanted: str, value: object) -> ValueError:
    return ValueError(f"takes {wanted}, got {type(value).__name__}")


def _whole(name: str, low: int, high: int) -> Coder:
    out_of_range = f"{name} takes {low} to {high}"

    def pack(value: object) -> bytes:
        if type(value) is not int:
            raise _wrong_type("int", value)
        if not low <= value <= high:
            raise ValueError(out_of_range)
        return pack_varint(value)

    def unpack(payload: bytes, start: int) -> tuple[int, int]:
        number, end = unpack_varint(payload, start)
        if not low <= number <= high:
            raise ValueError(out_of_range)
        return number, end

    return pack, unpack


def _boolean() -> Coder:
    def pack(value: object) -> bytes:
        if value is True:
            return b"\1"
        if value is False:
            return b"\0"
        raise _wrong_type("bool", value)

    def unpack(payload: bytes, start: int) -> tuple[bool, int]:
        byte = payload[start]
        if byte > 1:
            raise ValueError("is neither true nor false")
        return byte == 1, start + 1

    return pack, unpack


def _floating(layout: struct.Struct) -> Coder:
    def pack(value: object) -> bytes:
        if type(value) is not float:
            raise _wrong_type("float", value)
        if not isfinite(value):
            raise ValueError("takes finite numbers")
        try:
            return layout.pack(value)
        except OverflowError:
            raise ValueError("is too large for a float of 32 bits") from None

    def unpack(payload: bytes, start: int) -> tuple[float, int]:
        end = start + layout.size
        if end > len(payload):
            raise IndexError
        (number,) = layout.unpack_from(payload, start)
        if not isfinite(number):
            raise ValueError("is not a finite number")
        return number, end

    return pack, unpack


def _text(max_length: int | None) -> Coder:
    def pack(value: object) -> bytes:
        if type(value) is not str:
            raise _wrong_type("str", value)
        try:
            raw = value.encode()
        except UnicodeEncodeError:
            raise ValueError("holds a lone surrogate, which UTF-8 does not have") from None
        length = len(raw)
        return (_LAST[length << 1] if length < 8192 else pack_varint(length)) + raw

    def unpack(payload: bytes, start: int) -> tuple[str, int]:
        length = payload[start]
        if length & 129:  # two bytes or more, or negative
            length, start = _unpack_length(payload, start)
        else:
            length >>= 1
            start += 1
        end = start + length
        try:
            return payload[start:end].decode(), end
        except UnicodeDecodeError:
            raise ValueError("is not UTF-8") from None

    return (pack, unpack) if max_length is None else _at_most(max_length, "characters", pack, unpack)


def _raw(max_length: int | None) -> Coder:
    def pack(value: object) -> bytes:
        if type(value) is not bytes:
            raise _wrong_type("bytes", value)
        return pack_varint(len(value)) + value

    def unpack(payload: bytes, start: int) -> tuple[bytes, int]:
        length, start = _unpack_length(payload, start)
        return payload[start : start + length], start + length

    return (pack, unpack) if max_length is None else _at_most(max_length, "bytes", pack, unpack)


def _at_most(limit: int, unit: str, pack: Pack, unpack: Unpack) -> Coder:
    def check(value: object) -> None:
        if isinstance(value, str | bytes) and len(value) > limit:
            raise ValueError(f"takes at most {limit} {unit}, got {len(value)}")

    def pack_short(value: object) -> bytes:
        check(value)
        return pack(value)

    def unpack_short(payload: bytes, start: int) -> tuple[object, int]:
        value, end = unpack(payload, start)
        check(value)
        return value, end

    return pack_short, unpack_short


def _enum(symbols: Sequence[str]) -> Coder:
    packed = {symbol: pack_varint(index) for index, symbol in enumerate(symbols)}
    allowed = f"takes one of {', '.join(symbols)}"

    def pack(value: object) -> bytes:
        if type(value) is not str:
            raise _wrong_type("str", value)
        try:
            return packed[value]
        except KeyError:
            raise ValueError(allowed) from None

    def unpack(payload: bytes, start: int) -> tuple[str, int]:
        index, end = unpack_varint(payload, start)
        if not 0 <= index < len(symbols):
            raise ValueError("has the index of no symbol")
        return symbols[index], end

    return pack, unpack


def _decimal(precision: int, scale: int) -> Coder:
    limit = 10**precision
    # Wide enough for any value that fits; one that does not is Inexact, never rounded.
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
        size = (number if number >= 0 else ~number).bit_length() // 8 + 1
        return _LAST[size << 1] + number.to_bytes(size, "big", signed=True)

    def unpack(payload: bytes, start: int) -> tuple[Decimal, int]:
        length, start = _unpack_length(payload, start)
        end = start + length
        number = int.from_bytes(payload[start:end], "big", signed=True)
        if not -limit < number < limit:
            raise ValueError(inexact)
        return scaleb(Decimal(number), -scale), end

    return pack, unpack


_DAY_0 = date(1970, 1, 1).toordinal()


def _date() -> Coder:
    def pack(value: object) -> bytes:
        if type(value) is not date:
            raise _wrong_type("date", value)
        return pack_varint(value.toordinal() - _DAY_0)

    def unpack(payload: bytes, start: int) -> tuple[date, int]:
        days, end = unpack_varint(payload, start)
        try:
            return date.fromordinal(days + _DAY_0), end
        except (ValueError, OverflowError):
            raise ValueError("is outside the years 1 to 9999") from None

    return pack, unpack


def _ticks(micros: int, unit: int) -> int:
    """Microseconds as ticks of `unit` microseconds, never rounded."""
    if unit == 1:
        return micros
    ticks, rest = divmod(micros, unit)
    if rest:
        raise ValueError("takes whole milliseconds")
    return ticks


def _time(unit: int) -> Coder:
    ticks_a_day = 86_400_000_000 // unit

    def pack(value: object) -> bytes:
        if type(value) is not time:
            raise _wrong_type("time", value)
        if value.tzinfo is not None:
            raise ValueError("takes a time without a time zone")
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return pack_varint(_ticks(seconds * 1_000_000 + value.microsecond, unit))

    def unpack(payload: bytes, start: int) -> tuple[time, int]:
        ticks, end = unpack_varint(payload, start)
        if not 0 <= ticks < ticks_a_day:
            raise ValueError("is outside one day")
        seconds, micros = divmod(ticks * unit, 1_000_000)
        return time(seconds // 3600, seconds // 60 % 60, seconds % 60, micros), end

    return pack, unpack


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_MICRO = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_MICRO = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def _timestamp(unit: int, *, aware: bool) -> Coder:
    epoch = _EPOCH if aware else _EPOCH.replace(tzinfo=None)
    wrong_zone = f"takes a datetime {'with' if aware else 'without'} a time zone"

    def pack(value: object) -> bytes:
        if type(value) is not datetime:
            raise _wrong_type("datetime", value)
        if (value.utcoffset() is not None) is not aware:
            raise ValueError(wrong_zone)
        since = value - epoch
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        if not _FIRST_MICRO <= micros <= _LAST_MICRO:
            raise ValueError("is outside the years 1 to 9999 in UTC")
        return pack_varint(_ticks(micros, unit))

    def unpack(payload: bytes, start: int) -> tuple[datetime, int]:
        ticks, end = unpack_varint(payload, start)
        micros = ticks * unit
        if not _FIRST_MICRO <= micros <= _LAST_MICRO:
            raise ValueError("is outside the years 1 to 9999")
        return epoch + timedelta(0, 0, micros), end

    return pack, unpack


def _uuid() -> Coder:
    _, unpack_text = _text(None)

    def pack(value: object) -> bytes:
        if type(value) is not UUID:
            raise _wrong_type("UUID", value)
        return b"\x48" + str(value).encode()

    def unpack(payload: bytes, start: int) -> tuple[UUID, int]:
        text, end = unpack_text(payload, start)
        try:
            value = UUID(str(text))
            if str(value) == text:
                return value, end
        except ValueError:
            pass
        raise ValueError("is not a UUID in its form of 36 characters")

    return pack, unpack


def nullable(coder: Coder) -> Coder:
    """The union [null, X], in this order: the branch's index, then the value."""
    pack, unpack = coder

    def pack_branch(value: object) -> bytes:
        return b"\0" if value is None else b"\2" + pack(value)

    def unpack_branch(payload: bytes, start: int) -> tuple[object, int]:
        branch = payload[start]
        if branch == 2:
            return unpack(payload, start + 1)
        if branch:
            raise ValueError("has the index of no branch")
        return None, start + 1

    return pack_branch, unpack_branch


def coder(
    kind: str,
    *,
    precision: int = 0,
    scale: int = 0,
    symbols: Sequence[str] = (),
    max_length: int | None = None,
) -> Coder:
    """The packer and unpacker of one kind of field (schemas.fields.FieldType)."""
    match kind:
        case "string" | "json":
            return _text(max_length)
        case "bytes":
            return _raw(max_length)
        case "enum":
            return _enum(symbols)
        case "decimal":
            return _decimal(precision, scale)
        case _:
            return _PLAIN[kind]


_PLAIN = {
    "int": _whole("int", -(2**31), 2**31 - 1),
    "long": _whole("long", -(2**63), 2**63 - 1),
    "float": _floating(struct.Struct("<f")),
    "double": _floating(struct.Struct("<d")),
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
