"""The columns by which a refresh searches staging; without an index on them it reads the whole table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from consumers.reporting.definition.derive import Derivation, Route
from consumers.reporting.definition.row_expressions import Expression, equal_columns
from consumers.reporting.definition.schedule import refs_of


@dataclass(frozen=True, slots=True)
class Lookup:
    """A search for rows of an entity by columns.

    `impossible`: text of unlimited length, which no index can hold.
    """

    entity: str
    columns: tuple[str, ...]
    state: Literal["there", "missing", "impossible"]


def lookups(derivation: Derivation) -> Mapping[str, list[tuple[str, ...]]]:
    """Return column lists by entity: few indexes, each of which serves several searches by its prefix."""
    by_entity: dict[str, set[frozenset[str]]] = {}
    for route in derivation.routes:
        for ref, columns in _searches(route):
            by_entity.setdefault(route.refs[ref], set()).add(columns)
    for entity, key in derivation.shared_keys.items():
        if entity in derivation.images:
            by_entity.setdefault(entity, set()).add(frozenset(key))
    return {entity: _nested(by_entity[entity]) for entity in sorted(by_entity)}


def _searches(route: Route) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the searches of a route: from the changed row to the joined ones, and from the unit to the
    changed row."""
    unit = [expression.unnest() for expression in route.unit]
    for hidden, conditions in _alternatives(route):
        yield from _joined({route.changed}, conditions)
        columns_of_unit = [
            column for column in unit if isinstance(column, exp.Column) and column.table not in hidden
        ]
        if columns_of_unit:
            # The engine starts at one table of the unit and joins the others from there.
            first = columns_of_unit[0].table
            yield first, frozenset(column.name for column in columns_of_unit if column.table == first)
            yield from _joined({first}, conditions)


def _alternatives(route: Route) -> Iterator[tuple[frozenset[str], list[Expression]]]:
    """Yield the cases that all left joins match, one does not, or none does.

    Each with the references without a match, and the conditions that remain.
    """
    optionals = [(step.hidden, bool(step.joins)) for step in route.steps if step.hidden]
    # These cases represent all 2 ** n combinations of left joins.
    for chosen in ([], *([optional] for optional in optionals), optionals):
        hidden = frozenset(ref for refs, _ in chosen for ref in refs)
        beside = frozenset(ref for refs, is_beside in chosen if is_beside for ref in refs)
        yield hidden, [condition for condition in route.conditions if not refs_of(condition) & beside]


def _joined(known: set[str], conditions: Sequence[Expression]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield, reference by reference, the columns that conditions equate with columns of the references
    before."""
    pairs = list(equal_columns(conditions))
    # Level by level, as a planner joins: each reference is searched by all columns known before it.
    while True:
        joined: dict[str, set[str]] = {}
        for left, right in pairs:
            if left.table in known and right.table not in known:
                joined.setdefault(right.table, set()).add(right.name)
        if not joined:
            return
        yield from ((ref, frozenset(columns)) for ref, columns in joined.items())
        known = known | joined.keys()


def _nested(column_sets: set[frozenset[str]]) -> list[tuple[str, ...]]:
    """Return column lists in which shorter sets are prefixes of longer ones where possible."""
    indexes: list[tuple[str, ...]] = []
    for columns in sorted(column_sets, key=lambda columns: (len(columns), sorted(columns))):
        # The longest index whose columns are all among these is extended instead of adding another one.
        inner = max((prefix for prefix in indexes if columns.issuperset(prefix)), key=len, default=())
        if inner:
            indexes.remove(inner)
        indexes.append((*inner, *sorted(columns.difference(inner))))
    return indexes
