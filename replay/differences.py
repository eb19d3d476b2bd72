"""Row by row comparison of two tables of one entity: the actual one, and the one that the log makes. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from consumers.warehouse.port import Row
from schemas.catalog.entity import Entity
from schemas.keys import canonical_key

MISSING, EXTRA, DELETED, SOURCE = "missing", "extra", "_deleted", "_source"


class Difference(NamedTuple):
    """A row that differs from what the log makes.

    `key` is the canonical JSON of the key columns ("" where the entity has no key). `what` is `missing` (only
    the log has the row), `extra` (only the table has it), or the columns that differ, which may include
    `_deleted` and `_source`. `newer` is the side that has the later event: the other one may only be behind.
    `expected` is rank and tombstone of the row that the log makes.
    """

    key_hash: bytes
    key: str
    what: tuple[str, ...]
    newer: Literal["log", "table", "neither"]
    expected: tuple[str, bool] | None


def paired(expected: Iterable[Row], actual: Iterable[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Merge-join two tables in key-hash order. A row without a partner is paired with None."""
    expected_rows, actual_rows = iter(expected), iter(actual)
    left, right = next(expected_rows, None), next(actual_rows, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.key_hash < right.key_hash):
            yield left, None
            left = next(expected_rows, None)
        elif left is None or right.key_hash < left.key_hash:
            yield None, right
            right = next(actual_rows, None)
        else:
            yield left, right
            left, right = next(expected_rows, None), next(actual_rows, None)


def differences(entity: Entity, expected: Iterable[Row], actual: Iterable[Row]) -> Iterator[Difference]:
    """Yield every row that differs, in key-hash order. Memory does not grow with the tables."""
    compared = comparator(entity)
    for pair in paired(expected, actual):
        if (difference := compared(*pair)) is not None:
            yield difference


def comparator(entity: Entity) -> Callable[[Row | None, Row | None], Difference | None]:
    """Return a function that compares an expected row of this entity with the actual one.

    It returns None when all business columns, tombstone and source are equal (INV-3).
    """
    names = tuple(column.field.name for column in entity.columns)
    key_indexes = [names.index(name) for name in entity.key]

    def compared(expected: Row | None, actual: Row | None) -> Difference | None:
        either = expected or actual
        if either is None or not (what := _what(names, expected, actual)):
            return None
        return Difference(
            key_hash=either.key_hash,
            key=canonical_key([either.values[index] for index in key_indexes]) if key_indexes else "",
            what=what,
            newer=_newer(expected, actual, what),
            expected=(expected.rank, expected.deleted) if expected else None,
        )

    return compared


def _what(names: tuple[str, ...], expected: Row | None, actual: Row | None) -> tuple[str, ...]:
    if expected is None:
        return (EXTRA,)
    if actual is None:
        return (MISSING,)
    # The rank is not compared: deployments may frame one fact in other bytes, and then their ranks differ.
    values = zip(names, expected.values, actual.values, strict=True)
    columns = [name for name, left, right in values if left != right]
    columns += [DELETED] if expected.deleted != actual.deleted else []
    columns += [SOURCE] if expected.source != actual.source else []
    return tuple(columns)


def _newer(
    expected: Row | None, actual: Row | None, what: tuple[str, ...]
) -> Literal["log", "table", "neither"]:
    if expected is None:
        return "table"
    if actual is None:
        return "log"
    if expected.rank != actual.rank:
        return "log" if expected.rank > actual.rank else "table"
    # A sweep sets _deleted and leaves the rank: the side without the tombstone has not read the sweep yet.
    if what == (DELETED,):
        return "log" if expected.deleted else "table"
    return "neither"
