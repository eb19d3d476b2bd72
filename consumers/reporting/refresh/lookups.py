"""By which columns of staging a refresh finds rows: without an index of each it reads the whole table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from consumers.reporting.definition.derive import Derivation, Route
from consumers.reporting.definition.flatten import Expression, equal_columns
from consumers.reporting.definition.schedule import refs_of


@dataclass(frozen=True, slots=True)
class Lookup:
    """Of rows of an entity by columns. `impossible`: text of any length, which no index holds."""

    entity: str
    columns: tuple[str, ...]
    state: Literal["there", "missing", "impossible"]


def lookups(derivation: Derivation) -> Mapping[str, list[tuple[str, ...]]]:
    """Columns by entity: few indexes, each begins with what another way asks for."""
    found: dict[str, set[frozenset[str]]] = {}
    for route in derivation.routes:
        for ref, columns in _asked(route):
            found.setdefault(route.refs[ref], set()).add(columns)
    for entity, key in derivation.shared_keys.items():
        if entity in derivation.images:
            found.setdefault(entity, set()).add(frozenset(key))
    return {entity: _nested(found[entity]) for entity in sorted(found)}


def _asked(route: Route) -> Iterator[tuple[str, frozenset[str]]]:
    """From the changed row to those beside it, and from the unit to the changed row."""
    unit = [each.unnest() for each in route.unit]
    for hidden, conditions in _alternatives(route):
        yield from _reached({route.changed}, conditions)
        told = [each for each in unit if isinstance(each, exp.Column) and each.table not in hidden]
        if told:
            first = told[0].table
            yield first, frozenset(each.name for each in told if each.table == first)
            yield from _reached({first}, conditions)


def _alternatives(route: Route) -> Iterator[tuple[frozenset[str], list[Expression]]]:
    """Where all left joins find something, where one does not, and where none does: the places of those that
    do not, and the conditions that are left."""
    each = [(step.hidden, bool(step.joins)) for step in route.steps if step.hidden]
    for chosen in ([], *([one] for one in each), each):
        hidden = frozenset(ref for refs, _ in chosen for ref in refs)
        beside = frozenset(ref for refs, is_beside in chosen if is_beside for ref in refs)
        yield hidden, [one for one in route.conditions if not refs_of(one) & beside]


def _reached(known: set[str], conditions: Sequence[Expression]) -> Iterator[tuple[str, frozenset[str]]]:
    """Place by place, what conditions say of it in terms of places before."""
    pairs = list(equal_columns(conditions))
    while True:
        found: dict[str, set[str]] = {}
        for one, two in pairs:
            if one.table in known and two.table not in known:
                found.setdefault(two.table, set()).add(two.name)
        if not found:
            return
        yield from ((ref, frozenset(columns)) for ref, columns in found.items())
        known = known | found.keys()


def _nested(wanted: set[frozenset[str]]) -> list[tuple[str, ...]]:
    made: list[tuple[str, ...]] = []
    for columns in sorted(wanted, key=lambda each: (len(each), sorted(each))):
        inner = max((each for each in made if columns.issuperset(each)), key=len, default=())
        if inner:
            made.remove(inner)
        made.append((*inner, *sorted(columns.difference(inner))))
    return made
