"""Translation of T-SQL's arithmetic, aggregates, casts and functions, or a refusal with what to write."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

from sqlglot import exp

from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.definition.sql_types import (
    INT,
    NULL,
    SqlType,
    branches,
    is_decimal,
    is_text,
    of_data_type,
    type_of,
    with_type,
)
from consumers.reporting.sqlite.comparisons import NEVER_ZERO, ORDERED_BY, collated, compared, exact, kind
from consumers.reporting.sqlite.conversions import (
    UnfitError,
    call,
    cast,
    converted,
    is_constant_text,
    text_of,
)
from consumers.reporting.sqlite.decimals import decimal_text
from consumers.reporting.sqlite.functions import DATE_PARTS, TIME_PARTS
from consumers.reporting.sqlite.text_kinds import (
    ANSI,
    NATIONAL,
    check_like,
    check_ordered,
    check_search,
    is_national,
)

# Arithmetic

ARITHMETIC: dict[type[Expression], str] = {
    exp.Add: "decimal_add",
    exp.Sub: "decimal_subtract",
    exp.Mul: "decimal_multiply",
    exp.Mod: "decimal_remainder",
    exp.Div: "decimal_divide",
}


def arithmetic(node: Expression) -> Expression:
    """Translate + - * / %: decimals through functions, ints with T-SQL's division."""
    result_type = type_of(node)
    if result_type is None or result_type == NULL:
        if None in (type_of(node.this), type_of(node.expression)) or result_type == NULL:
            return node
        raise UnfitError(": T-SQL has no arithmetic between these types: CAST one of them")
    if result_type.kind == "text":
        return exp.paren(exp.DPipe(this=node.this.copy(), expression=node.expression.copy()))
    if result_type.kind == "decimal":
        return _decimal_arithmetic(node, result_type)
    sides = [converted(operand, result_type) for operand in (node.this, node.expression)]
    result = type(node)(**{**node.args, "this": sides[0].copy(), "expression": sides[1].copy()})
    if isinstance(node, (exp.Div, exp.Mod)) and not _is_never_zero(sides[1]):
        # SQLite divides by zero to NULL, where T-SQL fails.
        result = call("tsql_divide" if isinstance(node, exp.Div) else "tsql_remainder", *sides)
    return call("tsql_real", result) if result_type.kind == "real" else result


def _decimal_arithmetic(node: Expression, result_type: SqlType) -> Expression:
    sides = [exact(a, b) for a, b in ((node.this, node.expression), (node.expression, node.this))]
    if isinstance(node, exp.Div):
        return call("decimal_divide", *sides, result_type.scale)
    # Exact first, then rounded to the type of the result, as T-SQL does.
    return call("decimal_round", call(ARITHMETIC[type(node)], *sides), result_type.scale, result_type.size)


def _is_never_zero(node: Expression) -> bool:
    inner = node.unnest()
    return inner.meta.get(NEVER_ZERO, False) or (isinstance(inner, exp.Literal) and float(inner.name) != 0)


def negated(node: Expression) -> Expression:
    """Translate a sign."""
    if is_decimal(node.this):
        inner = node.this.unnest()
        if isinstance(inner, exp.Literal):
            return exp.Literal.string(decimal_text(-Decimal(inner.name)))
        return call("decimal_subtract", exp.Literal.string("0"), node.this)
    return _of_numbers(node)


def _of_numbers(node: Expression) -> Expression:
    if kind(node.this) not in ("int", "float", "real", "null", ""):
        raise UnfitError(": it is not a number: CAST it to one")
    return node


def absolute(node: Expression) -> Expression:
    return call("decimal_absolute", node.this) if is_decimal(node.this) else _of_numbers(node)


