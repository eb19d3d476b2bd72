"""A report's T-SQL as SQLite's, or why it can't be.

Every kind of node is known here or refused: SQLite would take much of T-SQL for something else, silently. The
T-SQL type of each node is known (definition/sql_types.py), and where T-SQL converts a value this says so
(sqlite_conversions.py). Decimals are text, and go through functions of ours (sqlite_functions.py); text is
compared without the blanks at its end (COLLATE RTRIM), but for LIKE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlglot import exp

from consumers.reporting.definition.body import location_within, selects_of
from consumers.reporting.definition.flatten import Expression
from consumers.reporting.definition.sql_types import (
    common_type,
    infer_types,
    is_text,
    type_of,
    with_type,
)
from consumers.reporting.sqlite import comparisons as comparisons
from consumers.reporting.sqlite import expressions as expressions
from consumers.reporting.sqlite.conversions import (
    UnfitError,
    call,
    converted,
)
from consumers.reporting.sqlite.text_kinds import check_ordered
from schemas.errors import ConfigurationError


class NeedsSqlServerError(ConfigurationError):
    """The report uses what SQLite has not."""


Rewrite: TypeAlias = Callable[[Expression], Expression]

_SAME = (
    exp.Subquery, exp.With, exp.CTE, exp.From, exp.Join, exp.Where,
    exp.Having, exp.Limit, exp.Order, exp.Star, exp.Alias,
    exp.TableAlias, exp.Table, exp.Column, exp.Identifier, exp.Null, exp.Boolean, exp.Paren,
    exp.And, exp.Or, exp.Not, exp.Is, exp.Exists, exp.Count,
    exp.WindowSpec, exp.RowNumber, exp.Rank, exp.DenseRank, exp.FirstValue,
    exp.LastValue, exp.DataType, exp.DataTypeParam, exp.Var, exp.Tuple, exp.Insert,
    exp.Delete, exp.Schema, exp.Escape,
)  # fmt: skip


def to_sqlite(tree: Expression) -> Expression:
    """Raises NeedsSqlServerError."""
    made = tree.copy()
    infer_types(made)
    return _rewritten(made, tree)


def _rewritten(node: Expression, original: Expression) -> Expression:
    """What is within first. A node that is not known is refused before that, so that the refusal names the
    function and not a part of it."""
    rewrite = next((rewrite for kinds, rewrite in _REWRITTEN if isinstance(node, kinds)), None)
    if rewrite is None and not isinstance(node, _SAME):
        raise _refused(original)
    if isinstance(node, exp.DataType):
        return node
    for each, own in zip(list(node.iter_expressions()), list(original.iter_expressions()), strict=True):
        made = _rewritten(each, own)
        if made is not each:
            each.replace(made)
    if rewrite is None:
        return node
    try:
        made = rewrite(node)
    except UnfitError as unfit:
        raise _refused(original, str(unfit)) from None
    return with_type(made, type_of(node)) if type_of(made) is None else made


def _refused(node: Expression, reason: str = " has no equivalent in SQLite") -> NeedsSqlServerError:
    return NeedsSqlServerError(f"needs SQL Server: {location_within(node)}{node.sql('tsql')[:60]}{reason}")


# Rows


def _select(node: Expression) -> Expression:
    if isinstance(node, exp.Select) and node.args.get("distinct"):
        _collate_outputs(node.selects)
    return node


def _collate_outputs(selects: Sequence[Expression]) -> None:
    for each in selects:
        inner = each.unalias()
        if is_text(inner):
            inner.replace(comparisons.collated(inner) if isinstance(each, exp.Alias) else _aliased(each))


def _aliased(column: Expression) -> Expression:
    return exp.alias_(comparisons.collated(column), column.alias_or_name, quoted=True)


def _each_collated(node: Expression) -> Expression:
    node.set("expressions", [comparisons.collated(each) for each in node.expressions])
    return node


def _window(node: Expression) -> Expression:
    node.set("partition_by", [comparisons.collated(each) for each in node.args.get("partition_by") or []])
    if isinstance(node.this, exp.Anonymous):
        raise UnfitError(": such an aggregate is no window in SQLite")
    return node


def _ordered(node: Expression) -> Expression:
    if is_text(node.this):
        check_ordered(node.this)
    by = comparisons.ORDERED_BY.get(comparisons.kind(node.this))
    node.set("this", call(by, node.this) if by else comparisons.collated(node.this))
    return node


def _united(node: Expression) -> Expression:
    """Each column in one form, of the type that T-SQL gives it."""
    if isinstance(node.parent, exp.SetOperation):
        return node
    every = [select.selects for select in selects_of(node)]
    for column in zip(*every, strict=False):
        _unite(column)
    operations = node.find_all(exp.SetOperation)
    if any(each.args.get("distinct") or not isinstance(each, exp.Union) for each in operations):
        _collate_outputs(every[0])
    return node


def _unite(column: Sequence[Expression]) -> None:
    types = [type_of(each) for each in column]
    if None in types:
        return
    target = common_type(types)
    if target is None:
        raise UnfitError(": a column of two types: CAST one of them")
    for each in column:
        inner = each.unalias()
        if (made := converted(inner.copy(), target)) != inner:
            inner.replace(made if isinstance(each, exp.Alias) else exp.alias_(made, each.alias_or_name))


_REWRITTEN: tuple[tuple[tuple[type[Expression], ...], Rewrite], ...] = (
    ((exp.Literal, exp.National), expressions.literal),
    ((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), comparisons.compare),
    ((exp.Select,), _select),
    ((exp.Group, exp.Distinct), _each_collated),
    ((exp.Window,), _window),
    ((exp.SetOperation,), _united),
    ((exp.Between,), comparisons.between),
    ((exp.In,), comparisons.among),
    ((exp.Nullif,), comparisons.nullif),
    ((exp.Abs,), expressions.absolute),
    ((exp.Neg,), expressions.negated),
    ((exp.Round,), expressions.rounded),
    (tuple(expressions.ARITHMETIC), expressions.arithmetic),
    (tuple(expressions.EXTREMES), expressions.aggregate),
    ((exp.Avg,), expressions.average),
    ((exp.Lateral,), expressions.refuse),
    ((exp.Convert,), expressions.convert),
    ((exp.Cast,), expressions.cast_as),
    ((exp.Ordered,), _ordered),
    ((exp.If,), expressions.iif),
    ((exp.Coalesce, exp.Case), expressions.one_of),
    ((exp.Lag, exp.Lead), expressions.shifted),
    ((exp.Year, exp.Month, exp.Day, exp.Extract), expressions.part),
    ((exp.DateAdd,), expressions.date_add),
    ((exp.DateDiff,), expressions.date_diff),
    ((exp.TimestampTrunc, exp.DateTrunc), expressions.first_day),
    ((exp.LastDay,), expressions.last_day),
    ((exp.DateFromParts,), expressions.from_parts),
    ((exp.TsOrDsToDate, exp.TimeStrToTime), expressions.inside),
    ((exp.Concat,), expressions.concat),
    ((exp.Length,), expressions.length),
    ((exp.Left, exp.Right), expressions.end_of_text),
    ((exp.Substring,), expressions.substring),
    ((exp.StrPosition,), expressions.position),
    ((exp.Anonymous,), expressions.size_of),
    ((exp.Like,), expressions.like),
    ((exp.Replace,), expressions.replace),
    ((exp.Upper, exp.Lower, exp.Trim), expressions.of_texts),
    ((exp.DPipe,), expressions.refuse),
)
