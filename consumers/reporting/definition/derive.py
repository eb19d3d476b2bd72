"""Derivation of the units of a report that a changed row of an entity may affect.

A **unit** is a set of values of some of the report's key columns: all rows of the report with these values
are computed from the staging rows that lead to them, and from no others. A refresh recomputes whole units.

A combination of staging rows can change the report only if one of its rows changed, and the unit follows from
the rows before and after. Hence one route for each table reference: it starts from the changed rows there;
later references are joined before and after, earlier ones only after, since a combination with a changed row
there is covered by that reference's own route. Where a left join gains or loses its match, the left side
counts with and without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from sqlglot import exp

from consumers.reporting.definition.flatten import Flat, Part
from consumers.reporting.definition.row_expressions import Expression, NotFlatError
from consumers.reporting.definition.schedule import (
    RouteParts,
    Step,
    all_refs,
    contains,
    is_in,
    needs,
    refs_of,
    schedule,
)

MAX_CHOICES = 6
"""Limit of left joins whose choices each become a route of their own (2 ** 6 routes)."""
MAX_ALTERNATIVES = 100
MAX_TABLES = 60
"""Limit of tables in one join: SQLite allows 64."""
Types = Mapping[str, Mapping[str, str]]
"""SQL type in T-SQL, by entity and column."""


class Route(NamedTuple):
    """A path from a changed row at `changed`, through rows at the other table references that meet
    `conditions`, to units.

    `before`: references whose rows may also be the ones before the change.
    """

    changed: str
    refs: Mapping[str, str]
    before: frozenset[str]
    conditions: tuple[Expression, ...]
    unit: tuple[Expression, ...]
    steps: tuple[Step, ...]
    """The order in which to join: the same references and conditions, step by step."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """The unit columns of one report, and all routes to its units."""

    unit: tuple[str, ...]
    routes: tuple[Route, ...]
    shared_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Key of each entity whose readers see only one of several rows with equal keys, by source.

    There a changed row may show or hide other rows.
    """

    @property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """Columns that the routes read, by entity, both in name order."""
        entities = {entity for route in self.routes for entity in route.refs.values()}
        columns = {entity: set(self.shared_keys.get(entity, ())) for entity in entities}
        for route in self.routes:
            for expression in (*route.conditions, *route.unit):
                for column in expression.find_all(exp.Column):
                    columns[route.refs[column.table]].add(column.name)
        return {entity: tuple(sorted(columns[entity])) for entity in sorted(columns)}


def derive(flats: Sequence[Flat], key: Sequence[str], types: Types) -> Derivation:
    """Derive the units and the routes to them. Raises NotFlatError where a change can't be followed to
    units."""
    # Only key columns that every alternative computes from one combination of rows can identify a unit.
    unit = tuple(name for name in key if all(flat.outputs[name] is not None for flat in flats))
    routes: list[Route] = []
    _check_size(flats)
    for flat in flats:
        unit_values = tuple(expression for name in unit if (expression := flat.outputs[name]) is not None)
        # A unit of constants alone would be the whole report.
        if not any(expression.find(exp.Column) for expression in unit_values):
            raise NotFlatError(
                "no key column is a plain column of staging, or what the rows are grouped or partitioned by"
            )
        routes += _routes(flat.part, unit_values, types)
    return Derivation(unit, tuple(routes))


def _check_size(flats: Sequence[Flat]) -> None:
    """Raise NotFlatError for too many alternatives or tables.

    Flattening copies a CTE for each mention of it, and a UNION for each of its SELECTs.
    """
    if len(flats) > MAX_ALTERNATIVES:
        raise NotFlatError(
            f"the SELECTs of its UNIONs combine in {len(flats):,} ways: at most {MAX_ALTERNATIVES}"
        )
    for flat in flats:
        if (tables := len(set().union(*(path[-1].refs for path in _paths(flat.part))))) > MAX_TABLES:
            raise NotFlatError(
                f"it joins {tables:,} tables, counting each mention of a CTE: at most {MAX_TABLES}"
            )


def _routes(root: Part, unit: Sequence[Expression], types: Types) -> Iterator[Route]:
    seen: set[str] = set()
    for path in _paths(root):
        for ref in path[-1].refs:
            # Added before use: the route's own reference is never joined as it was before.
            seen.add(ref)
            for route in _Walk(ref, path, unit, types).routes():
                yield route._replace(before=frozenset(route.refs) - seen)


def _paths(part: Part) -> Iterator[tuple[Part, ...]]:
    """Yield the chain of parts from the outermost part to every part."""
    yield (part,)
    for inner in (*part.optionals, *part.witnesses):
        for path in _paths(inner):
            yield (part, *path)


