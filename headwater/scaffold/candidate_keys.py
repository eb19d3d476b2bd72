"""Which columns tell every row of a sample from all others: alone, else two or three together. Pure."""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice

MOST = 5
"""Candidates that are told."""
_COMBINED = 12  # columns that are tried together: 66 pairs, 220 triples
_FIRST = 1_000  # rows that refuse most combinations


def candidate_keys(columns: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Places of columns that are a key of these rows, as few together as there are, the best first.

    `columns`: hashes of the values of each, none of which is null, the likeliest first. With 64 bits two
    values of a million rows share one in fewer than one sample of ten million.
    """
    for size in (1, 2, 3):
        chosen = range(len(columns)) if size == 1 else sorted(_varied(columns))
        found = list(islice(_unique(columns, chosen, size), MOST))
        if found:
            return found
    return []


def is_key(columns: Sequence[Sequence[int]]) -> bool:
    """Whether these columns together differ in every row."""
    rows = len(columns[0])
    return len(set(zip(*columns, strict=True))) == rows


def _unique(columns: Sequence[Sequence[int]], chosen: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    for places in combinations(chosen, size):
        together = [columns[place] for place in places]
        if is_key([each[:_FIRST] for each in together]) and is_key(together):
            yield places


def _varied(columns: Sequence[Sequence[int]]) -> list[int]:
    """Those with the most different values: the others add the least."""
    return sorted(range(len(columns)), key=lambda place: -len(set(columns[place])))[:_COMBINED]
