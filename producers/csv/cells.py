"""Conversion of the text of a cell to the packed value of its field. Compiled once for a field."""

from __future__ import annotations

from functools import cache, lru_cache

from producers.texts import REMEMBERED, ReadText, reader
from schemas.payload.fields import Field, FieldType
from schemas.payload.values import Pack
from schemas.privacy import Protect

FEW_VALUES = {FieldType.BOOLEAN, FieldType.ENUM, FieldType.DATE}  # kinds whose texts repeat in a file


@cache
def packed_cell(field: Field, trim: bool, protect: Protect | None = None) -> ReadText:
    """Return the function that packs a cell of this field.

    An empty cell is null. Where the field is not nullable, it is the empty text of a string, and an error for
    other kinds. `protect` masks or hashes the text of a private field.
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
        # No text holds a NUL: it is a sign of a wrong encoding, or of a binary file.
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
