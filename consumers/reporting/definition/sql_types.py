"""The T-SQL type of every expression of a SELECT, by the rules of T-SQL.

https://learn.microsoft.com/sql/t-sql/data-types/data-type-precedence-transact-sql and
https://learn.microsoft.com/sql/t-sql/data-types/precision-scale-and-length-transact-sql
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import NamedTuple

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from consumers.reporting.definition.body import data_type, selects_of

_META_KEY = "sql_type"
"""Key in the `meta` of a sqlglot node, which copies of the node keep."""
MAX_DIGITS = 38


class SqlType(NamedTuple):
    """A T-SQL type.

    `size`: bytes of an int, digits of a decimal, digits of a second, or characters of a text (0: any).
    `zoned`: SQLite stores `+00:00` after the moment.
    """

    kind: str
    size: int = 0
    scale: int = 0
    zoned: bool = False


class Declared(str):
    """A T-SQL type as text, for a column whose moments are stored with their zone."""

    __slots__ = ()


NULL, BIT, INT, BIGINT = SqlType("null"), SqlType("bit"), SqlType("int", 4), SqlType("int", 8)
FLOAT, DATE, TEXT = SqlType("float"), SqlType("date"), SqlType("text")
_FIXED = {
    "BIT": BIT,
    "BOOLEAN": BIT,
    "TINYINT": SqlType("int", 1),
    "UTINYINT": SqlType("int", 1),
    "SMALLINT": SqlType("int", 2),
    "INT": INT,
    "BIGINT": BIGINT,
    "FLOAT": FLOAT,
    "DOUBLE": FLOAT,
    "DATE": DATE,
    "UUID": SqlType("uuid"),
    "VARBINARY": SqlType("binary"),
    "BINARY": SqlType("binary"),
    "NULL": NULL,
}
_SIZED = {
    "DECIMAL": ("decimal", 18),
    "TIME": ("time", 7),
    "DATETIME2": ("datetime", 7),
    "NVARCHAR": ("text", 0),
    "VARCHAR": ("text", 0),
    "TEXT": ("text", 0),
}
_PRECEDENCE = ("bit", "int", "decimal", "real", "float")
NUMBERS = frozenset(_PRECEDENCE)
_DIGITS = {1: 3, 2: 5, 4: 10, 8: 19}
"""Digits of a decimal that holds every int of so many bytes."""


def type_of(node: exp.Expr | None) -> SqlType | None:
    """Return the type of a node; None where it is not known."""
    if node is None:
        return None
    sql_type: SqlType | None = node.meta.get(_META_KEY)
    return sql_type


def is_text(node: exp.Expr | None) -> bool:
    sql_type = type_of(node)
    return sql_type is not None and sql_type.kind == "text"


def is_decimal(node: exp.Expr | None) -> bool:
    sql_type = type_of(node)
    return sql_type is not None and sql_type.kind == "decimal"


def with_type(node: exp.Expr, sql_type: SqlType | None) -> exp.Expr:
    """Set the type of a node, and return the node."""
    if sql_type is not None:
        node.meta[_META_KEY] = sql_type
    return node


def declared(sql_type: str) -> SqlType | None:
    """Return the type that this text names; None where SQLite has no equivalent."""
    if sql_type == "REAL":
        return SqlType("real")
    parsed = of_data_type(data_type(sql_type))
    return parsed._replace(zoned=True) if parsed and isinstance(sql_type, Declared) else parsed


def of_data_type(data_type: exp.Expr) -> SqlType | None:
    """Return the type that a node of a report names; None where SQLite has no equivalent."""
    name = (
        data_type.this.name
        if isinstance(data_type, exp.DataType) and not isinstance(data_type.this, str)
        else ""
    )
    sizes = [int(parameter.name) for parameter in data_type.expressions if parameter.name.isdigit()]
    if name in _FIXED:
        return _FIXED[name]
    if name not in _SIZED:
        return None
    kind, size = _SIZED[name]
    first, scale, *_ = [*(sizes or [size]), 0]
    return SqlType(kind, first, scale)


# Types of a whole query


def annotate(query: exp.Query, columns: Mapping[str, Mapping[str, str]]) -> None:
    """Set the type of each node. `columns`: T-SQL types by entity and column."""
    for scope in traverse_scope(query):
        for column in scope.columns:
            with_type(column, _of_column(scope, column, columns))
        infer_types(scope.expression)
    infer_types(query)


def infer_types(tree: exp.Expr) -> None:
    """Set the types of nodes that have none yet, from those of their children."""
    # walk() yields parents first, so that the reverse has the types of children when it reaches a parent.
    for node in reversed(list(tree.walk())):
        if type_of(node) is None:
            with_type(node, _inferred(node))


def output_types(query: exp.Query) -> dict[str, SqlType | None]:
    """Return the type of each column of a query.

    In a UNION it is the one that holds the values of all sides.
    """
    selects = [select.selects for select in selects_of(query)]
    return {
        first.alias_or_name: common_type(type_of(select[index]) for select in selects if index < len(select))
        for index, first in enumerate(selects[0] if selects else ())
    }


def _of_column(scope: Scope, column: exp.Column, columns: Mapping[str, Mapping[str, str]]) -> SqlType | None:
    around: Scope | None = scope
    # A correlated sub-query may name a table of a scope around it.
    while around is not None and column.table not in around.sources:
        around = around.parent
    source = around.sources[column.table] if around is not None else None
    if isinstance(source, exp.Table):
        sql_type = columns.get(source.name, {}).get(column.name)
        return declared(sql_type) if sql_type is not None else None
    if isinstance(source, Scope) and isinstance(source.expression, exp.Query):
        return output_types(source.expression).get(column.name)
    return None


# Rules


def common_type(types: Iterable[SqlType | None]) -> SqlType | None:
    """Return the type to which T-SQL converts values that it compares or combines.

    None where it has none, or one of the types is not known.
    """
    operands = list(types)
    if None in operands or not operands:
        return None
    return reduce(_higher, operands)


def _higher(left: SqlType | None, right: SqlType | None) -> SqlType | None:
    if left is None or right is None:
        return None
    # NULL takes the type of whatever it is combined with.
    if NULL in (left, right):
        return right if left == NULL else left
    if left.kind == right.kind:
        return _wider(left, right)
    # Text has the lowest precedence: T-SQL converts it to the other type.
    if "text" in (left.kind, right.kind):
        return right if left.kind == "text" else left
    kinds = {left.kind, right.kind}
    if kinds <= NUMBERS:
        return _number(*sorted((left, right), key=lambda operand: _PRECEDENCE.index(operand.kind)))
    if kinds == {"date", "datetime"}:
        return left if left.kind == "datetime" else right
    return None


def _number(lower: SqlType, higher: SqlType) -> SqlType | None:
    return _wider(as_decimal(lower), higher) if higher.kind == "decimal" else higher


def _wider(left: SqlType, right: SqlType) -> SqlType:
    if left.kind == "decimal":
        scale = max(left.scale, right.scale)
        whole = max(left.size - left.scale, right.size - right.scale)
        return SqlType("decimal", min(whole + scale, MAX_DIGITS), min(scale, max(MAX_DIGITS - whole, 0)))
    size = 0 if left.kind == "text" and 0 in (left.size, right.size) else max(left.size, right.size)
    return SqlType(left.kind, size, 0, left.zoned or right.zoned)


def as_decimal(exact: SqlType) -> SqlType:
    """Return the decimal that holds every value of an exact number."""
    if exact.kind == "decimal":
        return exact
    return SqlType("decimal", 1 if exact.kind == "bit" else _DIGITS[exact.size])


def _arithmetic(node: exp.Expr) -> SqlType | None:
    left, right = type_of(node.this), type_of(node.expression)
    if left is None or right is None:
        return None
    # + concatenates two texts; with any other type T-SQL converts the text instead.
    if {left.kind, right.kind} == {"text"}:
        return TEXT if isinstance(node, exp.Add) else None
    result = common_type([left, right])
    if result is None or result.kind not in NUMBERS:
        return result if result == NULL else None
    if result.kind != "decimal":
        return INT if result.kind == "bit" else result
    decimals = [_operand(operand) for operand in (node.this, node.expression)]
    return _DECIMALS[type(node)](*decimals)


def _operand(node: exp.Expr) -> SqlType:
    """Return the type of an operand as a decimal.

    A constant has no more digits than it is written with.
    """
    inner, sql_type = node.unnest(), type_of(node) or INT
    inner = inner.this if isinstance(inner, exp.Neg) else inner
    if sql_type.kind == "int" and isinstance(inner, exp.Literal):
        return SqlType("decimal", len(inner.name))
    return SqlType("decimal", MAX_DIGITS) if sql_type.kind == "text" else as_decimal(sql_type)


def _sum(a: SqlType, b: SqlType) -> SqlType:
    scale, whole = max(a.scale, b.scale), max(a.size - a.scale, b.size - b.scale)
    size = scale + whole + 1
    return SqlType("decimal", min(size, MAX_DIGITS), scale if size <= MAX_DIGITS else MAX_DIGITS - whole)


def _product(a: SqlType, b: SqlType) -> SqlType:
    return _reduced(a.size + b.size + 1, a.scale + b.scale)


def _quotient(a: SqlType, b: SqlType) -> SqlType:
    scale = max(6, a.scale + b.size + 1)
    return _reduced(a.size - a.scale + b.scale + scale, scale)


def _reduced(size: int, scale: int) -> SqlType:
    """Return a decimal cut to 38 digits: digits before the point take precedence, but six after it remain."""
    if size > MAX_DIGITS:
        whole = size - scale
        scale = min(scale, max(MAX_DIGITS - whole, 6)) if whole < MAX_DIGITS - 6 else min(scale, 6)
    return SqlType("decimal", min(size, MAX_DIGITS), scale)


def _remainder(a: SqlType, b: SqlType) -> SqlType:
    scale = max(a.scale, b.scale)
    return SqlType("decimal", min(min(a.size - a.scale, b.size - b.scale) + scale, MAX_DIGITS), scale)


_DECIMALS: dict[type[exp.Expr], Callable[[SqlType, SqlType], SqlType]] = {
    exp.Add: _sum,
    exp.Sub: _sum,
    exp.Mul: _product,
    exp.Div: _quotient,
    exp.Mod: _remainder,
}


# Expressions


def branches(node: exp.Expr) -> list[exp.Expr]:
    """Return the expressions of which CASE, IIF or COALESCE returns one."""
    if isinstance(node, exp.Case):
        results = [branch.args["true"] for branch in node.args["ifs"]]
        return [*results, *filter(None, [node.args.get("default")])]
    if isinstance(node, exp.If):
        return [branch for branch in (node.args.get("true"), node.args.get("false")) if branch is not None]
    return [node.this, *node.expressions]


def _chosen(node: exp.Expr) -> SqlType | None:
    # ISNULL takes the type of its first argument, COALESCE the common one.
    if isinstance(node, exp.Coalesce) and node.args.get("is_null"):
        return type_of(node.this)
    return common_type(map(type_of, branches(node)))


def _literal(node: exp.Expr) -> SqlType | None:
    text = node.name
    if node.args.get("is_string") or isinstance(node, exp.National):
        return SqlType("text", max(len(text), 1))
    if "e" in text.lower():
        return FLOAT
    # A larger whole number is a DECIMAL in T-SQL, not a BIGINT.
    if "." not in text and int(text) < 2**31:
        return INT
    whole, _, fraction = text.partition(".")
    return SqlType("decimal", max(len(whole.lstrip("0")) + len(fraction), 1), len(fraction))


def _inner(node: exp.Expr) -> SqlType | None:
    return type_of(node.this)


def _added(node: exp.Expr) -> SqlType | None:
    sql_type = type_of(node.this)
    if sql_type is None or sql_type.kind in ("float", "real", "null"):
        return sql_type
    if sql_type.kind == "decimal":
        # SUM of a decimal has 38 digits and the scale of its argument.
        return sql_type._replace(size=MAX_DIGITS)
    return sql_type if sql_type == BIGINT else INT


def _averaged(node: exp.Expr) -> SqlType | None:
    sql_type = _added(node)
    return (
        sql_type._replace(scale=max(sql_type.scale, 6))
        if sql_type and sql_type.kind == "decimal"
        else sql_type
    )


def _scalar(node: exp.Expr) -> SqlType | None:
    """Return the type of a query that is used as a single value."""
    query = node.unnest()
    return next(iter(output_types(query).values()), None) if isinstance(query, exp.Query) else None


def _cast(node: exp.Expr) -> SqlType | None:
    return of_data_type(node.this if isinstance(node, exp.Convert) else node.args["to"])


def _moved(node: exp.Expr) -> SqlType | None:
    """Return the type of DATEADD: that of its argument; for a text DATETIME, which has milliseconds here."""
    sql_type = type_of(node.this)
    return SqlType("datetime", 3) if sql_type is not None and sql_type.kind == "text" else sql_type


_RULES: tuple[tuple[tuple[type[exp.Expr], ...], Callable[[exp.Expr], SqlType | None]], ...] = (
    ((exp.Literal, exp.National), _literal),
    ((exp.Null,), lambda _: NULL),
    ((exp.Subquery, exp.Select, exp.SetOperation), _scalar),
    ((exp.Cast, exp.Convert), _cast),
    (tuple(_DECIMALS), _arithmetic),
    ((exp.Case, exp.If, exp.Coalesce), _chosen),
    ((exp.Sum,), _added),
    ((exp.Avg,), _averaged),
    ((exp.Count,), lambda node: BIGINT if node.args.get("big_int") else INT),
    ((exp.RowNumber, exp.Rank, exp.DenseRank), lambda _: BIGINT),
    ((exp.Length, exp.DateDiff, exp.Year, exp.Month, exp.Day, exp.Extract, exp.StrPosition), lambda _: INT),
    ((exp.LastDay, exp.DateFromParts), lambda _: DATE),
    ((exp.DateAdd,), _moved),
    (
        (exp.Concat, exp.DPipe, exp.Upper, exp.Lower, exp.Replace, exp.Trim, exp.Substring, exp.Left,
         exp.Right),
        lambda _: TEXT,
    ),
    (
        (
            exp.Paren, exp.Alias, exp.Window, exp.Min, exp.Max, exp.Neg, exp.Abs, exp.Nullif, exp.Lag,
            exp.Lead, exp.FirstValue, exp.LastValue, exp.TimestampTrunc, exp.DateTrunc, exp.TsOrDsToDate,
            exp.TimeStrToTime, exp.Ordered, exp.Round,
        ),
        _inner,
    ),
)  # fmt: skip


def _inferred(node: exp.Expr) -> SqlType | None:
    if isinstance(node, exp.Distinct):
        return type_of(node.expressions[0]) if len(node.expressions) == 1 else None
    # The first rule counts: some classes of sqlglot are subclasses of others.
    rule = next((rule for kinds, rule in _RULES if isinstance(node, kinds)), None)
    return rule(node) if rule is not None else None
