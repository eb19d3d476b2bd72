"""T-SQL's arithmetic, aggregates, casts and functions as SQLite's, or a refusal that says what to write."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

from sqlglot import exp

from consumers.reporting.definition.flatten import Expression
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
    found = type_of(node)
    if found is None or found == NULL:
        if None in (type_of(node.this), type_of(node.expression)) or found == NULL:
            return node
        raise UnfitError(": T-SQL reckons with numbers, and puts text after text: CAST one of them")
    if found.kind == "text":
        return exp.paren(exp.DPipe(this=node.this.copy(), expression=node.expression.copy()))
    if found.kind == "decimal":
        return _decimal_arithmetic(node, found)
    sides = [converted(each, found) for each in (node.this, node.expression)]
    made = type(node)(**{**node.args, "this": sides[0].copy(), "expression": sides[1].copy()})
    if isinstance(node, (exp.Div, exp.Mod)) and not _is_never_zero(sides[1]):
        made = call("tsql_divide" if isinstance(node, exp.Div) else "tsql_remainder", *sides)
    return call("tsql_real", made) if found.kind == "real" else made


def _decimal_arithmetic(node: Expression, found: SqlType) -> Expression:
    sides = [exact(a, b) for a, b in ((node.this, node.expression), (node.expression, node.this))]
    if isinstance(node, exp.Div):
        return call("decimal_divide", *sides, found.scale)
    return call("decimal_round", call(ARITHMETIC[type(node)], *sides), found.scale, found.size)


def _is_never_zero(node: Expression) -> bool:
    inner = node.unnest()
    return inner.meta.get(NEVER_ZERO, False) or (isinstance(inner, exp.Literal) and float(inner.name) != 0)


def negated(node: Expression) -> Expression:
    if is_decimal(node.this):
        inner = node.this.unnest()
        if isinstance(inner, exp.Literal):
            return exp.Literal.string(decimal_text(-Decimal(inner.name)))
        return call("decimal_subtract", exp.Literal.string("0"), node.this)
    return _of_numbers(node)


def _of_numbers(node: Expression) -> Expression:
    if kind(node.this) not in ("int", "float", "real", "null", ""):
        raise UnfitError(": it is no number: CAST it to one")
    return node


def absolute(node: Expression) -> Expression:
    return call("decimal_absolute", node.this) if is_decimal(node.this) else _of_numbers(node)


def rounded(node: Expression) -> Expression:
    found, digits = type_of(node.this), node.args.get("decimals")
    if (
        found is None
        or found.kind != "decimal"
        or not isinstance(digits, exp.Literal)
        or node.args.get("truncate")
    ):
        raise UnfitError(": ROUND of a DECIMAL to a number of digits is known: CAST it to a DECIMAL")
    return call("decimal_round", call("decimal_round", node.this, digits, 38), found.scale, 38)


EXTREMES: dict[type[Expression], str] = {
    exp.Sum: "decimal_sum",
    exp.Min: "decimal_min",
    exp.Max: "decimal_max",
}


def aggregate(node: Expression) -> Expression:
    given = kind(node.this)
    is_sum = isinstance(node, exp.Sum)
    if given == "bit" or (is_sum and given not in ("int", "decimal", "float", "real", "null", "")):
        raise UnfitError(": it is no number: CAST it to one")
    if given == "uuid":
        return call("tsql_uuid_unsorted", type(node)(this=call(ORDERED_BY[given], node.this)))
    if given != "decimal":
        return node if isinstance(node.this, exp.Distinct) else type(node)(this=_sorted(node.this))
    if isinstance(node.this, exp.Distinct) or isinstance(node.parent, exp.Window):
        raise UnfitError(": an aggregate of decimals is no window and has no DISTINCT in SQLite")
    return call(EXTREMES[type(node)], node.this)


def _sorted(node: Expression) -> Expression:
    if kind(node) == "text":
        check_ordered(node)
    return collated(node)


def average(node: Expression) -> Expression:
    """Of whole numbers a whole number, cut."""
    if is_decimal(node.this) or isinstance(node.this, exp.Distinct):
        raise UnfitError(": AVG of a DECIMAL or DISTINCT: write SUM(x) / COUNT(x)")
    if kind(node.this) not in ("int", "float", "real", ""):
        raise UnfitError(": it is no number: CAST it to one")
    if kind(node.this) == "int":
        total, count = exp.Sum(this=node.this.copy()), exp.Count(this=node.this.copy())
        return exp.paren(exp.Div(this=total, expression=count, typed=True, safe=True))
    return node


# Conversions that a report asks for


def literal(node: Expression) -> Expression:
    """Decimals are text; text without N is in the code page of the database."""
    if isinstance(node, exp.National):
        return _national(exp.Literal.string(node.this))
    if node.is_string and not node.name.isascii():
        try:
            node.name.encode("cp1252")
        except UnicodeEncodeError:
            raise UnfitError(": SQL Server makes ? of a letter in it: write N'...'") from None
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


def _cast_to(given: Expression, to: Expression, *, is_try: bool) -> Expression:
    target = of_data_type(to)
    if target is None:
        raise UnfitError(f": {to.sql('tsql')} is a type that SQLite has not")
    named = to.this.name
    if named in ("VARCHAR", "NVARCHAR") and not to.expressions:
        target = SqlType("text", 30)
    if named == "VARCHAR" and is_text(given) and not isinstance(given, exp.Literal):
        given = with_type(call(ANSI, given), type_of(given))
    made = cast(given, target, is_try=is_try)
    return _national(exp.paren(made)) if named == "NVARCHAR" and not is_national(made) else made


def one_of(node: Expression) -> Expression:
    """Each in the form of the type that T-SQL gives them all."""
    target = type_of(node)
    if isinstance(node, exp.Case) and (operand := node.this):
        for each in node.args["ifs"]:
            each.set("this", compared(exp.EQ, operand.copy(), each.this))
        node.set("this", None)
    given = branches(node)
    if target is None:
        if None in map(type_of, given):
            return node
        raise UnfitError(": values of two types: CAST one of them")
    is_null = isinstance(node, exp.Coalesce) and node.args.get("is_null")
    for each in given:
        made = _as_branch(each.copy(), target)
        if is_null and each is not node.this and target.kind == "text" and target.size:
            made = text_of(made, target.size)
        if made != each:
            each.replace(made)
    return node


def _as_branch(node: Expression, target: SqlType) -> Expression:
    return text_of(node) if target.kind == "text" and kind(node) != "null" else converted(node, target)


def iif(node: Expression) -> Expression:
    """IIF; or one WHEN of CASE, which sees to it."""
    return node if isinstance(node.parent, exp.Case) else one_of(node)


def shifted(node: Expression) -> Expression:
    found, default = type_of(node.this), node.args.get("default")
    if default is not None and found is not None:
        node.set("default", converted(default, found))
    return node


# Days and moments

_PLACES = {
    "YEAR": (1, 4),
    "MONTH": (6, 2),
    "DAY": (9, 2),
    "HOUR": (12, 2),
    "MINUTE": (15, 2),
    "SECOND": (18, 2),
}


def _as_moment(node: Expression) -> Expression:
    """What a function of days is given. A text is read once, here."""
    if is_constant_text(node):
        return converted(node, SqlType("datetime", 7))
    if kind(node) not in ("date", "datetime", "null", ""):
        raise UnfitError(": it is no DATE or DATETIME2: CAST it to one")
    return node


def part(node: Expression) -> Expression:
    """YEAR, MONTH, DAY of an ISO text."""
    name = (node.name if isinstance(node, exp.Extract) else node.key).upper()
    day = _as_moment(node.expression if isinstance(node, exp.Extract) else node.this)
    if name not in _PLACES or (name in TIME_PARTS and kind(day) != "datetime"):
        raise UnfitError(" has no equivalent in SQLite")
    return exp.cast(call("SUBSTR", day, *_PLACES[name]), "INTEGER")


def _unit(node: Expression, day: Expression) -> str:
    part = str(node.args["unit"].name.upper())
    part = {"HH": "HOUR", "MI": "MINUTE", "N": "MINUTE", "SS": "SECOND", "S": "SECOND"}.get(part, part)
    is_day = kind(day) == "date" and isinstance(node, exp.DateAdd)
    if part not in (DATE_PARTS if is_day else DATE_PARTS | TIME_PARTS):
        raise UnfitError(" has no equivalent in SQLite")
    if part == "WEEK" and isinstance(node, exp.DateDiff):
        raise UnfitError(": DATEDIFF(DAY, ...) / 7 is known")
    return part


def date_add(node: Expression) -> Expression:
    found = type_of(node)
    day = converted(node.this, found) if found and is_constant_text(node.this) else _as_moment(node.this)
    count = node.expression
    if kind(count) not in ("int", "null", ""):
        raise UnfitError(": DATEADD takes an INT: CAST what is added")
    return call("tsql_date_add", _unit(node, day), count, day)


def date_diff(node: Expression) -> Expression:
    start, end = _as_moment(node.expression), _as_moment(node.this)
    return call("tsql_date_diff", _unit(node, end), start, end)


def first_day(node: Expression) -> Expression:
    """DATETRUNC of a day."""
    kept = {"YEAR": (4, "-01-01"), "MONTH": (7, "-01"), "DAY": (10, "")}.get(node.args["unit"].name.upper())
    if kept is None or kind(node.this) != "date":
        raise UnfitError(": DATETRUNC of a DATE to its YEAR, MONTH or DAY is known")
    return exp.paren(
        exp.DPipe(this=call("SUBSTR", node.this, 1, kept[0]), expression=exp.Literal.string(kept[1]))
    )


def last_day(node: Expression) -> Expression:
    return call("tsql_end_of_month", _as_moment(node.this))


def from_parts(node: Expression) -> Expression:
    return call("tsql_date_from_parts", *(node.args[name] for name in ("year", "month", "day")))


# Text


def concat(node: Expression) -> Expression:
    """CONCAT takes NULL for an empty text."""
    parts = [
        exp.Literal.string("") if isinstance(each, exp.Null) else call("COALESCE", text_of(each.copy()), "")
        for each in node.expressions
    ]
    return exp.paren(reduce(lambda one, other: exp.DPipe(this=one, expression=other), parts))


def like(node: Expression) -> Expression:
    check_like(node)
    return of_texts(node)


def replace(node: Expression) -> Expression:
    check_search(node.this, node.expression)
    return of_texts(node)


def of_texts(node: Expression) -> Expression:
    for name in ("this", "expression", "replacement"):
        given = node.args.get(name)
        if isinstance(given, exp.Expr) and type_of(given) is not None and not isinstance(given, exp.Null):
            node.set(name, text_of(given.copy()))
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
    """DATALENGTH of text, which is two bytes a character."""
    if node.name.upper() != "DATALENGTH" or kind(node.expressions[0]) not in ("text", ""):
        raise UnfitError(" has no equivalent in SQLite")
    if not is_national(node.expressions[0]):
        raise UnfitError(": VARCHAR has fewer bytes: CAST it to NVARCHAR")
    return with_type(call("tsql_bytes", node.expressions[0]), INT)


def inside(node: Expression) -> Expression:
    """What the parser puts around a moment."""
    inner: Expression = node.this
    return inner


def refuse(_: Expression) -> Expression:
    raise UnfitError(" has no equivalent in SQLite")
