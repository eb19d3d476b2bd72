"""Translation of T-SQL's comparisons: both sides in one stored form, text without trailing blanks."""

from __future__ import annotations

from sqlglot import exp

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.definition.row_expressions import Expression
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
"""Functions that return, for a value, text which sorts as the values do."""
NEVER_ZERO = "never_zero"
"""Key in a node's `meta`: the node is NULLIF(x, 0)."""


def kind(node: Expression | None) -> str:
    """Return the kind of a node's type; empty where it is not known."""
    sql_type = type_of(node)
    return sql_type.kind if sql_type is not None else ""


def collated(node: Expression) -> Expression:
    """Return text with the collation with which T-SQL compares it; any other node unchanged."""
    if not is_text(node) or isinstance(node, exp.Collate):
        return node
    check_equal(node)
    inner = node.copy() if isinstance(node, (exp.Column, exp.Literal, exp.Paren)) else exp.paren(node.copy())
    return with_type(exp.Collate(this=inner, expression=exp.Var(this="RTRIM")), type_of(node))


def compare(node: Expression) -> Expression:
    """Translate one comparison."""
    return compared(type(node), node.this, node.expression)


def compared(operator: type[Expression], left: Expression, right: Expression) -> Expression:
    """Return `left operator right` as T-SQL compares them. Raises UnfitError."""
    types = [type_of(side) for side in (left, right)]
    # Without types nothing can be converted; with a unit's column nothing needs to be.
    if None in types or _has_unit_column(left, right):
        return operator(this=collated(with_type(left, TEXT) if is_text(right) else left), expression=right)
    target = common_type(types)
    if target is None:
        raise UnfitError(": values of these types are not compared: CAST one of them")
    if target.kind == "decimal":
        return _compared_decimals(operator, left, right)
    # Text without a column is compared by the database's collation, which SQLite does not know.
    if target.kind == "text":
        (check_equal if operator in (exp.EQ, exp.NEQ) else check_ordered)(left, right)
    sides = [converted(side, target) for side in (left, right)]
    # SQL Server orders UNIQUEIDENTIFIERs by their last bytes first.
    if target.kind == "uuid" and operator not in (exp.EQ, exp.NEQ):
        sides = [call(ORDERED_BY["uuid"], side) for side in sides]
    return operator(this=collated(sides[0]), expression=sides[1])


def _compared_decimals(operator: type[Expression], left: Expression, right: Expression) -> Expression:
    """Compare decimals through a function.

    An int column beside a constant is compared as a number, so that its index is used.
    """
    if kind(left) in ("int", "bit") and _is_short(right):
        return operator(this=left, expression=exp.Literal.number(right.unnest().name))
    if kind(right) in ("int", "bit") and _is_short(left):
        return operator(this=exp.Literal.number(left.unnest().name), expression=right)
    sides = [exact(side, beside) for side, beside in ((left, right), (right, left))]
    return operator(this=call("decimal_compare", *sides), expression=exp.Literal.number(0))


def _is_short(node: Expression) -> bool:
    """Return whether a double represents this constant exactly enough to compare it with an int."""
    inner = node.unnest()
    return is_decimal(node) and isinstance(inner, exp.Literal) and len(inner.name) < 15


def exact(node: Expression, beside: Expression) -> Expression:
    """Return an operand for decimal arithmetic; a text is converted to the type beside it."""
    return converted(node, type_of(beside) or INT) if is_text(node) else node


def _has_unit_column(left: Expression, right: Expression) -> bool:
    """Return whether one side is a unit's column.

    It was computed from the other side, and so is stored in the same form.
    """
    return any(isinstance(side, exp.Column) and side.table == UNITS for side in (left, right))


def between(node: Expression) -> Expression:
    """Translate BETWEEN into two comparisons."""
    # Two comparisons, since each bound may need another conversion of the value.
    low = compared(exp.GTE, node.this.copy(), node.args["low"])
    return exp.paren(exp.and_(low, compared(exp.LTE, node.this.copy(), node.args["high"]), copy=False))


def among(node: Expression) -> Expression:
    """Translate IN: one list where all comparisons have the same left side, else OR."""
    if query := node.args.get("query"):
        return _in_query(node, query)
    equalities = [compared(exp.EQ, node.this.copy(), value) for value in node.expressions]
    first = equalities[0].this
    # A conversion may depend on the constant, so that the left sides differ.
    if any(equality.this != first or isinstance(equality.this, exp.Anonymous) for equality in equalities):
        return exp.paren(exp.or_(*equalities, copy=False))
    return exp.In(this=first, expressions=[equality.expression for equality in equalities])


def _in_query(node: Expression, query: Expression) -> Expression:
    operand_type = type_of(node.this)
    inner = query.unnest()
    output_type = next(iter(output_types(inner).values()), None) if isinstance(inner, exp.Query) else None
    if operand_type is not None and output_type is not None:
        target = common_type([operand_type, output_type])
        if target is None or (
            "decimal" in (operand_type.kind, output_type.kind) and operand_type != output_type
        ):
            raise UnfitError(": values of these types are not compared: CAST one of them")
        if output_type != NULL and converted(probe := _probe(output_type), target) is not probe:
            # Each row of the query would have to be converted: the report is to do that in its SELECT.
            raise UnfitError(": IN of another type: CAST the column of the inner SELECT")
        node.set("this", converted(node.this, target))
    node.set("this", collated(node.this))
    return node


def _probe(sql_type: SqlType) -> Expression:
    return with_type(exp.column("x"), sql_type)


def nullif(node: Expression) -> Expression:
    """Translate NULLIF into CASE, since SQLite's own would compare stored forms."""
    is_equal = compared(exp.EQ, node.this.copy(), node.expression.copy())
    result = exp.case().when(is_equal, exp.null(), copy=False).else_(node.this.copy(), copy=False)
    result.meta[NEVER_ZERO] = isinstance(node.expression, exp.Literal) and node.expression.name == "0"
    return result
