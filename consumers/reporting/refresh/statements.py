"""The queries of a refresh, for every engine, as trees."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce

from sqlglot import exp

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.definition.body import selects_of
from consumers.reporting.definition.flatten import Expression
from consumers.reporting.refresh.push_down import push_down


def at_time(query: exp.Query, moment: str) -> exp.Query:
    """With a moment, ISO 8601 in UTC, in place of @as_of."""
    made = query.copy()
    for parameter in list(made.find_all(exp.Parameter)):
        parameter.replace(exp.cast(exp.Literal.string(moment), "DATETIME2(6)", dialect="tsql"))
    return made


def restricted_to_units(
    query: exp.Query, unit: Sequence[str], nulls: Collection[str], units: exp.Table
) -> exp.Query:
    """The report's query for those units that have NULL in the columns of `nulls`, and in no others.

    The units stand first: SQLite, which does not know their number, takes a CROSS JOIN for the order to go.
    """
    made = query.copy()
    names = [each.alias_or_name for each in query.selects]
    ctes = {cte.alias: cte for cte in made.find_all(exp.CTE)}
    for select in selects_of(made):
        told = dict(zip(names, (each.unalias() for each in select.selects), strict=True))
        condition = matches_unit({name: told[name] for name in unit}, nulls)
        first = select.args["from_"].this
        select.from_(exp.alias_(units.copy(), UNITS, table=True), copy=False)
        select.set("joins", [exp.Join(this=first, kind="CROSS"), *(select.args.get("joins") or [])])
        select.where(condition, copy=False)
        columns = {told[name].unnest(): name for name in unit if name not in nulls}
        known = {each: name for each, name in columns.items() if isinstance(each, exp.Column)}
        push_down(select, known, units, ctes)
    return made


def matches_unit(told: Mapping[str, Expression], nulls: Collection[str]) -> Expression:
    """That these values are a unit's. Equality or IS NULL, never either: by the one every planner finds rows,
    and by both none does."""
    return exp.and_(
        *(each for name, value in told.items() for each in _matches(value, _of_unit(name), name in nulls))
    )


def _matches(value: Expression, unit: exp.Column, is_null: bool) -> list[Expression]:
    value = exp.paren(value.copy())
    if is_null:
        return [exp.Is(this=each, expression=exp.null()) for each in (value, unit)]
    return [exp.EQ(this=value, expression=unit)]


def _of_unit(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=UNITS)


def null_patterns(unit: Sequence[str], units: exp.Table) -> exp.Select:
    """Which columns of units are NULL together, 1 for each that is, and how many units they are."""
    flags = [
        exp.alias_(
            exp.case().when(exp.Is(this=_of_unit(name), expression=exp.null()), "1").else_("0"), f"n{place}"
        )
        for place, name in enumerate(unit)
    ]
    names = [flag.alias for flag in flags]
    flagged = exp.select(*flags).from_(exp.alias_(units.copy(), UNITS, table=True))
    return exp.select(*names, "COUNT(*) AS units").from_(flagged.subquery("flagged")).group_by(*names)


def newest_of(tables: Sequence[exp.Table]) -> exp.Select:
    """The newest moment of these rows of staging."""
    moments = [exp.select("_occurred_at").from_(table.copy()) for table in tables]
    return exp.select("MAX(_occurred_at) AS newest").from_(union_all(moments).subquery("moments"))


def union_all(queries: Sequence[exp.Select]) -> exp.Query:
    """The rows of each."""
    first: exp.Query = queries[0]
    return reduce(lambda one, other: exp.union(one, other, distinct=False), queries[1:], first)


def union_distinct(queries: Sequence[exp.Select]) -> exp.Query:
    """The rows of each, without duplicates."""
    first: exp.Query = queries[0]
    return reduce(lambda one, other: exp.union(one, other, distinct=True), queries[1:], first)
