"""Whether each column of a grouped SELECT has one value for a group: SQL Server refuses the others, SQLite
takes that of any row."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from consumers.reporting.definition.body import place, place_within
from consumers.reporting.definition.functions import AGGREGATES
from schemas.errors import ConfigurationError


def check_grouped(query: exp.Query) -> None:
    """Of a qualified query. Raises ConfigurationError."""
    for select in query.find_all(exp.Select):
        group = select.args.get("group")
        if group is None and not any(_is_aggregate(each) for each in _seen(select)):
            continue
        if group is not None and group.find(exp.Rollup, exp.Cube, exp.GroupingSets):
            continue  # the server knows
        by = [] if group is None else group.expressions
        _refuse_constants(by)
        _check(select, by)


def _refuse_constants(by: list[exp.Expr]) -> None:
    """SQL Server refuses them (164); SQLite takes a whole number for the place of a column."""
    for each in by:
        if each.find(exp.Column) is None:
            raise ConfigurationError(
                f"{place_within(each)}GROUP BY {each.sql('tsql')[:60]}: it takes no constant; name a column"
            )


def _check(select: exp.Select, by: list[exp.Expr]) -> None:
    own = {each.alias_or_name for each in _sources(select)}
    for told in _told(select):
        for column in _loose(told, by):
            if column.table in own:
                name = f"{column.table}.{column.name}" if column.table else column.name
                raise ConfigurationError(
                    f"{place(column.this)}{name} is not what the rows are grouped by: say it in GROUP BY, or "
                    f"MAX({name})"
                )


def _told(select: exp.Select) -> Iterator[exp.Expr]:
    yield from select.selects
    if having := select.args.get("having"):
        yield having.this


def _seen(select: exp.Select) -> Iterator[exp.Expr]:
    for told in _told(select):
        yield from told.walk(prune=lambda node: isinstance(node, exp.Query))


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    for each in (select.args.get("from_"), *(select.args.get("joins") or [])):
        if each is not None:
            yield each.this


def _is_aggregate(node: exp.Expr) -> bool:
    """No window: that has OVER around it."""
    named = isinstance(node, exp.Anonymous) and node.name.upper() in AGGREGATES
    within = (
        node.parent.parent if isinstance(node.parent, (exp.WithinGroup, exp.IgnoreNulls)) else node.parent
    )
    return (named or isinstance(node, exp.AggFunc)) and not isinstance(within, exp.Window)


def _loose(node: exp.Expr, by: list[exp.Expr]) -> Iterator[exp.Column]:
    """Columns outside of aggregates and of what is grouped by."""
    if _is_aggregate(node) or isinstance(node, exp.Query) or any(node == each for each in by):
        return
    if isinstance(node, exp.Column):
        yield node
        return
    for each in node.iter_expressions():
        yield from _loose(each, by)