def rounded(node: Expression) -> Expression:
    """Translate ROUND of a DECIMAL to a constant number of digits."""
    sql_type, digits = type_of(node.this), node.args.get("decimals")
    if (
        sql_type is None
        or sql_type.kind != "decimal"
        or not isinstance(digits, exp.Literal)
        or node.args.get("truncate")
    ):
        raise UnfitError(": SQLite can only ROUND a DECIMAL to a constant number of digits: CAST it")
    # Rounded to the digits, then padded to the scale, which ROUND does not change.
    return call("decimal_round", call("decimal_round", node.this, digits, 38), sql_type.scale, 38)


EXTREMES: dict[type[Expression], str] = {
    exp.Sum: "decimal_sum",
    exp.Min: "decimal_min",
    exp.Max: "decimal_max",
}


def aggregate(node: Expression) -> Expression:
    """Translate SUM, MIN and MAX."""
    argument_kind = kind(node.this)
    is_sum = isinstance(node, exp.Sum)
    if argument_kind == "bit" or (
        is_sum and argument_kind not in ("int", "decimal", "float", "real", "null", "")
    ):
        raise UnfitError(": it is not a number: CAST it to one")
    if argument_kind == "uuid":
        return call("tsql_uuid_unsorted", type(node)(this=call(ORDERED_BY[argument_kind], node.this)))
    if argument_kind != "decimal":
        return node if isinstance(node.this, exp.Distinct) else type(node)(this=_sorted(node.this))
    # An aggregate of `create_aggregate` can't have OVER, and DISTINCT would compare the stored text.
    if isinstance(node.this, exp.Distinct) or isinstance(node.parent, exp.Window):
        raise UnfitError(": in SQLite an aggregate of decimals has neither OVER nor DISTINCT")
    return call(EXTREMES[type(node)], node.this)


def _sorted(node: Expression) -> Expression:
    if kind(node) == "text":
        check_ordered(node)
    return collated(node)


def average(node: Expression) -> Expression:
    """Translate AVG; of whole numbers it is a whole number, cut."""
    if is_decimal(node.this) or isinstance(node.this, exp.Distinct):
        raise UnfitError(": AVG of a DECIMAL or DISTINCT: write SUM(x) / COUNT(x)")
    if kind(node.this) not in ("int", "float", "real", ""):
        raise UnfitError(": it is not a number: CAST it to one")
    if kind(node.this) == "int":
        total, count = exp.Sum(this=node.this.copy()), exp.Count(this=node.this.copy())
        # SQLite's AVG is a float; SUM / COUNT of ints is cut towards zero, as in T-SQL.
        return exp.paren(exp.Div(this=total, expression=count, typed=True, safe=True))
    return node


# Conversions that a report asks for


def literal(node: Expression) -> Expression:
    """Translate a literal: a decimal becomes text; text without N is in the code page of the database."""
    if isinstance(node, exp.National):
        return _national(exp.Literal.string(node.this))
    # Code page 1252 is that of Latin1 collations; characters outside become question marks.
    if node.is_string and not node.name.isascii():
        try:
            node.name.encode("cp1252")
        except UnicodeEncodeError:
            raise UnfitError(": SQL Server replaces a letter in it by ?: write N'...'") from None
    return exp.Literal.string(node.name) if is_decimal(node) else node


def _national(node: Expression) -> Expression:
    node.meta[NATIONAL] = True
    return node


def cast_as(node: Expression) -> Expression:
    return _cast_to(node.this, node.args["to"], is_try=isinstance(node, exp.TryCast))


def convert(node: Expression) -> Expression:
    if node.args.get("style") is not None:
        raise UnfitError(": CONVERT with a style: CAST, or YEAR, MONTH and DAY")
    return _cast_to(node.expression, node.this, is_try=bool(node.args.get("safe")))


