"""Statements from changed rows to units, along one route.

Each step has alternatives: rows as they are or as they were, a left join with or without a match. A few
alternatives are SELECTs of their own, for which every planner uses indexes, as it may not for a UNION. Once
they are more, the rows so far go into a temporary table, without duplicates and without columns that later
steps do not read; so the number of statements grows with the number of joins and no faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlglot import exp

from consumers.reporting.definition.derive import Route
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.definition.schedule import Join, Step
from consumers.reporting.refresh.dialect import Dialect, column
from consumers.reporting.refresh.statements import union_distinct

Relations: TypeAlias = Mapping[str, Expression]
"""A table or SELECT by entity."""
Image: TypeAlias = tuple[str, str, exp.DataType | None]
"""A column that a later step reads: table reference, name and type."""
MAX_ARMS = 4
"""Limit of alternatives that are SELECTs of their own."""
_KEPT = "kept"


@dataclass(frozen=True, slots=True)
class _Arm:
    """One alternative: a SELECT that is not rendered yet."""

    relations: tuple[Expression, ...]
    conditions: tuple[Expression, ...] = ()
    kept: frozenset[str] = frozenset()
    """References whose columns are in the temporary table of the rows so far."""
    hidden: frozenset[str] = frozenset()
    """References without a match: their columns are NULL."""

    def joined(self, ref: str, relation: Expression) -> _Arm:
        return replace(self, relations=(*self.relations, _at(ref, relation)), hidden=self.hidden - {ref})

    def asked(self, conditions: Sequence[Expression]) -> _Arm:
        return replace(self, conditions=(*self.conditions, *map(self.shown, conditions)))

    def shown(self, expression: Expression) -> Expression:
        """Return an expression of reference columns as this SELECT refers to them."""
        return expression.transform(lambda node: self._shown(node) if isinstance(node, exp.Column) else node)

    def _shown(self, node: exp.Column) -> Expression:
        # A NULL without a type would be an INT in SQL Server, and a UNION of the alternatives might fail.
        if node.table in self.hidden:
            return exp.Cast(this=exp.null(), to=node.type.copy()) if node.type is not None else exp.null()
        if node.table in self.kept:
            kept = column(f"{node.table}_{node.name}", _KEPT)
            kept.type = node.type
            return kept
        return node

    def select(self, expressions: Sequence[Expression]) -> exp.Select:
        query = exp.select(*expressions).distinct().from_(self.relations[0].copy())
        for relation in self.relations[1:]:
            query = query.join(relation.copy())
        return query.where(*(condition.copy() for condition in self.conditions))


class UnitWalk:
    """The statements of one route, the `number`-th of a refresh.

    `before` has only entities some of whose rows differ from what they were.
    """

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

    def statements(self, changed: Expression, names: Sequence[str], target: exp.Table) -> Iterator[str]:
        """Yield statements that insert the units of changed rows into the target, under these names."""
        self._arms = [_Arm((_at(self._route.changed, changed),))]
        for number, step in enumerate(self._route.steps):
            yield from self._taken(step, self._route.steps[number:])
        for arm in self._arms:
            named = zip(map(arm.shown, self._route.unit), names, strict=True)
            unit = [exp.alias_(expression, name, quoted=True) for expression, name in named]
            yield self._dialect.to_sql(exp.insert(arm.select(unit), target))
        yield from map(self._dialect.drop_temporary, self._tables)

    def _taken(self, step: Step, further: Sequence[Step]) -> Iterator[str]:
        # A left join doubles the alternatives: keep the rows first, so that it doubles one.
        if step.joins and step.hidden and len(self._arms) > 1:
            yield self._keep(further)
        # The alternative without a match goes on from the rows before the join.
        base = self._arms
        for join in step.joins:
            yield from self._joined(join, further)
        if step.hidden:
            self._arms = [*self._arms, *(replace(arm, hidden=arm.hidden | step.hidden) for arm in base)]
        self._arms = [arm.asked(step.conditions) for arm in self._arms]
        if len(self._arms) > MAX_ARMS:
            yield self._keep(further[1:])

    def _joined(self, join: Join, further: Sequence[Step]) -> Iterator[str]:
        entity = self._route.refs[join.ref]
        relations = [self._live[entity]]
        # A changed row of a later reference may have left the unit: join it as it was, too.
        if join.ref in self._route.before and entity in self._before:
            relations.append(self._before[entity])
        # Keep the rows before the product of alternatives would exceed the limit.
        if len(self._arms) > 1 and len(self._arms) * len(relations) > MAX_ARMS:
            yield self._keep(further)
        self._arms = [
            arm.joined(join.ref, relation).asked(join.conditions)
            for arm in self._arms
            for relation in relations
        ]
        self._known.append(join.ref)

    def _keep(self, further: Sequence[Step]) -> str:
        """Return the statement that keeps the rows of all alternatives so far in a temporary table."""
        # Only what later steps read, so that DISTINCT removes as many rows as possible.
        images = self._read(further)
        either = union_distinct([arm.select(self._images(arm, images)) for arm in self._arms])
        name = f"way_{self._number}_{len(self._tables)}"
        self._tables.append(name)
        table = exp.alias_(self._dialect.temporary(name), _KEPT, table=True)
        self._arms = [_Arm((table,), kept=frozenset(self._known))]
        return self._dialect.create_temporary(name, either)

    def _images(self, arm: _Arm, columns: Sequence[Image]) -> list[Expression]:
        images = []
        for ref, name, kind in columns:
            read = exp.column(name, ref)
            read.type = kind
            images.append(exp.alias_(arm.shown(read), f"{ref}_{name}", quoted=True))
        return images or [exp.alias_(exp.Literal.number(1), "_none", quoted=True)]

    def _read(self, further: Sequence[Step]) -> list[Image]:
        """Return the columns of joined references that later steps and the unit read."""
        conditions = [condition for step in further for join in step.joins for condition in join.conditions]
        conditions += [condition for step in further for condition in step.conditions]
        types: dict[tuple[str, str], exp.DataType | None] = {}
        for expression in (*conditions, *self._route.unit):
            for read in expression.find_all(exp.Column):
                if read.table in self._known:
                    types[read.table, read.name] = read.type
        return [(ref, name, types[ref, name]) for ref, name in sorted(types)]


def _at(ref: str, relation: Expression) -> Expression:
    if isinstance(relation, exp.Select):
        return relation.subquery(ref)
    return exp.alias_(relation.copy(), ref, table=True)
