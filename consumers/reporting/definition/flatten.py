"""A report's SELECT, flattened: combinations of table references, and the conditions that join them.

The result covers every combination of rows that the SELECT reads, and more: a condition that can't be
evaluated on the columns of one combination is left out. It serves to find what a change may affect, where too
much is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from consumers.reporting.definition.body import data_type
from consumers.reporting.definition.row_expressions import (
    Environment,
    Expression,
    NotFlatError,
    Outputs,
    aggregates,
    determined,
    determining,
    inline,
    inlined_conjuncts,
    outermost,
)
from consumers.reporting.definition.sql_types import declared, with_type


@dataclass(slots=True)
class Part:
    """Rows that are joined. A table reference is one mention of an entity, and `ref.column` one of its
    columns."""

    refs: dict[str, str] = field(default_factory=dict)
    """Entity by table reference."""
    conditions: list[Expression] = field(default_factory=list)
    optionals: list[Part] = field(default_factory=list)
    """Right sides of left joins, each with its ON among the conditions."""
    witnesses: list[Part] = field(default_factory=list)
    """Rows of sub-queries: no column of theirs is visible outside, but they decide which rows are."""

    def add(self, other: Part) -> None:
        """Join the other part to this one."""
        self.refs.update(other.refs)
        self.conditions.extend(other.conditions)
        self.optionals.extend(other.optionals)
        self.witnesses.extend(other.witnesses)

    def copy(self) -> Part:
        """Return a copy that can be added to."""
        copy = Part()
        copy.add(self)
        return copy


class Flat(NamedTuple):
    """One alternative of a query: each SELECT of a UNION makes one."""

    part: Part
    outputs: Outputs


class _Cte(NamedTuple):
    query: Expression
    ctes: Mapping[str, _Cte]


class _Scope(NamedTuple):
    """Names that a query can reference: aliases of the queries around it, and CTEs."""

    aliases: Environment
    ctes: Mapping[str, _Cte]

    def beside(self, aliases: Environment) -> _Scope:
        return self._replace(aliases={**self.aliases, **aliases})


class Flattener:
    """Flattening of one qualified query."""

    def __init__(
        self, types: Mapping[str, Mapping[str, str]], nullable: Mapping[str, frozenset[str]]
    ) -> None:
        """Take the types of each entity's view columns, and the names of those that may be NULL."""
        self._types = types
        self._nullable = nullable
        self._entity_of: dict[str, str] = {}
        self._optional: set[str] = set()

    def flatten(self, query: exp.Query) -> list[Flat]:
        """Return the alternatives of the query. Raises NotFlatError."""
        return self._unlimited(query, _Scope({}, {}))

    def _unlimited(self, node: Expression, scope: _Scope) -> list[Flat]:
        """Flatten a query all of whose rows are used."""
        # TOP over the whole query: any change may move any row in or out.
        if is_limited(node):
            raise NotFlatError("TOP picks from all rows")
        return self._query(node, scope)

    def _query(self, node: Expression, scope: _Scope) -> list[Flat]:
        node = node.unnest()
        if with_ := node.args.get("with_"):
            scope = scope._replace(ctes=_with(with_, scope.ctes))
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, scope)
        if not isinstance(node, exp.Select):
            raise NotFlatError(f"{node.key.upper()} in place of a SELECT can't be followed")
        return [
            self._selected(node, part, scope.beside(aliases)) for part, aliases in self._from(node, scope)
        ]

    def _set_operation(self, node: exp.SetOperation, scope: _Scope) -> list[Flat]:
        if not isinstance(node, exp.Union):
            raise NotFlatError(f"{node.key.upper()} compares whole tables: use EXISTS or NOT EXISTS")
        left, right = self._unlimited(node.this, scope), self._unlimited(node.expression, scope)
        # The first SELECT of a UNION names the columns.
        names = list(left[0].outputs)
        return [
            *left,
            *(Flat(part, dict(zip(names, outputs.values(), strict=True))) for part, outputs in right),
        ]

    # FROM

    def _from(self, node: exp.Select, scope: _Scope) -> Iterator[tuple[Part, Environment]]:
        """Yield the combinations of the relations in FROM, each with the aliases that it makes visible."""
        combinations: list[tuple[Part, Environment]] = [(Part(), {})]
        for relation, on, is_optional in _relations(node):
            name = relation.alias_or_name
            combinations = [
                (
                    _joined(part, {**scope.aliases, **aliases, name: added.outputs}, added, on, is_optional),
                    {**aliases, name: self._right_outputs(added) if is_optional else added.outputs},
                )
                for part, aliases in combinations
                for added in self._relation(relation, scope, aliases)
            ]
        yield from combinations

    def _right_outputs(self, added: Flat) -> Outputs:
        """Return the outputs of a left join's right side, guarded so that they are NULL without a match.

        A plain column is NULL then anyway; a constant or COALESCE is not.
        """
        self._optional.update(_all_refs(added.part))
        ref_and_entity = next(iter(added.part.refs.items()), None)
        return {
            name: expression
            if expression is None or isinstance(expression, exp.Column)
            else self._null_without_match(expression, ref_and_entity)
            for name, expression in added.outputs.items()
        }

    def _null_without_match(
        self, expression: Expression, ref_and_entity: tuple[str, str] | None
    ) -> Expression | None:
        """Return the expression guarded by `_source`, which no row has NULL. None where the part has no
        table."""
        if ref_and_entity is None:
            return None
        ref, entity = ref_and_entity
        source = typed_column("_source", ref, self._types[entity]["_source"])
        guarded = exp.case().when(exp.Not(this=exp.Is(this=source, expression=exp.null())), expression.copy())
        guarded.type = expression.type
        return guarded

    def _relation(self, node: Expression, scope: _Scope, aliases: Environment) -> list[Flat]:
        _check_plain(node)
        match node:
            case exp.Lateral():
                return self._applied(node, scope.beside(aliases))
            case exp.Subquery():
                return self._unlimited(node.this, scope)
            case exp.Table() if not node.db:
                cte = scope.ctes[node.name]
                # A CTE does not see the aliases around the mention of it, only the CTEs before it.
                return self._unlimited(cte.query, _Scope({}, cte.ctes))
            case exp.Table():
                return [self._table(node.name)]
        raise NotFlatError(f"{node.key.upper()} in FROM can't be followed: use entities and SELECTs")

    def _applied(self, node: exp.Lateral, scope: _Scope) -> list[Flat]:
        """Flatten CROSS APPLY or OUTER APPLY.

        With TOP, which row is chosen depends on all candidates, so that no output follows from one of them.
        """
        flats = self._query(node.this, scope)
        if is_limited(node.this):
            return [Flat(part, dict.fromkeys(outputs)) for part, outputs in flats]
        return flats

    def _table(self, entity: str) -> Flat:
        ref = f"p{len(self._entity_of) + 1}"
        self._entity_of[ref] = entity
        return Flat(
            Part({ref: entity}),
            {name: typed_column(name, ref, sql_type) for name, sql_type in self._types[entity].items()},
        )

    # SELECT

    def _selected(self, node: exp.Select, part: Part, scope: _Scope) -> Flat:
        where = node.args.get("where")
        part.conditions.extend(inlined_conjuncts(where and where.this, scope.aliases))
        for sub_query in _sub_queries(node):
            part.witnesses.extend(self._witnesses(sub_query, scope))
        by = determining(node, scope.aliases)
        outputs = {
            output.alias_or_name: determined(inline(output.unalias(), scope.aliases), by)
            for output in node.selects
        }
        # An aggregate without GROUP BY has a row where nothing matches, like the left side of a left join.
        return Flat(Part(optionals=[part]) if _is_one_row(node) else part, outputs)

    def _witnesses(self, sub_query: Expression, scope: _Scope) -> Iterator[Part]:
        membership = sub_query.find_ancestor(exp.In, exp.Select)
        for part, outputs in self._query(sub_query, scope):
            if isinstance(membership, exp.In) and _is_operand(membership, sub_query):
                output = None if is_limited(sub_query) else next(iter(outputs.values()))
                part.conditions.extend(self._equalities(membership, output, scope))
            yield part

    def _equalities(
        self, membership: exp.In, output: Expression | None, scope: _Scope
    ) -> Iterator[Expression]:
        """Yield `x = y` for x IN (SELECT y ...); x NOT IN depends on all rows where either may be NULL.

        Raises NotFlatError for such a NOT IN.
        """
        value = inline(membership.this, scope.aliases)
        # NOT IN (..., NULL) is never true, so one NULL anywhere decides for all rows.
        if membership.find_ancestor(exp.Not) and (self._may_be_null(value) or self._may_be_null(output)):
            raise NotFlatError("NOT IN with a value that may be NULL depends on all rows: use NOT EXISTS")
        if value is not None and output is not None:
            yield exp.EQ(this=value, expression=output.copy())

    def _may_be_null(self, expression: Expression | None) -> bool:
        if not isinstance(expression, exp.Column) or expression.table in self._optional:
            return True
        return expression.name in self._nullable[self._entity_of[expression.table]]


