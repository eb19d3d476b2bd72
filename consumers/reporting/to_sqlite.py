"""A report's T-SQL as SQLite's, or why it can't be.

Every kind of node is known here or refused: SQLite would take much of T-SQL for something else, silently.
Types of columns are known (sqlglot's annotate_types), so that decimals, which are text there, go through
functions of ours (sqlite_functions.py).
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from consumers.reporting.definition.flatten import Expression
from consumers.reporting.sqlite_functions import DATE_PARTS, TIME_PARTS
from schemas.errors import ConfigurationError


class NeedsSqlServerError(ConfigurationError):
    """The report uses what SQLite has not."""


_SAME = (
    exp.Select, exp.Subquery, exp.With, exp.CTE, exp.From, exp.Join, exp.Where,
    exp.Group, exp.Having, exp.Limit, exp.Order, exp.Ordered, exp.Distinct, exp.Star, exp.Alias,
    exp.TableAlias, exp.Table, exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren,
    exp.And, exp.Or, exp.Not, exp.Is, exp.Exists, exp.Case, exp.If, exp.Coalesce, exp.Count, exp.Window,
    exp.WindowSpec, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue,
    exp.LastValue, exp.Replace, exp.Trim, exp.DataType, exp.DataTypeParam, exp.Var, exp.Tuple, exp.Insert,
    exp.Delete, exp.Schema,
)  # fmt: skip
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_ARITHMETIC: dict[type[Expression], str] = {
    exp.Add: "decimal_add",
    exp.Sub: "decimal_subtract",
    exp.Mul: "decimal_multiply",
}
_EXTREMES: dict[type[Expression], str] = {
    exp.Sum: "decimal_sum",
    exp.Min: "decimal_min",
    exp.Max: "decimal_max",
}
_WHOLE = ("INT", "BIGINT", "SMALLINT", "TINYINT", "BIT", "BOOLEAN")


def to_sqlite(tree: Expression) -> Expression:
    """Raises NeedsSqlServerError."""
    return _rewritten(tree.copy())


def _rewritten(node: Expression) -> Expression:
    """What is within first: what a node becomes hangs on the types within. A node that is not known is
    refused before that, so that the refusal names the function and not a part of it."""
    rewrite = next((rewrite for kinds, rewrite in _REWRITTEN if isinstance(node, kinds)), None)
    if rewrite is None and not isinstance(node, _SAME):
        raise _refused(node)
    for each in list(node.iter_expressions()):
        made = _rewritten(each)
        if made is not each:
            each.replace(made)
    if rewrite is None:
        return node
    made = rewrite(node)
    if made.type is None:
        made.type = node.type
    return made


def _refused(node: Expression) -> NeedsSqlServerError:
    return NeedsSqlServerError(f"needs SQL Server: {node.sql('tsql')[:60]} is not to be had in SQLite")


def _is(node: Expression | None, *names: str) -> bool:
    return node is not None and node.type is not None and node.type.this.name in names


def is_decimal(node: Expression | None) -> bool:
    """Whether its values are decimals as text."""
    return _is(node, "DECIMAL", "MONEY", "SMALLMONEY")


def is_text(node: Expression | None) -> bool:
    return (
        _is(node, "VARCHAR", "NVARCHAR", "CHAR", "NCHAR", "TEXT")
        or isinstance(node, exp.National)
        or (isinstance(node, exp.Literal) and node.is_string)
    )


def _call(name: str, *arguments: Expression) -> Expression:
    return exp.Anonymous(this=name, expressions=[each.copy() for each in arguments])


def _compare(node: Expression) -> Expression:
    _check_one_kind(node)
    if not (is_decimal(node.this) or is_decimal(node.expression)) or _is_of_unit(node):
        return node
    return type(node)(
        this=_call("decimal_compare", node.this, node.expression), expression=exp.Literal.number(0)
    )


def _check_one_kind(node: Expression) -> None:
    """Text beside a number: SQLite turns one into the other for columns of tables, and not of queries."""
    given = [each.unnest() for each in node.iter_expressions()]
    texts, numbers = [is_text(each) for each in given], [_is_number(each) for each in given]
    if any(texts) and any(numbers) and not _is_of_unit(node):
        raise _refused(node)


def _is_number(node: Expression) -> bool:
    return (isinstance(node, exp.Literal) and not node.is_string) or _is(node, *_WHOLE, "FLOAT", "DOUBLE")


def _is_of_unit(node: Expression) -> bool:
    """Of a report's own column, made of that very expression: the same text, and an index finds it."""
    return (
        isinstance(node, exp.EQ) and isinstance(node.expression, exp.Column) and node.expression.type is None
    )


