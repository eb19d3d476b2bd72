"""T-SQL's comparisons as SQLite's: both sides in one form, text without the blanks at its end."""

from __future__ import annotations

from sqlglot import exp

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.definition.flatten import Expression
from consumers.reporting.definition.sql_types import (
    INT,
    NULL,
    TEXT,
    SqlType,
    common_type,
    is_decimal,
    is_text,
    output_types,
    type_of,
    with_type,
)
from consumers.reporting.sqlite.conversions import (
    UnfitError,
    call,
    converted,
)
from consumers.reporting.sqlite.text_kinds import check_equal, check_ordered

ORDERED_BY = {"decimal": "decimal_sortable", "uuid": "tsql_uuid_sortable"}
"""What makes text of values whose order is that of the values."""
NEVER_ZERO = "never_zero"
"""Noted of NULLIF(x, 0)."""


def kind(node: Expression | None) -> str:
    found = type_of(node)
    return found.kind if found is not None else ""


def collated(node: Expression) -> Expression:
    """Text as T-SQL compares it; anything else as it is."""
    if not is_text(node) or isinstance(node, exp.Collate):
        return node
    check_equal(node)
    inner = node.copy() if isinstance(node, (exp.Column, exp.Literal, exp.Paren)) else exp.paren(node.copy())
    return with_type(exp.Collate(this=inner, expression=exp.Var(this="RTRIM")), type_of(node))


def compare(node: Expression) -> Expression:
    return compared(type(node), node.this, node.expression)


def compared(operator: type[Expression], one: Expression, other: Expression) -> Expression:
    types = [type_of(each) for each in (one, other)]
    if None in types or _is_of_unit(one, other):
        return operator(this=collated(with_type(one, TEXT) if is_text(other) else one), expression=other)
    target = common_type(types)
    if target is None:
        raise UnfitError(": values of these types are not compared: CAST one of them")
    if target.kind == "decimal":
        return _compared_decimals(operator, one, other)
    if target.kind == "text":
        (check_equal if operator in (exp.EQ, exp.NEQ) else check_ordered)(one, other)
    sides = [converted(each, target) for each in (one, other)]
    if target.kind == "uuid" and operator not in (exp.EQ, exp.NEQ):
        sides = [call(ORDERED_BY["uuid"], each) for each in sides]
    return operator(this=collated(sides[0]), expression=sides[1])


def _compared_decimals(operator: type[Expression], one: Expression, other: Expression) -> Expression:
    """An int beside a constant is compared as a number, by the index of its column."""
    if kind(one) in ("int", "bit") and _is_short(other):
        return operator(this=one, expression=exp.Literal.number(other.unnest().name))
    if kind(other) in ("int", "bit") and _is_short(one):
        return operator(this=exp.Literal.number(one.unnest().name), expression=other)
    sides = [exact(each, beside) for each, beside in ((one, other), (other, one))]
    return operator(this=call("decimal_compare", *sides), expression=exp.Literal.number(0))


def _is_short(node: Expression) -> bool:
    """A constant that a double holds well enough to compare it with an int."""
    inner = node.unnest()
    return is_decimal(node) and isinstance(inner, exp.Literal) and len(inner.name) < 15


def exact(node: Expression, beside: Expression) -> Expression:
    """A number that decimals are reckoned with; a text becomes one of the type beside it."""
    return converted(node, type_of(beside) or INT) if is_text(node) else node


def _is_of_unit(one: Expression, other: Expression) -> bool:
    """Whether one is a unit's column: made of that very expression, it is stored in the same form."""
    return any(isinstance(each, exp.Column) and each.table == UNITS for each in (one, other))


def between(node: Expression) -> Expression:
    low = compared(exp.GTE, node.this.copy(), node.args["low"])
    return exp.paren(exp.and_(low, compared(exp.LTE, node.this.copy(), node.args["high"]), copy=False))


def among(node: Expression) -> Expression:
    if query := node.args.get("query"):
        return _in_query(node, query)
    made = [compared(exp.EQ, node.this.copy(), each) for each in node.expressions]
    first = made[0].this
    if any(each.this != first or isinstance(each.this, exp.Anonymous) for each in made):
        return exp.paren(exp.or_(*made, copy=False))
    return exp.In(this=first, expressions=[each.expression for each in made])


def _in_query(node: Expression, query: Expression) -> Expression:
    wanted = type_of(node.this)
    inner = query.unnest()
    given = next(iter(output_types(inner).values()), None) if isinstance(inner, exp.Query) else None
    if wanted is not None and given is not None:
        target = common_type([wanted, given])
        if target is None or ("decimal" in (wanted.kind, given.kind) and wanted != given):
            raise UnfitError(": values of these types are not compared: CAST one of them")
        if given != NULL and converted(probe := _probe(given), target) is not probe:
            raise UnfitError(": IN of another type: CAST what the inner SELECT gives")
        node.set("this", converted(node.this, target))
    node.set("this", collated(node.this))
    return node


def _probe(given: SqlType) -> Expression:
    return with_type(exp.column("x"), given)


def nullif(node: Expression) -> Expression:
    is_equal = compared(exp.EQ, node.this.copy(), node.expression.copy())
    made = exp.case().when(is_equal, exp.null(), copy=False).else_(node.this.copy(), copy=False)
    made.meta[NEVER_ZERO] = isinstance(node.expression, exp.Literal) and node.expression.name == "0"
    return made
