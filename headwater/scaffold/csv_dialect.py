"""How a CSV file is cut into rows and cells, as its first rows show it."""

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
"""Of those that do equally well the first: a comma is in texts and numbers more often than the others."""
_FEW_ROWS = 10
_MOST = 0.7  # of the rows
_SEP = re.compile(r"sep=(.)\s*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_PAIRS = ("()", "[]", "{}")


class Delimiter(NamedTuple):
    """`also`: others that cut the first rows as evenly, so that this one is a guess."""

    character: str
    also: tuple[str, ...] = ()


def declared(text: str) -> str | None:
    """The delimiter of a first line `sep=;`, which Excel reads and the producer leaves out."""
    first, _, _ = text.partition("\n")
    found = _SEP.fullmatch(first)
    return found[1] if found else None


def likeliest(text: str) -> Delimiter:
    """The delimiter that cuts the first rows most evenly, then into most cells."""
    scores = {each: _score(_first_rows(text, each)) for each in DELIMITERS}
    best = max(DELIMITERS, key=lambda each: scores[each])
    if not scores[best][2]:
        return Delimiter(",")
    also = [each for each in DELIMITERS if each != best and scores[each] >= (*scores[best][:2], 1)]
    return Delimiter(best, tuple(also))


def has_plain_quotes(text: str, delimiter: str) -> bool:
    """Whether quotes are characters like any other, as in tab-separated files: a column has cells in quotes
    beside cells without, and no row is broken by what stands in them."""
    if delimiter != "\t" or '"' not in text:
        return False
    rows = [line.split(delimiter) for line in _LINE_END.split(text)[:-1] if line]
    widths = {*map(len, rows)}
    if len(widths) > 1 or widths == {1}:  # in a single column a line end in quotes breaks no row
        return False
    return any(_is_mixed([cell for cell in column if cell]) for column in zip(*rows[1:], strict=True))


def _is_mixed(cells: Sequence[str]) -> bool:
    quoted = [cell for cell in cells if cell.startswith('"')]
    whole = all(len(cell) > 1 and cell.endswith('"') for cell in quoted)
    return bool(quoted) and (len(quoted) < len(cells) or not whole)


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    with suppress(csv.Error):
        rows += islice((row for row in reader if row), _FEW_ROWS)
    return rows


def _score(rows: Sequence[Sequence[str]]) -> tuple[bool, bool, int]:
    """Whether it cuts no bracket apart, whether nearly all rows have as many cells as most, and how many
    delimiters those have: a title above the header has none."""
    [(width, _)] = Counter(map(len, rows)).most_common(1) or [(1, 0)]
    even = [row for row in rows if len(row) == width]
    if width == 1:
        return False, False, 0
    return not any(map(_is_torn, even[0])), len(even) >= _MOST * len(rows), len(even) * (width - 1)


def _is_torn(cell: str) -> bool:
    return any(cell.count(pair[0]) != cell.count(pair[1]) for pair in _PAIRS)
