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

from consumers.reporting.definition.body import selects_of

_NOTE = "sql_type"
"""Where a node of sqlglot's keeps it: a copy of the node has it, too."""
MAX_DIGITS = 38


class SqlType(NamedTuple):
    """`size`: bytes of an int, digits of a decimal, digits of a second, characters of a text (0: any).

    `zoned`: whether SQLite stores `+00:00` after a moment.
    """

    kind: str
    size: int = 0
    scale: int = 0
    zoned: bool = False


class Declared(str):
    """A type as T-SQL writes it, for a column whose moments are stored with their zone."""

    __slots__ = ()


NULL, BIT, INT, BIGINT, FLOAT, DATE = (
    SqlType("null"),
    SqlType("bit"),
    SqlType("int", 4),
    SqlType("int", 8),
    SqlType("float"),
    SqlType("date"),
)
TEXT = SqlType("text")
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
"""Of a decimal that takes every int of so many bytes."""


def type_of(node: exp.Expr | None) -> SqlType | None:
    """None where it is not known."""
    if node is None:
        return None
    found: SqlType | None = node.meta.get(_NOTE)
    return found


def is_text(node: exp.Expr | None) -> bool:
    found = type_of(node)
    return found is not None and found.kind == "text"


def is_decimal(node: exp.Expr | None) -> bool:
    found = type_of(node)
    return found is not None and found.kind == "decimal"


def with_type(node: exp.Expr, found: SqlType | None) -> exp.Expr:
    """The node, of this type from now on."""
    if found is not None:
        node.meta[_NOTE] = found
    return node


def declared(sql_type: str) -> SqlType | None:
    """A type as T-SQL writes it."""
    if sql_type == "REAL":
        return SqlType("real")
    found = of_data_type(exp.DataType.build(sql_type, dialect="tsql"))
    return found._replace(zoned=True) if found and isinstance(sql_type, Declared) else found


def of_data_type(given: exp.Expr) -> SqlType | None:
    """A type that a report names; None where SQLite has nothing of the kind."""
    name = given.this.name if isinstance(given, exp.DataType) and not isinstance(given.this, str) else ""
    sizes = [int(each.name) for each in given.expressions if each.name.isdigit()]
    if name in _FIXED:
        return _FIXED[name]
    if name not in _SIZED:
        return None
    kind, size = _SIZED[name]
    first, scale, *_ = [*(sizes or [size]), 0]
    return SqlType(kind, first, scale)


# Of a whole query


def annotate(query: exp.Query, columns: Mapping[str, Mapping[str, str]]) -> None:
    """Notes the type of each node. `columns`: of each entity, as T-SQL writes their types."""
    for scope in traverse_scope(query):
        for column in scope.columns:
            with_type(column, _of_column(scope, column, columns))
        settle(scope.expression)
    settle(query)


def settle(tree: exp.Expr) -> None:
    """Notes the types of nodes that have none yet; those of columns are known, or stay unknown."""
    for node in reversed(list(tree.walk())):
        if type_of(node) is None:
            with_type(node, _inferred(node))


def outputs(query: exp.Query) -> dict[str, SqlType | None]:
    """The type of each column of a query: in a UNION the one that takes the values of each side."""
    selects = [each.selects for each in selects_of(query)]
    return {
        first.alias_or_name: common(type_of(select[place]) for select in selects if place < len(select))
        for place, first in enumerate(selects[0] if selects else ())
    }


def _of_column(scope: Scope, column: exp.Column, columns: Mapping[str, Mapping[str, str]]) -> SqlType | None:
    around: Scope | None = scope
    while around is not None and column.table not in around.sources:
        around = around.parent
    source = around.sources[column.table] if around is not None else None
    if isinstance(source, exp.Table):
        given = columns.get(source.name, {}).get(column.name)
        return declared(given) if given is not None else None
    if isinstance(source, Scope) and isinstance(source.expression, exp.Query):
        return outputs(source.expression).get(column.name)
    return None


# Rules


def common(types: Iterable[SqlType | None]) -> SqlType | None:
    """The type to which T-SQL converts values that stand beside each other. None where it has none, or one of
    them is not known."""
    given = list(types)
    if None in given or not given:
        return None
    return reduce(_higher, given)


def _higher(one: SqlType | None, other: SqlType | None) -> SqlType | None:
    if one is None or other is None:
        return None
    if NULL in (one, other):
        return other if one == NULL else one
    if one.kind == other.kind:
        return _wider(one, other)
    if "text" in (one.kind, other.kind):
        return other if one.kind == "text" else one
    kinds = {one.kind, other.kind}
    if kinds <= NUMBERS:
        return _number(*sorted((one, other), key=lambda each: _PRECEDENCE.index(each.kind)))
    if kinds == {"date", "datetime"}:
        return one if one.kind == "datetime" else other
    return None