def typed_column(name: str, table: str, sql_type: str) -> exp.Column:
    """Return a column with its T-SQL type, on which the comparisons of an engine depend."""
    column = exp.column(name, table)
    column.type = data_type(sql_type).copy()
    with_type(column, declared(sql_type))
    return column


def _with(with_: exp.With, ctes: Mapping[str, _Cte]) -> Mapping[str, _Cte]:
    """Return the CTEs in scope. A CTE sees those before it."""
    visible = dict(ctes)
    for cte in with_.expressions:
        # T-SQL has no RECURSIVE keyword: a CTE is recursive where it names itself.
        if any(table.name == cte.alias and not table.db for table in cte.this.find_all(exp.Table)):
            raise NotFlatError(f"the CTE {cte.alias} names itself: a recursive query walks through all rows")
        visible[cte.alias] = _Cte(cte.this, dict(visible))
    return visible


def _relations(node: exp.Select) -> Iterator[tuple[Expression, Expression | None, bool]]:
    """Yield the relations of FROM in order, each with its ON and whether it may be without a match."""
    if first := node.args.get("from_"):
        yield first.this, None, False
    for join in node.args.get("joins") or ():
        if join.side not in ("", "LEFT") or join.args.get("using") or join.method:
            raise NotFlatError(f"{join.side or 'this'} JOIN: use INNER JOIN or LEFT JOIN with ON")
        on = join.args.get("on")
        if on is not None and on.find(exp.Query):
            raise NotFlatError("a sub-query in ON: move it to WHERE or to FROM")
        # sqlglot marks CROSS APPLY; a Lateral without the mark is OUTER APPLY.
        outer_apply = isinstance(join.this, exp.Lateral) and not join.this.args.get("cross_apply")
        yield join.this, on, join.side == "LEFT" or outer_apply


