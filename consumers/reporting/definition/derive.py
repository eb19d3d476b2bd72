"""Which units of a report a changed row of an entity may touch.

A **unit** is a set of values of some of a report's key columns: all rows of the report that have them are
made of the rows of staging that lead to them, and of no others. A change is followed by making units anew.

A combination of rows makes a difference only if one of its rows changed, and its unit is told by the rows as
they were and as they are. Hence for each place in turn: the changed rows there; at later places rows as they
are or were; at earlier ones as they are, since with a changed row there it is that place's turn. Where a left
join found a row and finds none, or the reverse, its left side counts with it and without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from sqlglot import exp

from consumers.reporting.definition.flatten import Expression, Flat, NotFlatError, Part

Types = Mapping[str, Mapping[str, str]]
"""SQL type, as T-SQL names it, by entity and column."""


class Way(NamedTuple):
    """One SELECT of units: a changed row at `changed`, and rows at the other places that meet `conditions`.

    At the places in `before` they may be as they were.
    """

    changed: str
    places: Mapping[str, str]
    before: frozenset[str]
    conditions: tuple[Expression, ...]
    unit: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Derivation:
    """Of one report: the columns of its unit, and all ways to units."""

    unit: tuple[str, ...]
    ways: tuple[Way, ...]
    shared_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The key of each entity of which readers see one of several rows with one key, by source: there a row
    that changes shows or hides others."""

    @property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """Of each entity: the columns that the ways read, in order of their names."""
        entities = {entity for way in self.ways for entity in way.places.values()}
        columns = {entity: set(self.shared_keys.get(entity, ())) for entity in entities}
        for way in self.ways:
            for expression in (*way.conditions, *way.unit):
                for column in expression.find_all(exp.Column):
                    columns[way.places[column.table]].add(column.name)
        return {entity: tuple(sorted(columns[entity])) for entity in sorted(columns)}


def derive(flats: Sequence[Flat], key: Sequence[str], types: Types) -> Derivation:
    """Raises NotFlatError where a change can't be followed to units."""
    unit = tuple(name for name in key if all(flat.outputs[name] is not None for flat in flats))
    ways: list[Way] = []
    for flat in flats:
        told = tuple(made for name in unit if (made := flat.outputs[name]) is not None)
        if not any(each.find(exp.Column) for each in told):
            raise NotFlatError(
                "no key column is a plain column of staging, or what the rows are grouped or partitioned by"
            )
        ways += _ways(flat.part, told, types)
    return Derivation(unit, tuple(ways))


def _ways(root: Part, unit: Sequence[Expression], types: Types) -> Iterator[Way]:
    seen: set[str] = set()
    for path in _paths(root):
        for place in path[-1].places:
            seen.add(place)
            for way in _Walk(place, path, unit, types).ways():
                yield way._replace(before=frozenset(way.places) - seen)


def _paths(part: Part) -> Iterator[tuple[Part, ...]]:
    """From the outermost part to each part."""
    yield (part,)
    for inner in (*part.optionals, *part.witnesses):
        for path in _paths(inner):
            yield (part, *path)


class _Walk:
    """From a changed row at one place to units."""

    def __init__(self, place: str, path: tuple[Part, ...], unit: Sequence[Expression], types: Types) -> None:
        self._place = place
        self._path = path
        self._unit = unit
        self._types = types
        self._sides = self._needed()
        self._check_joined()

    def _needed(self) -> list[Part]:
        """Left joins beside the path that the unit, or the way to it, goes through; outer before inner."""
        asked = [*self._unit, *(condition for part in self._path[1:] for condition in part.conditions)]
        found: list[Part] = []
        while more := [part for part in self._beside(found) if _mentions(asked, _all_places(part))]:
            found += more
            asked += [condition for part in more for condition in part.conditions]
        return found

    def _beside(self, found: Sequence[Part]) -> list[Part]:
        there = [*self._path, *found]
        return [each for part in there for each in part.optionals if not _is_in(each, there)]

    def _check_joined(self) -> None:
        parts = [*self._path, *self._sides]
        places = {place: entity for part in parts for place, entity in part.places.items()}
        linked = [_places_of(condition) & places.keys() for part in parts for condition in part.conditions]
        reached = {self._place}
        while more := [link for link in linked if link & reached and not link <= reached]:
            reached.update(*more)
        if apart := sorted({places[place] for place in places.keys() - reached}):
            raise NotFlatError(
                f"nothing joins staging.{places[self._place]} to staging.{', staging.'.join(apart)}: a "
                "change of one may touch all rows of the other"
            )

    def ways(self) -> Iterator[Way]:
        """One for each choice of left joins that find nothing."""
        optional = [
            part
            for outer, part in zip(self._path, self._path[1:], strict=False)
            if _is_in(part, outer.optionals)
        ]
        choices = [*optional, *self._sides]
        for chosen in product((False, True), repeat=len(choices)):
            hidden = [part for part, is_hidden in zip(choices, chosen, strict=True) if is_hidden]
            if all(
                _is_in(outer, hidden) <= _is_in(part, hidden)
                for part in self._sides
                for outer in self._sides
                if _is_in(part, outer.optionals)
            ):
                yield self._way(hidden)

    def _way(self, hidden: Sequence[Part]) -> Way:
        parts = [*self._path, *(side for side in self._sides if not _is_in(side, hidden))]
        places = {place: entity for part in parts for place, entity in part.places.items()}
        conditions = [
            self._as_null(condition, hidden, part) for part in parts for condition in part.conditions
        ]
        known = tuple(each for each in conditions if _places_of(each) <= places.keys())
        unit = tuple(self._as_null(each, hidden, self._path[0]) for each in self._unit)
        return Way(self._place, places, frozenset(), known, unit)

    def _as_null(self, expression: Expression, hidden: Sequence[Part], of: Part) -> Expression:
        """With NULL in place of what is hidden from this part: its own columns and those around are not."""
        gone: dict[str, str] = {}
        for part in hidden:
            if not _contains(part, of):
                gone |= _all_places(part)

        def replaced(node: Expression) -> Expression:
            if isinstance(node, exp.Column) and node.table in gone:
                return exp.cast(exp.null(), self._types[gone[node.table]][node.name], dialect="tsql")
            return node

        return expression.transform(replaced)


def _all_places(part: Part) -> dict[str, str]:
    """Its own and those of the left joins within."""
    made = dict(part.places)
    for inner in part.optionals:
        made |= _all_places(inner)
    return made


def _contains(outer: Part, part: Part) -> bool:
    return outer is part or any(_contains(each, part) for each in (*outer.optionals, *outer.witnesses))


def _is_in(part: Part, parts: Sequence[Part]) -> bool:
    return any(each is part for each in parts)


def _mentions(expressions: Sequence[Expression], places: Mapping[str, str]) -> bool:
    return any(_places_of(expression) & places.keys() for expression in expressions)


def _places_of(expression: Expression) -> set[str]:
    return {column.table for column in expression.find_all(exp.Column)}
