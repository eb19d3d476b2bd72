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
from consumers.reporting.definition.schedule import (
    Step,
    Wanted,
    all_places,
    contains,
    is_in,
    needs,
    places_of,
    schedule,
)

MOST_CHOICES = 6
"""Left joins of which each choice is a way of its own."""
MOST_ALTERNATIVES = 100
MOST_TABLES = 60
"""SQLite joins 64."""
Types = Mapping[str, Mapping[str, str]]
"""SQL type, as T-SQL names it, by entity and column."""


class Way(NamedTuple):
    """To units: from a changed row at `changed`, by rows at the other places that meet `conditions`.

    At the places in `before` they may be as they were.
    """

    changed: str
    places: Mapping[str, str]
    before: frozenset[str]
    conditions: tuple[Expression, ...]
    unit: tuple[Expression, ...]
    steps: tuple[Step, ...]
    """How to go from the changed row to units: the same places and conditions, in order."""


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
    _check_size(flats)
    for flat in flats:
        told = tuple(made for name in unit if (made := flat.outputs[name]) is not None)
        if not any(each.find(exp.Column) for each in told):
            raise NotFlatError(
                "no key column is a plain column of staging, or what the rows are grouped or partitioned by"
            )
        ways += _ways(flat.part, told, types)
    return Derivation(unit, tuple(ways))


def _check_size(flats: Sequence[Flat]) -> None:
    """A SELECT within others stands for itself as often as it is named, UNION for each of its SELECTs."""
    if len(flats) > MOST_ALTERNATIVES:
        raise NotFlatError(
            f"the SELECTs of its UNIONs stand together in {len(flats):,} ways: {MOST_ALTERNATIVES} at most"
        )
    for flat in flats:
        if (tables := len(set().union(*(path[-1].places for path in _paths(flat.part))))) > MOST_TABLES:
            raise NotFlatError(f"it joins {tables:,} tables, as its CTEs are named: {MOST_TABLES} at most")


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
        while more := [part for part in self._beside(found) if _mentions(asked, all_places(part))]:
            found += more
            asked += [condition for part in more for condition in part.conditions]
        return found

    def _beside(self, found: Sequence[Part]) -> list[Part]:
        there = [*self._path, *found]
        return [each for part in there for each in part.optionals if not is_in(each, there)]

    def _check_joined(self) -> None:
        parts = [*self._path, *self._sides]
        places = {place: entity for part in parts for place, entity in part.places.items()}
        linked = [places_of(condition) & places.keys() for part in parts for condition in part.conditions]
        reached = {self._place}
        while more := [link for link in linked if link & reached and not link <= reached]:
            reached.update(*more)
        if apart := sorted({places[place] for place in places.keys() - reached}):
            raise NotFlatError(
                f"nothing joins staging.{places[self._place]} to staging.{', staging.'.join(apart)}: a "
                "change of one may touch all rows of the other"
            )

    def ways(self) -> Iterator[Way]:
        """One, step by step; where that can't be, one for each choice of left joins that find nothing."""
        choices = [
            *self._optional(),
            *(side for side in self._sides if not is_in(side, self._needed_sides())),
        ]
        way = self._way((), choices)
        if way is not None:
            yield way
            return
        choices = [*self._optional(), *self._sides]
        if len(choices) > MOST_CHOICES:
            raise NotFlatError(
                f"{len(choices)} left joins depend on each other by more than equal columns: at most "
                f"{MOST_CHOICES}"
            )
        for chosen in product((False, True), repeat=len(choices)):
            hidden = [part for part, is_hidden in zip(choices, chosen, strict=True) if is_hidden]
            if all(
                is_in(outer, hidden) <= is_in(part, hidden)
                for part in self._sides
                for outer in self._sides
                if is_in(part, outer.optionals)
            ):
                chosen_way = self._way(hidden, ())
                assert chosen_way is not None
                yield chosen_way

    def _optional(self) -> list[Part]:
        """Left joins on the way itself."""
        return [
            part
            for outer, part in zip(self._path, self._path[1:], strict=False)
            if is_in(part, outer.optionals)
        ]

    def _needed_sides(self) -> list[Part]:
        """Sides without a row of which the way leads nowhere: what must hold on it compares their columns."""
        asked = [condition for part in self._path[1:] for condition in part.conditions]
        found: list[Part] = []
        while more := [
            side
            for side in self._sides
            if not is_in(side, found)
            and (needs(asked, side) or any(is_in(each, side.optionals) for each in found))
        ]:
            found += more
            asked = [*asked, *(condition for part in more for condition in part.conditions)]
        return found

    def _way(self, hidden: Sequence[Part], optional: Sequence[Part]) -> Way | None:
        """With these parts hidden, and those that may find nothing left to the steps; None where the steps
        can't tell."""
        parts = [*self._path, *(side for side in self._sides if not is_in(side, hidden))]
        places = {place: entity for part in parts for place, entity in part.places.items()}
        asked = [(part, self._as_null(each, hidden, part)) for part in parts for each in part.conditions]
        known = [(part, each) for part, each in asked if places_of(each) <= places.keys()]
        unit = tuple(self._as_null(each, hidden, self._path[0]) for each in self._unit)
        wanted = Wanted(self._path, parts[len(self._path) :], optional, known)
        steps = schedule(self._place, wanted)
        if steps is None:
            return None
        return Way(self._place, places, frozenset(), tuple(each for _, each in known), unit, steps)

    def _as_null(self, expression: Expression, hidden: Sequence[Part], of: Part) -> Expression:
        """With NULL in place of what is hidden from this part: its own columns and those around are not."""
        gone: dict[str, str] = {}
        for part in hidden:
            if not contains(part, of):
                gone |= all_places(part)

        def replaced(node: Expression) -> Expression:
            if isinstance(node, exp.Column) and node.table in gone:
                return exp.cast(exp.null(), self._types[gone[node.table]][node.name], dialect="tsql")
            return node

        return expression.transform(replaced)


def _mentions(expressions: Sequence[Expression], places: Mapping[str, str]) -> bool:
    return any(places_of(expression) & places.keys() for expression in expressions)
