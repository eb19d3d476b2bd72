"""Translation of a report's T-SQL into SQLite's SQL, or a refusal with the reason.

Every kind of node is known here or refused: SQLite would silently give much of T-SQL another meaning. The
T-SQL type of every node is known (definition/sql_types.py); where T-SQL converts a value, so does the
translation (conversions.py). Decimals are text and go through functions of ours (functions.py). Text is
compared without trailing blanks (COLLATE RTRIM), except by LIKE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlglot import exp

from consumers.reporting.definition.body import location_within, selects_of
from consumers.reporting.definition.row_expressions import Expression
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
    """The report uses something that SQLite does not have."""


Rewrite: TypeAlias = Callable[[Expression], Expression]

# Nodes that mean the same in SQLite.
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
    """Return the translated tree. Raises NeedsSqlServerError."""
    translated = tree.copy()
    infer_types(translated)
    return _rewritten(translated, tree)


def _rewritten(node: Expression, original: Expression) -> Expression:
    """Translate a node after its children.

    An unknown node is refused before them, so that the refusal names the function and not a part of it.
    """
    rewrite = next((rewrite for kinds, rewrite in _REWRITTEN if isinstance(node, kinds)), None)
    if rewrite is None and not isinstance(node, _SAME):
        raise _refused(original)
    # Types are read by the rewrite of the CAST around them.
    if isinstance(node, exp.DataType):
        return node
    for child, original_child in zip(
        list(node.iter_expressions()), list(original.iter_expressions()), strict=True
    ):
        replacement = _rewritten(child, original_child)
        if replacement is not child:
            child.replace(replacement)
    if rewrite is None:
        return node
    try:
        replacement = rewrite(node)
    except UnfitError as unfit:
        raise _refused(original, str(unfit)) from None
    # A parent's rewrite needs the type of the translated child.
    return with_type(replacement, type_of(node)) if type_of(replacement) is None else replacement


def _refused(node: Expression, reason: str = " has no equivalent in SQLite") -> NeedsSqlServerError:
    return NeedsSqlServerError(f"needs SQL Server: {location_within(node)}{node.sql('tsql')[:60]}{reason}")


# Rows


def _select(node: Expression) -> Expression:
    # DISTINCT compares the outputs, so that their collation decides.
    if isinstance(node, exp.Select) and node.args.get("distinct"):
        _collate_outputs(node.selects)
    return node


def _collate_outputs(selects: Sequence[Expression]) -> None:
    for output in selects:
        inner = output.unalias()
        if is_text(inner):
            inner.replace(comparisons.collated(inner) if isinstance(output, exp.Alias) else _aliased(output))


def _aliased(column: Expression) -> Expression:
    return exp.alias_(comparisons.collated(column), column.alias_or_name, quoted=True)


def _each_collated(node: Expression) -> Expression:
    node.set("expressions", [comparisons.collated(expression) for expression in node.expressions])
    return node


def _window(node: Expression) -> Expression:
    node.set(
        "partition_by",
        [comparisons.collated(expression) for expression in node.args.get("partition_by") or []],
    )
    if isinstance(node.this, exp.Anonymous):
        raise UnfitError(": SQLite has no such aggregate with OVER")
    return node


def _ordered(node: Expression) -> Expression:
    if is_text(node.this):
        check_ordered(node.this)
    by = comparisons.ORDERED_BY.get(comparisons.kind(node.this))
    node.set("this", call(by, node.this) if by else comparisons.collated(node.this))
    return node


def _united(node: Expression) -> Expression:
    """Convert each column of a UNION to the type that T-SQL gives it."""
    # Only the outermost UNION: it converts the columns of all its SELECTs at once.
    if isinstance(node.parent, exp.SetOperation):
        return node
    every = [select.selects for select in selects_of(node)]
    for column in zip(*every, strict=False):
        _unite(column)
    # UNION without ALL, INTERSECT and EXCEPT compare rows, UNION ALL does not.
    operations = node.find_all(exp.SetOperation)
    if any(
        operation.args.get("distinct") or not isinstance(operation, exp.Union) for operation in operations
    ):
        _collate_outputs(every[0])
    return node


def _unite(column: Sequence[Expression]) -> None:
    types = [type_of(column_of_select) for column_of_select in column]
    if None in types:
        return
    target = common_type(types)
    if target is None:
        raise UnfitError(": a column of two types: CAST one of them")
    for column_of_select in column:
        inner = column_of_select.unalias()
        if (replacement := converted(inner.copy(), target)) != inner:
            inner.replace(
                replacement
                if isinstance(column_of_select, exp.Alias)
                else exp.alias_(replacement, column_of_select.alias_or_name)
            )


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