_PLAIN = {"this", "db", "catalog", "alias", "with_"}


def _check_plain(node: Expression) -> None:
    """Refuse a relation with anything behind its name that changes which rows it has."""
    if not isinstance(node, (exp.Table, exp.Subquery)):
        return
    unsupported = {name for name, value in node.args.items() if value and name not in _PLAIN}
    if unsupported:
        raise NotFlatError(
            f"{node.sql('tsql')[:60]}: a join within a join, PIVOT, TABLESAMPLE or FOR SYSTEM_TIME; put it "
            "into a SELECT in FROM, with CASE in place of PIVOT"
        )


def _is_one_row(node: exp.Select) -> bool:
    """Return whether the SELECT aggregates all its rows: it then has one row, even of none."""
    outputs = (*node.selects, *filter(None, (node.args.get("having"),)))
    return node.args.get("group") is None and any(any(aggregates(expression)) for expression in outputs)


def _is_operand(membership: exp.In, sub_query: Expression) -> bool:
    """Return whether the sub-query is the operand of IN itself, and not a part of some expression there."""
    query = membership.args.get("query")
    return query is not None and query.unnest() is sub_query


def _joined(part: Part, named: Environment, added: Flat, on: Expression | None, is_optional: bool) -> Part:
    part, conditions = part.copy(), inlined_conjuncts(on, named)
    if is_optional:
        right = added.part.copy()
        right.conditions.extend(conditions)
        part.optionals.append(right)
    else:
        part.add(added.part)
        part.conditions.extend(conditions)
    return part


def _all_refs(part: Part) -> set[str]:
    return set(part.refs).union(*map(_all_refs, part.optionals))


def _sub_queries(node: exp.Select) -> Iterator[Expression]:
    """Yield the sub-queries in expressions of the SELECT: not those in FROM, nor those within others."""
    for name, value in node.args.items():
        if name not in ("from_", "joins", "with_", "laterals"):
            for expression in value if isinstance(value, list) else [value]:
                if isinstance(expression, exp.Expression):
                    yield from outermost(expression, exp.Select, exp.SetOperation)


def is_limited(node: Expression) -> bool:
    node = node.unnest()
    return any(node.args.get(name) for name in ("limit", "offset", "fetch"))
