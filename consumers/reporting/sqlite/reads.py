"""Conversion of text to another type, in the form in which SQLite stores that type."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from consumers.reporting.definition.literals import (
    bit_of,
    date_text,
    decimal_of,
    float_of,
    int_of,
    moment_text,
    time_text,
    uuid_text,
)
from consumers.reporting.sqlite.decimals import fitted, real_of

Stored = str | int | float

READS: Mapping[str, Callable[[str, int, int, bool], Stored]] = {
    "date": lambda text, *_: date_text(text),
    "datetime": lambda text, size, _, zoned: moment_text(text, size, zoned),
    "time": lambda text, size, *_: time_text(text, size),
    "uuid": lambda text, *_: uuid_text(text),
    "int": lambda text, size, *_: int_of(text, size),
    "bit": lambda text, *_: bit_of(text),
    "float": lambda text, *_: float_of(text),
    "real": lambda text, *_: real_of(float_of(text)),
    "decimal": lambda text, size, scale, _: fitted(decimal_of(text), size, scale),
}
"""Reader by the kind of a `SqlType`.

Arguments: the text, and size, scale and zone of the type.
"""


def stored(text: str, kind: str, size: int = 0, scale: int = 0, zoned: bool = False) -> Stored:
    """Return a text as this type is stored.

    Raises UnreadableError, and KeyError for a kind to which no text is converted.
    """
    return READS[kind](text, size, scale, zoned)