def _cast_to(node: Expression, to: Expression, *, is_try: bool) -> Expression:
    target = of_data_type(to)
    if target is None:
        raise UnfitError(f": {to.sql('tsql')} is a type that SQLite does not have")
    named = to.this.name
    if named in ("VARCHAR", "NVARCHAR") and not to.expressions:
        # CAST to VARCHAR without a size has 30 characters in T-SQL.
        target = SqlType("text", 30)
    if named == "VARCHAR" and is_text(node) and not isinstance(node, exp.Literal):
        node = with_type(call(ANSI, node), type_of(node))
    result = cast(node, target, is_try=is_try)
    return _national(exp.paren(result)) if named == "NVARCHAR" and not is_national(result) else result


def one_of(node: Expression) -> Expression:
    """Translate CASE, IIF or COALESCE with every branch in the form of their common type."""
    target = type_of(node)
    if isinstance(node, exp.Case) and (operand := node.this):
        # CASE x WHEN 1: SQLite would compare the stored forms.
        for when in node.args["ifs"]:
            when.set("this", compared(exp.EQ, operand.copy(), when.this))
        node.set("this", None)
    results = branches(node)
    if target is None:
        if None in map(type_of, results):
            return node
        raise UnfitError(": values of two types: CAST one of them")
    is_null = isinstance(node, exp.Coalesce) and node.args.get("is_null")
    for branch in results:
        result = _as_branch(branch.copy(), target)
        # ISNULL cuts its second argument to the type of the first.
        if is_null and branch is not node.this and target.kind == "text" and target.size:
            result = text_of(result, target.size)
        if result != branch:
            branch.replace(result)
    return node


def _as_branch(node: Expression, target: SqlType) -> Expression:
    return text_of(node) if target.kind == "text" and kind(node) != "null" else converted(node, target)


def iif(node: Expression) -> Expression:
    """Translate IIF.

    sqlglot also uses this node for each WHEN of a CASE, which translates it itself.
    """
    return node if isinstance(node.parent, exp.Case) else one_of(node)


def shifted(node: Expression) -> Expression:
    sql_type, default = type_of(node.this), node.args.get("default")
    if default is not None and sql_type is not None:
        node.set("default", converted(default, sql_type))
    return node


# Days and moments

_DIGITS_OF = {
    "YEAR": (1, 4), "MONTH": (6, 2), "DAY": (9, 2), "HOUR": (12, 2), "MINUTE": (15, 2), "SECOND": (18, 2),
}  # fmt: skip
"""First character and number of digits in an ISO text."""


def _as_moment(node: Expression) -> Expression:
    """Return the argument of a date function. A constant text is read once, here."""
    if is_constant_text(node):
        return converted(node, SqlType("datetime", 7))
    if kind(node) not in ("date", "datetime", "null", ""):
        raise UnfitError(": it is not a DATE or DATETIME2: CAST it to one")
    return node


def part(node: Expression) -> Expression:
    """Translate YEAR, MONTH, DAY and DATEPART into digits of the ISO text."""
    name = (node.name if isinstance(node, exp.Extract) else node.key).upper()
    day = _as_moment(node.expression if isinstance(node, exp.Extract) else node.this)
    if name not in _DIGITS_OF or (name in TIME_PARTS and kind(day) != "datetime"):
        raise UnfitError(" has no equivalent in SQLite")
    return exp.cast(call("SUBSTR", day, *_DIGITS_OF[name]), "INTEGER")


def _unit(node: Expression, day: Expression) -> str:
    part = str(node.args["unit"].name.upper())
    part = {"HH": "HOUR", "MI": "MINUTE", "N": "MINUTE", "SS": "SECOND", "S": "SECOND"}.get(part, part)
    # DATEADD of hours to a DATE fails in T-SQL; DATEDIFF converts it.
    is_day = kind(day) == "date" and isinstance(node, exp.DateAdd)
    if part not in (DATE_PARTS if is_day else DATE_PARTS | TIME_PARTS):
        raise UnfitError(" has no equivalent in SQLite")
    if part == "WEEK" and isinstance(node, exp.DateDiff):
        raise UnfitError(": use DATEDIFF(DAY, ...) / 7")
    return part