def _united(node: Expression) -> Expression:
    """Money beside another number, or of another scale, would be one column of two kinds of text."""
    sides = ([each.unalias() for each in side.unnest().selects] for side in (node.this, node.expression))
    for pair in zip(*sides, strict=False):
        given = [each for each in pair if not isinstance(each, exp.Null)]
        if any(map(is_decimal, given)) and given[0].type != given[-1].type:
            raise _refused(node)
    return node


def _no_decimals(node: Expression) -> Expression:
    """What would compare or reckon with their text."""
    if isinstance(node, (exp.Between, exp.In, exp.Nullif)):
        _check_one_kind(node)
    if any(is_decimal(each.unnest()) for each in node.iter_expressions()):
        raise _refused(node)
    return node


def _arithmetic(node: Expression) -> Expression:
    if isinstance(node, exp.Add) and (is_text(node.this) or is_text(node.expression)):
        return exp.DPipe(this=node.this, expression=node.expression)
    if is_decimal(node.this) or is_decimal(node.expression):
        return _call(_ARITHMETIC[type(node)], node.this, node.expression)
    return node


def _aggregate(node: Expression) -> Expression:
    if not is_decimal(node.this):
        return node
    if isinstance(node.this, exp.Distinct) or isinstance(node.parent, exp.Window):
        raise _refused(node)  # an aggregate of ours is no window
    return _call(_EXTREMES[type(node)], node.this)


def _average(node: Expression) -> Expression:
    """Of whole numbers a whole number, cut."""
    if is_decimal(node.this) or isinstance(node.this, exp.Distinct):
        raise _refused(node)
    if _is(node.this, *_WHOLE):
        return exp.paren(
            exp.Div(this=exp.Sum(this=node.this.copy()), expression=exp.Count(this=node.this.copy()))
        )
    return node


def _cast(node: Expression) -> Expression:
    to, given = node.args["to"].this.name, node.this
    if isinstance(given, exp.Null):
        return given
    if to == "DECIMAL":
        scale = node.args["to"].expressions[1:]
        return _call("decimal_round", given, scale[0].this if scale else exp.Literal.number(0))
    if to in _WHOLE and is_decimal(given):
        return _call("decimal_truncate", given)
    if to in ("DATE", "DATETIME2"):
        return _moment(node, given)
    if to in _WHOLE or to in ("FLOAT", "DOUBLE"):
        return exp.cast(given, "INTEGER" if to in _WHOLE else "REAL")
    if to in ("VARCHAR", "NVARCHAR", "TEXT") and not _is(given, "DATETIME2", "DATETIME", "TIMESTAMP", "BIT"):
        size = node.args["to"].expressions
        text = exp.cast(given, "TEXT")
        if size and size[0].this.is_int:
            return exp.Substring(this=text, start=exp.Literal.number(1), length=size[0].this)
        return text
    raise _refused(node)


def _moment(node: Expression, given: Expression) -> Expression:
    """A day, or a literal that is a moment: ISO 8601 there, too."""
    if node.args["to"].this.name == "DATE":
        return _cut(given, 1, 10)
    if isinstance(given, exp.Literal):
        return given
    raise _refused(node)


def _ordered(node: Expression) -> Expression:
    if is_decimal(node.this):
        node.set("this", _call("decimal_sortable", node.this))
    return node


def _branches(node: Expression) -> Expression:
    """Decimals and whole numbers in one column: all of them text of one scale."""
    if isinstance(node, exp.Case) and is_decimal(node.this):
        raise _refused(node)
    if isinstance(node, exp.Case) and node.this:
        for each in node.args["ifs"]:
            _check_one_kind(exp.EQ(this=node.this.copy(), expression=each.this.copy()))
    kinds = {is_decimal(each) for each in _given(node) if not isinstance(each, exp.Null)}
    if kinds == {True, False}:
        for each in _given(node):
            if not is_decimal(each) and not isinstance(each, exp.Null):
                each.replace(_call("decimal_round", each, exp.Literal.number(_scale(node))))
    return node


def _given(node: Expression) -> list[Expression]:
    if isinstance(node, exp.Coalesce):
        return [node.this, *node.expressions]
    if isinstance(node, exp.Case):
        default = node.args.get("default")
        return [*(each.args["true"] for each in node.args["ifs"]), *([default] if default else [])]
    return [each for each in (node.args.get("true"), node.args.get("false")) if each]