class _Walk:
    """Builder of the routes from a changed row at one table reference to units."""

    def __init__(self, ref: str, path: tuple[Part, ...], unit: Sequence[Expression], types: Types) -> None:
        self._ref = ref
        self._path = path
        self._unit = unit
        self._types = types
        self._sides = self._needed()
        self._check_joined()

    def _needed(self) -> list[Part]:
        """Return left joins beside the path that the unit, or the route to it, goes through; outer before
        inner."""
        asked = [*self._unit, *(condition for part in self._path[1:] for condition in part.conditions)]
        needed: list[Part] = []
        # Fixed point: the conditions of a side may mention columns of further sides.
        while more := [part for part in self._beside(needed) if _mentions(asked, all_refs(part))]:
            needed += more
            asked += [condition for part in more for condition in part.conditions]
        return needed

    def _beside(self, sides: Sequence[Part]) -> list[Part]:
        visited = [*self._path, *sides]
        return [part for part in visited for part in part.optionals if not is_in(part, visited)]

    def _check_joined(self) -> None:
        parts = [*self._path, *self._sides]
        refs = {ref: entity for part in parts for ref, entity in part.refs.items()}
        linked = [refs_of(condition) & refs.keys() for part in parts for condition in part.conditions]
        reached = {self._ref}
        # Flood fill over conditions; a reference that stays unreached would be a cross join.
        while more := [link for link in linked if link & reached and not link <= reached]:
            reached.update(*more)
        if apart := sorted({refs[ref] for ref in refs.keys() - reached}):
            raise NotFlatError(
                f"nothing joins staging.{refs[self._ref]} to staging.{', staging.'.join(apart)}: a "
                "change of one may touch all rows of the other"
            )

    def routes(self) -> Iterator[Route]:
        """Yield one route, step by step; where that can't be, one for each choice of left joins without a
        match."""
        choices = [
            *self._optional(),
            *(side for side in self._sides if not is_in(side, self._needed_sides())),
        ]
        route = self._route((), choices)
        if route is not None:
            yield route
            return
        # Step by step failed: enumerate which left joins find no match.
        choices = [*self._optional(), *self._sides]
        if len(choices) > MAX_CHOICES:
            raise NotFlatError(
                f"{len(choices)} left joins depend on each other by more than equal columns: at most "
                f"{MAX_CHOICES}"
            )
        for chosen in product((False, True), repeat=len(choices)):
            hidden = [part for part, is_hidden in zip(choices, chosen, strict=True) if is_hidden]
            if all(
                # Without a match in the outer left join there is none in a left join within it.
                is_in(outer, hidden) <= is_in(part, hidden)
                for part in self._sides
                for outer in self._sides
                if is_in(part, outer.optionals)
            ):
                chosen_way = self._route(hidden, ())
                assert chosen_way is not None
                yield chosen_way

    def _optional(self) -> list[Part]:
        """Return the left joins on the path itself."""
        return [
            part
            for outer, part in zip(self._path, self._path[1:], strict=False)
            if is_in(part, outer.optionals)
        ]

    def _needed_sides(self) -> list[Part]:
        """Return the sides that must have a row: a condition of the route compares their columns and fails on
        NULL."""
        asked = [condition for part in self._path[1:] for condition in part.conditions]
        needed: list[Part] = []
        while more := [
            side
            for side in self._sides
            if not is_in(side, needed)
            and (needs(asked, side) or any(is_in(outer, side.optionals) for outer in needed))
        ]:
            needed += more
            asked = [*asked, *(condition for part in more for condition in part.conditions)]
        return needed

    def _route(self, hidden: Sequence[Part], optional: Sequence[Part]) -> Route | None:
        """Return the route with the `hidden` parts as NULL and the `optional` parts left to the steps.

        None where the steps can't decide an optional part.
        """
        parts = [*self._path, *(side for side in self._sides if not is_in(side, hidden))]
        refs = {ref: entity for part in parts for ref, entity in part.refs.items()}
        asked = [
            (part, self._as_null(condition, hidden, part)) for part in parts for condition in part.conditions
        ]
        # Conditions on references that this route does not join are dropped: that only yields more units.
        known = [(part, condition) for part, condition in asked if refs_of(condition) <= refs.keys()]
        unit = tuple(self._as_null(expression, hidden, self._path[0]) for expression in self._unit)
        route_parts = RouteParts(self._path, parts[len(self._path) :], optional, known)
        steps = schedule(self._ref, route_parts)
        if steps is None:
            return None
        return Route(
            changed=self._ref,
            refs=refs,
            before=frozenset(),  # `routes` of the whole derivation fills it in
            conditions=tuple(condition for _, condition in known),
            unit=unit,
            steps=steps,
        )

    def _as_null(self, expression: Expression, hidden: Sequence[Part], viewer: Part) -> Expression:
        """Return the expression with NULL for columns of the hidden parts, except for those that contain
        `viewer`."""
        gone: dict[str, str] = {}
        for part in hidden:
            if not contains(part, viewer):
                gone |= all_refs(part)

        def replaced(node: Expression) -> Expression:
            if isinstance(node, exp.Column) and node.table in gone:
                return exp.cast(exp.null(), self._types[gone[node.table]][node.name], dialect="tsql")
            return node

        return expression.transform(replaced)


def _mentions(expressions: Sequence[Expression], refs: Mapping[str, str]) -> bool:
    return any(refs_of(expression) & refs.keys() for expression in expressions)