def date_add(node: Expression) -> Expression:
    sql_type = type_of(node)
    day = (
        converted(node.this, sql_type) if sql_type and is_constant_text(node.this) else _as_moment(node.this)
    )
    count = node.expression
    if kind(count) not in ("int", "null", ""):
        raise UnfitError(": DATEADD takes an INT: CAST what is added")
    return call("tsql_date_add", _unit(node, day), count, day)


def date_diff(node: Expression) -> Expression:
    start, end = _as_moment(node.expression), _as_moment(node.this)
    return call("tsql_date_diff", _unit(node, end), start, end)


def first_day(node: Expression) -> Expression:
    """Translate DATETRUNC of a day."""
    kept = {"YEAR": (4, "-01-01"), "MONTH": (7, "-01"), "DAY": (10, "")}.get(node.args["unit"].name.upper())
    if kept is None or kind(node.this) != "date":
        raise UnfitError(": SQLite can only DATETRUNC a DATE to its YEAR, MONTH or DAY")
    return exp.paren(
        exp.DPipe(this=call("SUBSTR", node.this, 1, kept[0]), expression=exp.Literal.string(kept[1]))
    )


def last_day(node: Expression) -> Expression:
    return call("tsql_end_of_month", _as_moment(node.this))


def from_parts(node: Expression) -> Expression:
    return call("tsql_date_from_parts", *(node.args[name] for name in ("year", "month", "day")))


# Text


def concat(node: Expression) -> Expression:
    """Translate CONCAT, which takes NULL as an empty text."""
    parts = [
        exp.Literal.string("")
        if isinstance(argument, exp.Null)
        else call("COALESCE", text_of(argument.copy()), "")
        for argument in node.expressions
    ]
    return exp.paren(reduce(lambda left, right: exp.DPipe(this=left, expression=right), parts))


def like(node: Expression) -> Expression:
    check_like(node)
    return of_texts(node)


def replace(node: Expression) -> Expression:
    check_search(node.this, node.expression)
    return of_texts(node)


def of_texts(node: Expression) -> Expression:
    """Convert the arguments of a text function to text."""
    for name in ("this", "expression", "replacement"):
        argument = node.args.get(name)
        if (
            isinstance(argument, exp.Expr)
            and type_of(argument) is not None
            and not isinstance(argument, exp.Null)
        ):
            node.set(name, text_of(argument.copy()))
    return node


def length(node: Expression) -> Expression:
    return call("tsql_len", text_of(node.this))


def substring(node: Expression) -> Expression:
    return call("tsql_substring", text_of(node.this), node.args["start"], node.args["length"])


def end_of_text(node: Expression) -> Expression:
    return call(f"tsql_{node.key}", text_of(node.this), node.expression)


def position(node: Expression) -> Expression:
    start = node.args.get("position") or exp.Literal.number(1)
    check_search(node.this, node.args["substr"])
    return call("tsql_position", text_of(node.args["substr"]), text_of(node.this), start)


def size_of(node: Expression) -> Expression:
    """Translate DATALENGTH of text, which has two bytes for each UTF-16 code unit."""
    if node.name.upper() != "DATALENGTH" or kind(node.expressions[0]) not in ("text", ""):
        raise UnfitError(" has no equivalent in SQLite")
    # VARCHAR has one byte for each character in most code pages.
    if not is_national(node.expressions[0]):
        raise UnfitError(": VARCHAR has fewer bytes: CAST it to NVARCHAR")
    return with_type(call("tsql_bytes", node.expressions[0]), INT)


def inside(node: Expression) -> Expression:
    """Return the moment within a node that sqlglot's parser puts around it."""
    inner: Expression = node.this
    return inner


def refuse(_: Expression) -> Expression:
    """Refuse a node that SQLite has no equivalent for."""
    raise UnfitError(" has no equivalent in SQLite")
