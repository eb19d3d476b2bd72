"""From changed rows to units, along one way, in statements whose number grows with its joins and no faster.

At each step there are alternatives: rows as they are or as they were, a left join that finds something or
nothing. A few are taken in SELECTs of their own, by which every planner finds rows by an index as it need not
in a UNION. Where they become more, what was found so far is kept in a table of the session, without its
duplicates and without columns that nothing further on reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlglot import exp

from consumers.reporting.definition.derive import Route
from consumers.reporting.definition.flatten import Expression
from consumers.reporting.definition.schedule import Join, Step
from consumers.reporting.refresh.dialect import Dialect, column
from consumers.reporting.refresh.statements import union_distinct

Relations: TypeAlias = Mapping[str, Expression]
"""A table or SELECT by entity."""
Image: TypeAlias = tuple[str, str, exp.DataType | None]
"""A column that is read further on: place, name, type."""
MOST = 4
"""Alternatives that are SELECTs of their own."""
_KEPT = "kept"


@dataclass(frozen=True, slots=True)
class _Arm:
    """One alternative: a SELECT that is not written yet."""

    relations: tuple[Expression, ...]
    conditions: tuple[Expression, ...] = ()
    kept: frozenset[str] = frozenset()
    """Places whose columns are in the table that keeps what was found."""
    hidden: frozenset[str] = frozenset()

    def joined(self, ref: str, relation: Expression) -> _Arm:
        return replace(self, relations=(*self.relations, _at(ref, relation)), hidden=self.hidden - {ref})

    def asked(self, conditions: Sequence[Expression]) -> _Arm:
        return replace(self, conditions=(*self.conditions, *map(self.shown, conditions)))

    def shown(self, expression: Expression) -> Expression:
        """An expression of columns of places, as it is here."""
        return expression.transform(lambda node: self._shown(node) if isinstance(node, exp.Column) else node)

    def _shown(self, node: exp.Column) -> Expression:
        if node.table in self.hidden:
            return exp.Cast(this=exp.null(), to=node.type.copy()) if node.type is not None else exp.null()
        if node.table in self.kept:
            made = column(f"{node.table}_{node.name}", _KEPT)
            made.type = node.type
            return made
        return node

    def select(self, expressions: Sequence[Expression]) -> exp.Select:
        query = exp.select(*expressions).distinct().from_(self.relations[0].copy())
        for each in self.relations[1:]:
            query = query.join(each.copy())
        return query.where(*(each.copy() for each in self.conditions))


class UnitWalk:
    """The statements of one way, the `number`-th of a refresh. `before` has only entities some of whose rows
    are no more as they were."""

    def __init__(
        self, dialect: Dialect, route: Route, number: int, before: Relations, live: Relations
    ) -> None:
        self._dialect = dialect
        self._route = route
        self._number = number
        self._before = before
        self._live = live
        self._known = [route.changed]
        self._tables: list[str] = []
        self._arms: list[_Arm] = []

    def statements(self, changed: Expression, names: Sequence[str], found: exp.Table) -> Iterator[str]:
        """Puts the units, by these names, of rows that changed into a table."""
        self._arms = [_Arm((_at(self._route.changed, changed),))]
        for number, step in enumerate(self._route.steps):
            yield from self._taken(step, self._route.steps[number:])
        for arm in self._arms:
            named = zip(map(arm.shown, self._route.unit), names, strict=True)
            unit = [exp.alias_(each, name, quoted=True) for each, name in named]
            yield self._dialect.to_sql(exp.insert(arm.select(unit), found))
        yield from map(self._dialect.forget, self._tables)

    def _taken(self, step: Step, further: Sequence[Step]) -> Iterator[str]:
        if step.joins and step.hidden and len(self._arms) > 1:
            yield self._keep(further)
        base = self._arms
        for join in step.joins:
            yield from self._joined(join, further)
        if step.hidden:
            self._arms = [*self._arms, *(replace(arm, hidden=arm.hidden | step.hidden) for arm in base)]
        self._arms = [arm.asked(step.conditions) for arm in self._arms]
        if len(self._arms) > MOST:
            yield self._keep(further[1:])

    def _joined(self, join: Join, further: Sequence[Step]) -> Iterator[str]:
        entity = self._route.refs[join.ref]
        relations = [self._live[entity]]
        if join.ref in self._route.before and entity in self._before:
            relations.append(self._before[entity])
        if len(self._arms) > 1 and len(self._arms) * len(relations) > MOST:
            yield self._keep(further)
        self._arms = [
            arm.joined(join.ref, relation).asked(join.conditions)
            for arm in self._arms
            for relation in relations
        ]
        self._known.append(join.ref)

    def _keep(self, further: Sequence[Step]) -> str:
        """Keeps what all alternatives have found so far."""
        images = self._read(further)
        either = union_distinct([arm.select(self._images(arm, images)) for arm in self._arms])
        name = f"way_{self._number}_{len(self._tables)}"
        self._tables.append(name)
        table = exp.alias_(self._dialect.temporary(name), _KEPT, table=True)
        self._arms = [_Arm((table,), kept=frozenset(self._known))]
        return self._dialect.keep(name, either)

    def _images(self, arm: _Arm, images: Sequence[Image]) -> list[Expression]:
        made = []
        for ref, name, kind in images:
            read = exp.column(name, ref)
            read.type = kind
            made.append(exp.alias_(arm.shown(read), f"{ref}_{name}", quoted=True))
        return made or [exp.alias_(exp.Literal.number(1), "_none", quoted=True)]

    def _read(self, further: Sequence[Step]) -> list[Image]:
        """What these steps and the unit read of places that are there."""
        asked = [each for step in further for join in step.joins for each in join.conditions]
        asked += [each for step in further for each in step.conditions]
        found: dict[tuple[str, str], exp.DataType | None] = {}
        for each in (*asked, *self._route.unit):
            for read in each.find_all(exp.Column):
                if read.table in self._known:
                    found[read.table, read.name] = read.type
        return [(ref, name, found[ref, name]) for ref, name in sorted(found)]


def _at(ref: str, relation: Expression) -> Expression:
    if isinstance(relation, exp.Select):
        return relation.subquery(ref)
    return exp.alias_(relation.copy(), ref, table=True)
