"""Push-down of units into the SELECTs in FROM, so that these compute no more rows than needed.

Few databases push the condition of a join into a SELECT with GROUP BY or a window: a report over a grouped
SELECT would group the whole table at every refresh. Rows of such a SELECT that join only by a column which
equals one of a unit's can be filtered before they are grouped, where the grouping determines that column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlglot import exp

from consumers.reporting.definition.body import selects_of
from consumers.reporting.definition.row_expressions import (
    Expression,
    conjuncts_of,
    determined,
    determining,
    equal_columns,
    inline,
)
from consumers.reporting.definition.sql_types import is_decimal

Known = Mapping[exp.Column, str]
"""Columns whose value in every needed row is that of the unit's column with this name."""


def push_down(select: exp.Select, known: Known, units: exp.Table, ctes: Mapping[str, exp.CTE]) -> None:
    """Restrict the SELECTs in FROM of a SELECT to rows that can have the `known` values."""
    # The ON of a left join restricts its right side only, WHERE and inner joins restrict all.
    inner = [join for join in _joins(select) if not join.side]
    where = select.args.get("where")
    asked = [join.args.get("on") for join in inner] + [where and where.this]
    known = _with_equals(known, asked)
    if first := select.args.get("from_"):
        _restrict(first.this, known, units, ctes)
    for join in _joins(select):
        _restrict(join.this, _with_equals(known, [join.args.get("on")]), units, ctes)


def _joins(select: exp.Select) -> list[exp.Join]:
    return select.args.get("joins") or []


def _with_equals(known: Known, conditions: Iterable[Expression | None]) -> Known:
    """Return the known columns and those that conditions equate with them, if of the same type.

    Equality across types is not transitive: '01' = 1 = '1'.
    """
    equals = [pair for condition in conditions for pair in equal_columns(conjuncts_of(condition))]
    alike = [(left, right) for left, right in equals if _are_alike(left, right)]
    known_columns = dict(known)
    # Fixed point: equality is transitive among columns of one type.
    while more := [
        (right, known_columns[left])
        for left, right in alike
        if left in known_columns and right not in known_columns
    ]:
        known_columns.update(more)
    return known_columns


def _are_alike(left: exp.Column, right: exp.Column) -> bool:
    types = [column.type.this for column in (left, right) if column.type is not None]
    return len(types) == 2 and types[0] == types[1] != exp.DataType.Type.UNKNOWN


def _restrict(relation: Expression, known: Known, units: exp.Table, ctes: Mapping[str, exp.CTE]) -> None:
    name = relation.alias_or_name
    unit_columns = {column.name: unit for column, unit in known.items() if column.table == name}
    if not unit_columns:
        return
    if isinstance(relation, exp.Table) and not relation.db and (cte := ctes.get(relation.name)):
        # With names as in `WITH x (a, b)` the output names are not those of the SELECT.
        if cte.args["alias"].args.get("columns"):
            return
        # A CTE is copied into its mention: other mentions of it may need other rows.
        sub_query = exp.Subquery(this=cte.this.copy(), alias=exp.TableAlias(this=exp.to_identifier(name)))
        relation.replace(sub_query)
        relation = sub_query
    if isinstance(relation, exp.Subquery):
        _restrict_query(relation.this, unit_columns, units, ctes)


def _restrict_query(
    query: Expression, unit_columns: Mapping[str, str], units: exp.Table, ctes: Mapping[str, exp.CTE]
) -> None:
    """Restrict each SELECT of a UNION by the columns that it determines."""
    selects = list(selects_of(query))
    names = [column.alias_or_name for column in selects[0].selects]
    for select in selects:
        known = {}
        for name, unit in unit_columns.items():
            if (expression := _pushable(select, names.index(name))) is not None:
                # IN (SELECT ... FROM units) and not a join, which would repeat rows.
                values = exp.select(exp.column(unit, quoted=True)).from_(units.copy())
                select.where(exp.In(this=expression.copy(), query=values.subquery()), copy=False)
                if isinstance(expression, exp.Column):
                    known[expression] = unit
        push_down(select, known, units, ctes)


def _pushable(select: exp.Select, index: int) -> Expression | None:
    """Return the output expression if it is determined before rows are grouped, partitioned or aggregated.

    None for a decimal: SQLite stores it as text and has no IN for it.
    """
    columns: dict[str, dict[str, Expression | None]] = {}
    for column in select.find_all(exp.Column):
        columns.setdefault(column.table, {})[column.name] = column
    expression = inline(select.selects[index].unalias(), columns)
    pushable = determined(expression, determining(select, columns))
    return (
        pushable if pushable is not None and pushable.find(exp.Column) and not is_decimal(pushable) else None
    )
