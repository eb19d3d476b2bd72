"""Check that every column of a grouped SELECT has one value for each group.

SQL Server refuses the others; SQLite takes the value of an arbitrary row.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from consumers.reporting.definition.body import location, location_within
from consumers.reporting.definition.functions import AGGREGATES
from schemas.errors import ConfigurationError


def check_grouped(query: exp.Query) -> None:
    """Check all SELECTs of a qualified query. Raises ConfigurationError."""
    for select in query.find_all(exp.Select):
        group = select.args.get("group")
        if group is None and not any(_is_aggregate(node) for node in _nodes_of(select)):
            continue
        if group is not None and group.find(exp.Rollup, exp.Cube, exp.GroupingSets):
            continue  # only the server knows which columns are totals
        by = [] if group is None else group.expressions
        _refuse_constants(by)
        _check(select, by)


def _refuse_constants(by: list[exp.Expr]) -> None:
    """Refuse constants in GROUP BY.

    SQL Server refuses them (error 164); SQLite takes a whole number for the ordinal of a column.
    """
    for expression in by:
        if expression.find(exp.Column) is None:
            raise ConfigurationError(
                f"{location_within(expression)}GROUP BY {expression.sql('tsql')[:60]}: it takes no constant; "
                "name a column"
            )


def _check(select: exp.Select, by: list[exp.Expr]) -> None:
    aliases = {source.alias_or_name for source in _sources(select)}
    for output in _output_expressions(select):
        for column in _ungrouped(output, by):
            if column.table in aliases:
                name = f"{column.table}.{column.name}" if column.table else column.name
                raise ConfigurationError(
                    f"{location(column.this)}{name} is neither in GROUP BY nor in an aggregate: add it to "
                    f"GROUP BY, or write MAX({name})"
                )


def _output_expressions(select: exp.Select) -> Iterator[exp.Expr]:
    yield from select.selects
    if having := select.args.get("having"):
        yield having.this


def _nodes_of(select: exp.Select) -> Iterator[exp.Expr]:
    for output in _output_expressions(select):
        yield from output.walk(prune=lambda node: isinstance(node, exp.Query))


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    for source in (select.args.get("from_"), *(select.args.get("joins") or [])):
        if source is not None:
            yield source.this


def _is_aggregate(node: exp.Expr) -> bool:
    """Return whether the node is an aggregate and not a window function, which has OVER around it."""
    named = isinstance(node, exp.Anonymous) and node.name.upper() in AGGREGATES
    # sqlglot wraps an aggregate in WithinGroup or IgnoreNulls before it wraps it in Window.
    within = (
        node.parent.parent if isinstance(node.parent, (exp.WithinGroup, exp.IgnoreNulls)) else node.parent
    )
    return (named or isinstance(node, exp.AggFunc)) and not isinstance(within, exp.Window)


def _ungrouped(node: exp.Expr, by: list[exp.Expr]) -> Iterator[exp.Column]:
    """Yield columns outside of aggregates and of GROUP BY expressions."""
    if _is_aggregate(node) or isinstance(node, exp.Query) or any(node == expression for expression in by):
        return
    if isinstance(node, exp.Column):
        yield node
        return
    for child in node.iter_expressions():
        yield from _ungrouped(child, by)
