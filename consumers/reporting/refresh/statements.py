"""Queries of a refresh as trees, for every engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce

from sqlglot import exp

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.definition.body import selects_of
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.refresh.push_down import push_down


def at_time(query: exp.Query, moment: str) -> exp.Query:
    """Return the query with a moment (ISO 8601 in UTC) in place of @as_of."""
    timed = query.copy()
    for parameter in list(timed.find_all(exp.Parameter)):
        # A cast gives the literal the type of @as_of, which a bare string would not have.
        parameter.replace(exp.cast(exp.Literal.string(moment), "DATETIME2(6)", dialect="tsql"))
    return timed


def restricted_to_units(
    query: exp.Query, unit: Sequence[str], nulls: Collection[str], units: exp.Table
) -> exp.Query:
    """Return the report's query for the units that have NULL in exactly the columns of `nulls`.

    Units come first in FROM: SQLite, which does not know how few they are, keeps the order of a CROSS JOIN.
    """
    restricted = query.copy()
    names = [column.alias_or_name for column in query.selects]
    ctes = {cte.alias: cte for cte in restricted.find_all(exp.CTE)}
    for select in selects_of(restricted):
        outputs = dict(zip(names, (output.unalias() for output in select.selects), strict=True))
        condition = matches_unit({name: outputs[name] for name in unit}, nulls)
        # The former first table becomes a CROSS JOIN behind the units.
        first = select.args["from_"].this
        select.from_(exp.alias_(units.copy(), UNITS, table=True), copy=False)
        select.set("joins", [exp.Join(this=first, kind="CROSS"), *(select.args.get("joins") or [])])
        select.where(condition, copy=False)
        columns = {outputs[name].unnest(): name for name in unit if name not in nulls}
        known = {column: name for column, name in columns.items() if isinstance(column, exp.Column)}
        push_down(select, known, units, ctes)
    return restricted


def matches_unit(values: Mapping[str, Expression], nulls: Collection[str]) -> Expression:
    """Return the condition that these values are those of a unit.

    It is equality or IS NULL for each column, never `a = b OR (a IS NULL AND b IS NULL)`, with which no
    planner uses an index.
    """
    return exp.and_(
        *(
            condition
            for name, value in values.items()
            for condition in _matches(value, _of_unit(name), name in nulls)
        )
    )


def _matches(value: Expression, unit: exp.Column, is_null: bool) -> list[Expression]:
    # A copy: sqlglot nodes have one parent. Parentheses: the value may be an expression of lower precedence.
    value = exp.paren(value.copy())
    if is_null:
        return [exp.Is(this=side, expression=exp.null()) for side in (value, unit)]
    return [exp.EQ(this=value, expression=unit)]


def _of_unit(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=UNITS)


def null_patterns(unit: Sequence[str], units: exp.Table) -> exp.Select:
    """Return a query for which columns of units are NULL together (1 or 0 each), and the number of such
    units."""
    flags = [
        exp.alias_(
            exp.case().when(exp.Is(this=_of_unit(name), expression=exp.null()), "1").else_("0"), f"n{index}"
        )
        for index, name in enumerate(unit)
    ]
    names = [flag.alias for flag in flags]
    flagged = exp.select(*flags).from_(exp.alias_(units.copy(), UNITS, table=True))
    return exp.select(*names, "COUNT(*) AS units").from_(flagged.subquery("flagged")).group_by(*names)


def newest_of(tables: Sequence[exp.Table]) -> exp.Select:
    """Return a query for the newest event time of these rows of staging."""
    moments = [exp.select("_occurred_at").from_(table.copy()) for table in tables]
    return exp.select("MAX(_occurred_at) AS newest").from_(union_all(moments).subquery("moments"))


def union_all(queries: Sequence[exp.Select]) -> exp.Query:
    """Return the rows of all queries."""
    first: exp.Query = queries[0]
    return reduce(lambda left, right: exp.union(left, right, distinct=False), queries[1:], first)


def union_distinct(queries: Sequence[exp.Select]) -> exp.Query:
    """Return the rows of all queries without duplicates."""
    first: exp.Query = queries[0]
    return reduce(lambda left, right: exp.union(left, right, distinct=True), queries[1:], first)
