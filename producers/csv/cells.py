"""The text of one cell of a file to the value of its field. Compiled once for a field."""

from __future__ import annotations

from functools import cache, lru_cache

from producers.csv.values import REMEMBERED, Read, reader
from schemas.fields import Field, FieldType

FEW_VALUES = {FieldType.BOOLEAN, FieldType.ENUM, FieldType.DATE}  # in all the rows of a file


@cache
def cell(field: Field, trim: bool) -> Read:
    """Text to a value. No text is null; where there is no null, it is the empty text, or refused."""
    if field.kind is FieldType.STRING:
        made: Read = _text_or_null if field.nullable else _text
    else:
        made = _filled(reader(field), field.nullable)
    return (lambda text: made(text.strip())) if trim else made


@cache
def packed_cell(field: Field, trim: bool) -> Read:
    """Text to what Avro writes of its value. A column of few values has each text read once."""
    read, pack = cell(field, trim), field.pack

    def packed(text: str) -> object:
        return pack(read(text))

    return lru_cache(REMEMBERED)(packed) if field.kind in FEW_VALUES else packed


def _filled(read: Read, nullable: bool) -> Read:
    def made(text: str) -> object:
        if text:
            return read(text)
        if nullable:
            return None
        raise ValueError("is empty")

    return made


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL")
    return text


def _text_or_null(text: str) -> str | None:
    if "\0" in text:
        raise ValueError("holds a NUL")
    return text or None
