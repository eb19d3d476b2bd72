"""Canonical keys: the typed key values of a row as one text. Equal values have equal text in every source.

The text is a JSON array of strings in the order of entity.toml (docs/architecture.md: Event), serialised as
in RFC 8785: no white space, and only the escapes that are required.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, Inexact, InvalidOperation
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from schemas.errors import PoisonEventError
from schemas.payload.fields import Field, FieldType, plain_digits


def text_array(texts: Sequence[str], names: Sequence[str] = ()) -> str:
    """Return strings as a canonical JSON array.

    Raises PoisonEventError for a lone surrogate, which UTF-8 cannot encode. The message identifies the string
    by `names`, or as the value of a key.
    """
    array = f"[{','.join(map(encode_basestring, texts))}]"
    if not array.isascii():  # fast: most keys are ASCII, which has no surrogates
        _refuse_surrogates(texts, names)
    return array


def _refuse_surrogates(texts: Sequence[str], names: Sequence[str]) -> None:
    for number, text in enumerate(texts, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            name = names[number - 1] if names else f"key value {number}"
            raise PoisonEventError(f"{name}: a lone surrogate is not valid text") from None


def canonical_key(values: Sequence[object]) -> str:
    """Return the key of a row.

    Numbers are plain digits, bytes are base64, dates and times are ISO 8601, timestamps are in UTC. Raises
    PoisonEventError, naming index and type, for null, floats and other types without one exact text.
    """
    return text_array([_key_text(number, value) for number, value in enumerate(values, 1)])


def _key_text(number: int, value: object) -> str:
    if type(value) is str:
        return value
    # The exact type, since a bool is an int and a datetime is a date, but their texts differ.
    try:
        return _TEXTS[type(value)](value)
    except KeyError:
        raise PoisonEventError(
            f"key value {number}: {type(value).__name__} cannot be part of a key"
        ) from None
    except OverflowError:
        raise PoisonEventError(f"key value {number}: outside the years 1 to 9999 in UTC") from None


def _timestamp_text(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


_TEXTS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    Decimal: plain_digits,
    bytes: lambda value: b64encode(value).decode(),
    date: date.isoformat,
    time: time.isoformat,
    datetime: _timestamp_text,
    UUID: str,
}


def parse_key(key: str, fields: Sequence[Field]) -> tuple[object, ...]:
    """Return the typed values of a canonical key, as `Schema.decode` does: the inverse of `canonical_key`.

    Raises PoisonEventError if the key is not the canonical key of values that the fields accept.
    """
    texts = parse_text_array(key)
    if len(texts) != len(fields):
        raise PoisonEventError(f"key: {len(texts)} values for {len(fields)} key fields")
    values = tuple(_typed(text, field) for text, field in zip(texts, fields, strict=True))
    # Parsers accept more than one text of a value, such as "05" or "1_0" for an int. A key has only one.
    if canonical_key(values) != key:
        raise PoisonEventError("key: not in its canonical form")
    return values


def parse_text_array(key: str) -> list[str]:
    """Return the strings of a JSON array: the inverse of `text_array`. Raises PoisonEventError."""
    try:
        texts = json.loads(key)
    except (ValueError, RecursionError):
        raise PoisonEventError("key: not JSON") from None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise PoisonEventError("key: not an array of strings")
    return texts


def _typed(text: str, field: Field) -> object:
    parse = _PARSERS.get(field.kind)
    if parse is None:
        raise PoisonEventError(f"key field {field.name}: {field.kind} cannot be part of a key", "schema")
    try:
        value = parse(text, field)
    except (ValueError, ArithmeticError, KeyError):
        raise PoisonEventError(f"key field {field.name}: not the text of a {field.kind}") from None
    field.check(value)
    return value


# Traps any rounding; wide enough for every decimal of 38 digits.
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])


def _decimal(text: str, field: Field) -> Decimal:
    return Decimal(text).quantize(Decimal((0, (1,), -field.scale)), context=_EXACT)


_BOOLEANS = {"true": True, "false": False}

_PARSERS: dict[FieldType, Callable[[str, Field], object]] = {
    FieldType.STRING: lambda text, _field: text,
    FieldType.ENUM: lambda text, _field: text,
    FieldType.JSON: lambda text, _field: text,
    FieldType.INT: lambda text, _field: int(text),
    FieldType.LONG: lambda text, _field: int(text),
    FieldType.BOOLEAN: lambda text, _field: _BOOLEANS[text],
    FieldType.BYTES: lambda text, _field: b64decode(text, validate=True),
    FieldType.DECIMAL: _decimal,
    FieldType.DATE: lambda text, _field: date.fromisoformat(text),
    FieldType.TIME_MILLIS: lambda text, _field: time.fromisoformat(text),
    FieldType.TIME_MICROS: lambda text, _field: time.fromisoformat(text),
    FieldType.TIMESTAMP_MILLIS: lambda text, _field: datetime.fromisoformat(text),
    FieldType.TIMESTAMP_MICROS: lambda text, _field: datetime.fromisoformat(text),
    FieldType.LOCAL_TIMESTAMP_MILLIS: lambda text, _field: datetime.fromisoformat(text),
    FieldType.LOCAL_TIMESTAMP_MICROS: lambda text, _field: datetime.fromisoformat(text),
    FieldType.UUID: lambda text, _field: UUID(text),
}
