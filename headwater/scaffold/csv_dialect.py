"""Detection of the delimiter and the quoting of a CSV file from its first rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

DELIMITERS = (";", "\t", "|", ",")
"""Candidates; with equal scores the first wins, since a comma is often part of texts and numbers."""
_FEW_ROWS = 10
_MOST = 0.7  # share of the rows that must have the same number of cells
_SEP = re.compile(r"sep=(.)\s*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_PAIRS = ("()", "[]", "{}")


class Delimiter(NamedTuple):
    """A detected delimiter. `also` are others that split the first rows as evenly: if any, it is a guess."""

    character: str
    also: tuple[str, ...] = ()


def declared(text: str) -> str | None:
    """Return the delimiter of a first line `sep=;`, which Excel reads and the producer skips."""
    first, _, _ = text.partition("\n")
    match = _SEP.fullmatch(first)
    return match[1] if match else None


def likeliest(text: str) -> Delimiter:
    """Return the delimiter that splits the first rows most evenly and then into the most cells."""
    scores = {delimiter: _score(_first_rows(text, delimiter)) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    if not scores[best][2]:  # a single column
        return Delimiter(",")
    also = [other for other in DELIMITERS if other != best and scores[other] >= (*scores[best][:2], 1)]
    return Delimiter(best, tuple(also))


def has_plain_quotes(text: str, delimiter: str) -> bool:
    """Return True if quotes have no special meaning, as in many tab-separated files.

    That is so if a column has both quoted and unquoted cells, and all rows have the same width when quotes
    are ignored.
    """
    if delimiter != "\t" or '"' not in text:
        return False
    rows = [line.split(delimiter) for line in _LINE_END.split(text)[:-1] if line]
    widths = {*map(len, rows)}
    if len(widths) > 1 or widths == {1}:  # in a single column a quoted line end changes no width
        return False
    return any(_is_mixed([cell for cell in column if cell]) for column in zip(*rows[1:], strict=True))


def _is_mixed(cells: Sequence[str]) -> bool:
    quoted = [cell for cell in cells if cell.startswith('"')]
    whole = all(len(cell) > 1 and cell.endswith('"') for cell in quoted)
    return bool(quoted) and (len(quoted) < len(cells) or not whole)


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    with suppress(csv.Error):  # such as a huge cell, if the delimiter is wrong: the rows so far are scored
        rows += islice((row for row in reader if row), _FEW_ROWS)
    return rows


def _score(rows: Sequence[Sequence[str]]) -> tuple[bool, bool, int]:
    """Return a score to compare: no brackets torn apart, rows of equal width, number of delimiters.

    Rows with another width than most, such as a title above the header, do not count.
    """
    [(width, _)] = Counter(map(len, rows)).most_common(1) or [(1, 0)]
    even = [row for row in rows if len(row) == width]
    if width == 1:
        return False, False, 0
    return not any(map(_is_torn, even[0])), len(even) >= _MOST * len(rows), len(even) * (width - 1)


def _is_torn(cell: str) -> bool:
    """Return True if the cell has only one bracket of a pair: its delimiter was part of the text."""
    return any(cell.count(pair[0]) != cell.count(pair[1]) for pair in _PAIRS)
