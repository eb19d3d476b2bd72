"""Recognition of a first row that is not a header: values, or a title above the header. Pure.

A row of values that is taken for a header would put personal data into names, and so into schemas and the log
(INV-7). Results contain positions, never the content of a cell.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise

from headwater.scaffold.likely_private import is_personal

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d+)*|[.,]\d+)([eE][-+]?\d+)?\s*%?", re.ASCII)
_YEAR = re.compile(r"(19|20)\d\d", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}( .*)?", re.ASCII)
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")
_LONGEST_NAME = 128
_TITLES = 20  # rows that may be above a header


def values_in(first: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the numbers, from 1, of cells of the first row that look like values; empty for a header.

    `rows` are some rows that follow. Values are mail addresses, UUIDs and the like; numbers and dates, except
    in a series such as 2019, 2020, 2021; and texts that a later row has in the same column.
    """
    certain = {index for index, cell in enumerate(first) if _is_certain(cell.strip())}
    typed = {index for index, cell in enumerate(first) if _is_typed(cell.strip())}
    filled = {index for index, cell in enumerate(first) if cell.strip()}
    repeated = set(_repeated(first, rows))
    # A series is a header only beside names, as in a table of months. A row of numbers alone is data.
    lone = typed if filled <= typed else typed - set(_series(first))
    return [index + 1 for index in sorted(certain | lone | repeated)]


def title_rows(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of title rows above the header: nearly empty rows before one that names most columns.

    0 if the first row is the header, or if no header is recognized.
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    for index, row in enumerate(rows[: _TITLES + 1]):
        if filled[index] < max(filled):
            continue
        above = all(2 * count < filled[index] for count in filled[:index])
        is_header = not any(_is_certain(cell.strip()) or _is_typed(cell.strip()) for cell in row)
        return index if above and is_header else 0
    return 0


def _is_certain(cell: str) -> bool:
    return len(cell) > _LONGEST_NAME or bool(_UUID.fullmatch(cell)) or is_personal(cell)


def _is_typed(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _is_date(cell) or cell.lower() in ("true", "false"))


def _is_date(cell: str) -> bool:
    match = _DATE.fullmatch(cell)
    if not match or match[1] is None:
        return bool(match)
    try:  # an ISO date has to exist: 1234-56-78 may be part of a name
        return bool(date(*map(int, match.group(1, 2, 3))))
    except ValueError:
        return False


def _series(first: Sequence[str]) -> Iterator[int]:
    """Yield the indexes of years, and of adjacent numbers or ISO dates in ascending order.

    Such cells are headers of a table of months or hours.
    """
    texts = [cell.strip() for cell in first]
    yield from (index for index, cell in enumerate(texts) if _YEAR.fullmatch(cell))
    for (index, before), (_, after) in pairwise(enumerate(texts)):
        if _rises(before, after):
            yield from (index, index + 1)


def _rises(before: str, after: str) -> bool:
    if _is_date(before) and _is_date(after):
        return before < after
    try:
        return float(before) < float(after) < 1_000
    except ValueError:
        return False


def _repeated(first: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[int]:
    """Yield the indexes of cells that a later row repeats in its column. Repeated headers do not count."""
    others = [row for row in rows if list(row) != list(first) and len(row) == len(first)]
    for index, cell in enumerate(first):
        if cell.strip() and any(row[index] == cell for row in others):
            yield index
