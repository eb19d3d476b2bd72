"""Units told to the SELECTs in FROM, so that each makes no more than they need.

What a join asks of a SELECT with a GROUP BY or a window few databases push into it: a report over a grouped
SELECT would group the whole table at every refresh. A row of such a SELECT that joins only by a column that
equals one of a unit's may go before it is grouped, where the grouping tells that column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlglot import exp

from consumers.reporting.definition.body import selects_of
from consumers.reporting.definition.flatten import (
    Expression,
    conjuncts_of,
    determined,
    determining,
    equal_columns,
    inline,
)
from consumers.reporting.definition.sql_types import is_decimal

Known = Mapping[exp.Column, str]
"""Columns whose value, in every row that is wanted, is that of a unit's column of this name."""


def push_down(select: exp.Select, known: Known, units: exp.Table, ctes: Mapping[str, exp.CTE]) -> None:
    """Restricts the SELECTs in FROM of a SELECT that asks `known` of its rows."""
    inner = [join for join in _joins(select) if not join.side]
    where = select.args.get("where")
    asked = [each.args.get("on") for each in inner] + [where and where.this]
    known = _with_equals(known, asked)
    if first := select.args.get("from_"):
        _restrict(first.this, known, units, ctes)
    for join in _joins(select):
        _restrict(join.this, _with_equals(known, [join.args.get("on")]), units, ctes)


def _joins(select: exp.Select) -> list[exp.Join]:
    return select.args.get("joins") or []


def _with_equals(known: Known, conditions: Iterable[Expression | None]) -> Known:
    """And the columns that conditions say are equal to these, of the same type: '01' = 1 = '1'."""
    equals = [pair for each in conditions for pair in equal_columns(conjuncts_of(each))]
    alike = [(one, two) for one, two in equals if _are_alike(one, two)]
    found = dict(known)
    while more := [(two, found[one]) for one, two in alike if one in found and two not in found]:
        found.update(more)
    return found


def _are_alike(one: exp.Column, two: exp.Column) -> bool:
    types = [each.type.this for each in (one, two) if each.type is not None]
    return len(types) == 2 and types[0] == types[1] != exp.DataType.Type.UNKNOWN


def _restrict(relation: Expression, known: Known, units: exp.Table, ctes: Mapping[str, exp.CTE]) -> None:
    name = relation.alias_or_name
    wanted = {column.name: unit for column, unit in known.items() if column.table == name}
    if not wanted:
        return
    if isinstance(relation, exp.Table) and not relation.db and (cte := ctes.get(relation.name)):
        if cte.args["alias"].args.get("columns"):
            return
        own = exp.Subquery(this=cte.this.copy(), alias=exp.TableAlias(this=exp.to_identifier(name)))
        relation.replace(own)
        relation = own
    if isinstance(relation, exp.Subquery):
        _restrict_query(relation.this, wanted, units, ctes)


def _restrict_query(
    query: Expression, wanted: Mapping[str, str], units: exp.Table, ctes: Mapping[str, exp.CTE]
) -> None:
    """Each SELECT of a UNION by what it tells."""
    selects = list(selects_of(query))
    names = [each.alias_or_name for each in selects[0].selects]
    for select in selects:
        known = {}
        for name, unit in wanted.items():
            if (expression := _told(select, names.index(name))) is not None:
                values = exp.select(exp.column(unit, quoted=True)).from_(units.copy())
                select.where(exp.In(this=expression.copy(), query=values.subquery()), copy=False)
                if isinstance(expression, exp.Column):
                    known[expression] = unit
        push_down(select, known, units, ctes)


def _told(select: exp.Select, place: int) -> Expression | None:
    """What it gives there, if that is told before its rows are grouped, partitioned or aggregated. Not money:
    SQLite has no IN for it."""
    own: dict[str, dict[str, Expression | None]] = {}
    for column in select.find_all(exp.Column):
        own.setdefault(column.table, {})[column.name] = column
    given = inline(select.selects[place].unalias(), own)
    told = determined(given, determining(select, own))
    return told if told is not None and told.find(exp.Column) and not is_decimal(told) else None
