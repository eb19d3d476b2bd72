"""Search for unique columns of a sample: single ones, or else combinations of two or three. Pure."""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice

MOST = 5
"""Maximum number of candidates returned."""
_COMBINED = 12  # columns that are combined: 66 pairs, 220 triples
_FIRST = 1_000  # rows, which are enough to rule out most combinations


def candidate_keys(columns: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the indexes of columns that are unique in every row, with as few columns as possible.

    `columns` has the hashes of each column's values, none of which is null. The order of the columns decides
    the order of the result: the likeliest should come first.
    """
    # Two different values with equal 64-bit hashes are in fewer than one of ten million samples of a million
    # rows.
    for size in (1, 2, 3):
        chosen = range(len(columns)) if size == 1 else sorted(_varied(columns))
        candidates = list(islice(_unique(columns, chosen, size), MOST))
        if candidates:
            return candidates
    return []


def is_key(columns: Sequence[Sequence[int]]) -> bool:
    """Return True if the combination of these columns is unique in every row."""
    rows = len(columns[0])
    return len(set(zip(*columns, strict=True))) == rows


def _unique(columns: Sequence[Sequence[int]], chosen: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    for indexes in combinations(chosen, size):
        combined = [columns[index] for index in indexes]
        if is_key([column[:_FIRST] for column in combined]) and is_key(combined):
            yield indexes


def _varied(columns: Sequence[Sequence[int]]) -> list[int]:
    """Return the indexes of the columns with the highest cardinality, since the others add the least."""
    return sorted(range(len(columns)), key=lambda index: -len(set(columns[index])))[:_COMBINED]