def _number(lower: SqlType, higher: SqlType) -> SqlType | None:
    return _wider(as_decimal(lower), higher) if higher.kind == "decimal" else higher


def _wider(one: SqlType, other: SqlType) -> SqlType:
    if one.kind == "decimal":
        scale = max(one.scale, other.scale)
        whole = max(one.size - one.scale, other.size - other.scale)
        return SqlType("decimal", min(whole + scale, MAX_DIGITS), min(scale, max(MAX_DIGITS - whole, 0)))
    size = 0 if one.kind == "text" and 0 in (one.size, other.size) else max(one.size, other.size)
    return SqlType(one.kind, size, 0, one.zoned or other.zoned)


def as_decimal(given: SqlType) -> SqlType:
    """The decimal that takes every value of an exact number."""
    if given.kind == "decimal":
        return given
    return SqlType("decimal", 1 if given.kind == "bit" else _DIGITS[given.size])


def _arithmetic(node: exp.Expr) -> SqlType | None:
    one, other = type_of(node.this), type_of(node.expression)
    if one is None or other is None:
        return None
    if {one.kind, other.kind} == {"text"}:
        return TEXT if isinstance(node, exp.Add) else None
    found = common([one, other])
    if found is None or found.kind not in NUMBERS:
        return found if found == NULL else None
    if found.kind != "decimal":
        return INT if found.kind == "bit" else found
    decimals = [_operand(each) for each in (node.this, node.expression)]
    return _DECIMALS[type(node)](*decimals)


def _operand(node: exp.Expr) -> SqlType:
    """A constant has as few digits as it takes."""
    inner, given = node.unnest(), type_of(node) or INT
    inner = inner.this if isinstance(inner, exp.Neg) else inner
    if given.kind == "int" and isinstance(inner, exp.Literal):
        return SqlType("decimal", len(inner.name))
    return SqlType("decimal", MAX_DIGITS) if given.kind == "text" else as_decimal(given)


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
    """Of too many digits: those before the point come first, six after it stay."""
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
    """The expressions of which CASE, IIF or COALESCE gives one."""
    if isinstance(node, exp.Case):
        given = [each.args["true"] for each in node.args["ifs"]]
        return [*given, *filter(None, [node.args.get("default")])]
    if isinstance(node, exp.If):
        return [each for each in (node.args.get("true"), node.args.get("false")) if each is not None]
    return [node.this, *node.expressions]


def _chosen(node: exp.Expr) -> SqlType | None:
    if isinstance(node, exp.Coalesce) and node.args.get("is_null"):
        return type_of(node.this)
    return common(map(type_of, branches(node)))


def _literal(node: exp.Expr) -> SqlType | None:
    text = node.name
    if node.args.get("is_string") or isinstance(node, exp.National):
        return SqlType("text", max(len(text), 1))
    if "e" in text.lower():
        return FLOAT
    if "." not in text and int(text) < 2**31:
        return INT
    whole, _, fraction = text.partition(".")
    return SqlType("decimal", max(len(whole.lstrip("0")) + len(fraction), 1), len(fraction))


def _inner(node: exp.Expr) -> SqlType | None:
    return type_of(node.this)


def _added(node: exp.Expr) -> SqlType | None:
    given = type_of(node.this)
    if given is None or given.kind in ("float", "real", "null"):
        return given
    if given.kind == "decimal":
        return given._replace(size=MAX_DIGITS)
    return given if given == BIGINT else INT


def _averaged(node: exp.Expr) -> SqlType | None:
    found = _added(node)
    return found._replace(scale=max(found.scale, 6)) if found and found.kind == "decimal" else found


def _scalar(node: exp.Expr) -> SqlType | None:
    """A query that stands for its one value."""
    query = node.unnest()
    return next(iter(outputs(query).values()), None) if isinstance(query, exp.Query) else None


def _cast(node: exp.Expr) -> SqlType | None:
    return of_data_type(node.this if isinstance(node, exp.Convert) else node.args["to"])


def _moved(node: exp.Expr) -> SqlType | None:
    """DATEADD gives what it is given; of a text a DATETIME, which has thousandths here."""
    given = type_of(node.this)
    return SqlType("datetime", 3) if given is not None and given.kind == "text" else given


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
    rule = next((rule for kinds, rule in _RULES if isinstance(node, kinds)), None)
    return rule(node) if rule is not None else None
