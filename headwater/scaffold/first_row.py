"""Whether the first row of a file names its columns: it may hold values, or a title above the header. Pure.

A row of values that is taken for a header puts values of persons into names, hence into schemas and the log
(INV-7). Nothing here says what a cell holds.
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
    """Places, from 1, of cells of the first row that look like values; none where it is like a header.

    `rows`: some that follow. Values are mail addresses, UUIDs and the like, numbers and dates that are in no
    series (as 2019, 2020, 2021 are), and texts that a row below has in the same place.
    """
    certain = {place for place, cell in enumerate(first) if _is_certain(cell.strip())}
    typed = {place for place, cell in enumerate(first) if _is_typed(cell.strip())}
    filled = {place for place, cell in enumerate(first) if cell.strip()}
    repeated = set(_repeated(first, rows))
    lone = typed if filled <= typed else typed - set(_series(first))
    if certain or lone or repeated:
        return [place + 1 for place in sorted(certain | lone | repeated)]
    return []


def title_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many rows are above the header: nearly empty ones, before one that names most columns. 0 where the
    first row is the header, or none is found."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    for place, row in enumerate(rows[: _TITLES + 1]):
        if filled[place] < max(filled):
            continue
        above = all(2 * each < filled[place] for each in filled[:place])
        is_header = not any(_is_certain(cell.strip()) or _is_typed(cell.strip()) for cell in row)
        return place if above and is_header else 0
    return 0


def _is_certain(cell: str) -> bool:
    return len(cell) > _LONGEST_NAME or bool(_UUID.fullmatch(cell)) or is_personal(cell)


def _is_typed(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _is_date(cell) or cell.lower() in ("true", "false"))


def _is_date(cell: str) -> bool:
    found = _DATE.fullmatch(cell)
    if not found or found[1] is None:
        return bool(found)
    try:
        return bool(date(*map(int, found.group(1, 2, 3))))
    except ValueError:
        return False


def _series(first: Sequence[str]) -> Iterator[int]:
    """Places of years, and of numbers or ISO dates that stand in rising order side by side, as in a table of
    months or of hours."""
    texts = [cell.strip() for cell in first]
    yield from (place for place, cell in enumerate(texts) if _YEAR.fullmatch(cell))
    for (place, before), (_, after) in pairwise(enumerate(texts)):
        if _rises(before, after):
            yield from (place, place + 1)


def _rises(before: str, after: str) -> bool:
    if _is_date(before) and _is_date(after):
        return before < after
    try:
        return float(before) < float(after) < 1_000
    except ValueError:
        return False


def _repeated(first: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[int]:
    """Places of texts that a later row has there. A header that comes again is none."""
    others = [row for row in rows if list(row) != list(first) and len(row) == len(first)]
    for place, cell in enumerate(first):
        if cell.strip() and any(row[place] == cell for row in others):
            yield place