def _scale(node: Expression) -> int:
    for each in _given(node):
        if is_decimal(each) and each.type is not None and len(each.type.expressions) > 1:
            return int(each.type.expressions[1].this.this)
    raise _refused(node)


def _convert(node: Expression) -> Expression:
    if node.args.get("style") is not None:
        raise _refused(node)
    return _cast(exp.Cast(this=node.expression, to=node.this))


_PLACES = {"YEAR": (1, 4), "MONTH": (6, 2), "DAY": (9, 2)}


def _part(node: Expression) -> Expression:
    """YEAR, MONTH, DAY of an ISO text."""
    name = (node.name if isinstance(node, exp.Extract) else node.key).upper()
    if name not in _PLACES:
        raise _refused(node)
    day = node.expression if isinstance(node, exp.Extract) else node.this
    return exp.cast(_cut(day, *_PLACES[name]), "INTEGER")


def _cut(text: Expression, start: int, length: int) -> Expression:
    return exp.Substring(this=text.copy(), start=exp.Literal.number(start), length=exp.Literal.number(length))


def _unit(node: Expression) -> Expression:
    part = node.args["unit"].name.upper()
    if part not in (DATE_PARTS - {"WEEK"} | TIME_PARTS if isinstance(node, exp.DateDiff) else DATE_PARTS):
        raise _refused(node)
    return exp.Literal.string(part)


def _date_add(node: Expression) -> Expression:
    return _call("tsql_date_add", _unit(node), node.expression, node.this)


def _date_diff(node: Expression) -> Expression:
    if _is(node.this, "TIME") or _is(node.expression, "TIME"):
        raise _refused(node)
    return _call("tsql_date_diff", _unit(node), node.expression, node.this)


def _first_day(node: Expression) -> Expression:
    """DATETRUNC of a day."""
    kept = {"YEAR": (4, "-01-01"), "MONTH": (7, "-01"), "DAY": (10, "")}.get(node.args["unit"].name.upper())
    if kept is None or not _is(node.this, "DATE"):
        raise _refused(node)
    return exp.DPipe(this=_cut(node.this, 1, kept[0]), expression=exp.Literal.string(kept[1]))


def _concat(node: Expression) -> Expression:
    """CONCAT takes NULL for an empty text."""
    parts = [
        _call("COALESCE", exp.cast(each.copy(), "TEXT"), exp.Literal.string("")) for each in node.expressions
    ]
    made = parts[0]
    for each in parts[1:]:
        made = exp.DPipe(this=made, expression=each)
    return exp.paren(made)


def _length(node: Expression) -> Expression:
    return exp.Length(this=_call("RTRIM", node.this))


def _left(node: Expression) -> Expression:
    return exp.Substring(this=node.this, start=exp.Literal.number(1), length=node.expression)


def _inside(node: Expression) -> Expression:
    """What the parser puts around a moment."""
    inner: Expression = node.this
    return inner


def _as_it_is(node: Expression) -> Expression:
    return node


_REWRITTEN: tuple[tuple[tuple[type[Expression], ...], Callable[[Expression], Expression]], ...] = (
    ((exp.National,), lambda node: exp.Literal.string(node.this)),
    (_COMPARISONS, _compare),
    ((exp.Union, exp.Except), _united),
    ((exp.Between, exp.In, exp.Nullif, exp.Abs, exp.Neg, exp.Mod, exp.Div), _no_decimals),
    (tuple(_ARITHMETIC), _arithmetic),
    (tuple(_EXTREMES), _aggregate),
    ((exp.Avg,), _average),
    ((exp.Lateral, exp.TryCast), lambda node: _raise(node)),
    ((exp.Convert,), _convert),
    ((exp.Cast,), _cast),
    ((exp.Ordered,), _ordered),
    ((exp.Coalesce, exp.Case), _branches),
    ((exp.Year, exp.Month, exp.Day, exp.Extract), _part),
    ((exp.DateAdd,), _date_add),
    ((exp.DateDiff,), _date_diff),
    ((exp.TimestampTrunc, exp.DateTrunc), _first_day),
    ((exp.LastDay,), lambda node: _call("tsql_end_of_month", node.this)),
    ((exp.TsOrDsToDate, exp.TimeStrToTime), _inside),
    ((exp.Concat,), _concat),
    ((exp.Length,), _length),
    ((exp.Left,), _left),
    ((exp.Upper, exp.Lower, exp.Like, exp.Substring, exp.DPipe), _as_it_is),
)


def _raise(node: Expression) -> Expression:
    raise _refused(node)
