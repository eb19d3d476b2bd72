"""The text of one cell of a file to what Avro writes of its field's value. Compiled once for a field."""

from __future__ import annotations

from functools import cache, lru_cache

from producers.texts import REMEMBERED, ReadText, reader
from schemas.payload.fields import Field, FieldType
from schemas.payload.values import Pack
from schemas.privacy import Protect

FEW_VALUES = {FieldType.BOOLEAN, FieldType.ENUM, FieldType.DATE}  # in all the rows of a file


@cache
def packed_cell(field: Field, trim: bool, protect: Protect | None = None) -> ReadText:
    """How a cell is packed: no text is null; where there is no null, it is the empty text, or refused.

    A column of few values has each text packed once. `protect` is done to the text of a private field.
    """
    packed = _text(field, protect) if field.kind is FieldType.STRING else _typed(field)
    if field.kind in FEW_VALUES:
        packed = lru_cache(REMEMBERED)(packed)
    return (lambda text: packed(text.strip())) if trim else packed


def _text(field: Field, protect: Protect | None) -> ReadText:
    pack, nothing = field.pack, None if field.nullable else ""
    if protect is not None:
        pack = _protected(protect, pack)

    def packed(text: str) -> object:
        if "\0" in text:
            raise ValueError("holds a NUL")
        return pack(text or nothing)

    return packed


def _protected(protect: Protect, pack: Pack) -> Pack:
    return lambda text: pack(protect(str(text)) if text else text)


def _typed(field: Field) -> ReadText:
    read, pack, nullable = reader(field), field.pack, field.nullable

    def packed(text: str) -> object:
        if text:
            return pack(read(text))
        if nullable:
            return None
        raise ValueError("is empty")

    return packed
