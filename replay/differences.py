"""Two tables of one entity, row by row: what a table holds against what the log says it should hold. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from consumers.warehouse.port import Row
from schemas.catalog.entity import Entity
from schemas.keys import canonical_key

MISSING, EXTRA, DELETED, SOURCE = "missing", "extra", "_deleted", "_source"


class Difference(NamedTuple):
    """One row that is not what the log says.

    `key` is the canonical JSON of the key columns ("" where the entity has none). `what` is `missing` (the
    log has the row, the table has not), `extra` (the other way round), or the columns that differ, `_deleted`
    and `_source` among them. `newer` tells which side knows the later event: where one does, the other may
    only be behind. `expected`: rank and tombstone of the row that the log makes.
    """

    key_hash: bytes
    key: str
    what: tuple[str, ...]
    newer: Literal["log", "table", "neither"]
    expected: tuple[str, bool] | None


def paired(expected: Iterable[Row], actual: Iterable[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Merge join of two tables in key-hash order; a row without a partner stands beside None."""
    left, right = iter(expected), iter(actual)
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and mine.key_hash < theirs.key_hash):
            yield mine, None
            mine = next(left, None)
        elif mine is None or theirs.key_hash < mine.key_hash:
            yield None, theirs
            theirs = next(right, None)
        else:
            yield mine, theirs
            mine, theirs = next(left, None), next(right, None)


def differences(entity: Entity, expected: Iterable[Row], actual: Iterable[Row]) -> Iterator[Difference]:
    """Every row that differs, in key-hash order; memory does not grow with the tables."""
    tell = teller(entity)
    for mine, theirs in paired(expected, actual):
        if (found := tell(mine, theirs)) is not None:
            yield found


def teller(entity: Entity) -> Callable[[Row | None, Row | None], Difference | None]:
    """What tells an expected row of this entity from the actual one: None when all business columns,
    tombstone and source are equal (INV-3). The same columns under another rank are no difference."""
    names = tuple(column.field.name for column in entity.columns)
    places = [names.index(name) for name in entity.key]

    def tell(expected: Row | None, actual: Row | None) -> Difference | None:
        either = expected or actual
        if either is None or not (what := _what(names, expected, actual)):
            return None
        key = canonical_key([either.values[place] for place in places]) if places else ""
        state = (expected.rank, expected.deleted) if expected else None
        return Difference(either.key_hash, key, what, _newer(expected, actual, what), state)

    return tell


def _what(names: tuple[str, ...], expected: Row | None, actual: Row | None) -> tuple[str, ...]:
    if expected is None:
        return (EXTRA,)
    if actual is None:
        return (MISSING,)
    values = zip(names, expected.values, actual.values, strict=True)
    columns = [name for name, mine, theirs in values if mine != theirs]
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
    if what == (DELETED,):  # a sweep, which changes no rank: who is behind has not met it
        return "log" if expected.deleted else "table"
    return "neither"
