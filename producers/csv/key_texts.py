"""Rows of one file that have one key and write it in different texts, such as 1 and 01. Pure.

They are one row of the table, and the last wins. Where the texts were meant to differ rows are lost, so their
number is reported. Memory is the same for a file of any size.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from functools import cached_property

from schemas.payload.fields import Field, FieldType

SLOTS = 2**17
"""Keys that are remembered: 2 MB. A later key takes the place of an earlier one, so that in a larger file two
rows far apart may not be seen."""


def has_one_text(field: Field) -> bool:
    """Whether each value of the field can be written in one way alone."""
    return field.kind in (FieldType.STRING, FieldType.ENUM) or (
        field.kind is FieldType.DATE and field.format is None
    )


class KeyTexts:
    """Of one file, row by row."""

    def __init__(self) -> None:
        self.rows = 0
        """That have the key of an earlier row, written otherwise."""

    @cached_property
    def _slots(self) -> array[int]:
        """Hash of a key, then of its texts. A file that is only surveyed has no need of them."""
        return array("q", bytes(2 * 8 * SLOTS))

    def see(self, key: str, text: Hashable) -> None:
        """`key`: the canonical key of a row; `text`: the cell that it comes from, or the cells."""
        slots, hashed, written = self._slots, hash(key), hash(text)
        at = hashed % SLOTS * 2
        if slots[at] == hashed and slots[at + 1] != written:
            self.rows += 1
        slots[at], slots[at + 1] = hashed, written
