"""What of a SELECT hangs on an order of rows that nobody says: it may be another one each time."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from consumers.reporting.definition.flatten import Expression

_FLOATS = (exp.DType.FLOAT, exp.DType.DOUBLE)


def unordered(query: Expression) -> Iterator[str]:
    """What hangs on the order in which rows come, and that is open. Needs types."""
    for node in query.walk():
        if isinstance(node, exp.GroupConcat) and not isinstance(node.this, exp.Order):
            yield "STRING_AGG without WITHIN GROUP (ORDER BY ...) gives texts in any order"
        elif isinstance(node, exp.Window) and _is_open(node.args.get("order")):
            yield f"{node.sql('tsql')[:60]} takes rows in any order: ORDER BY a column"
        elif isinstance(node, exp.Select) and _is_picked(node) and not node.args.get("order"):
            yield "TOP without ORDER BY takes rows in any order: ORDER BY columns that tell them apart"
        elif isinstance(node, (exp.Sum, exp.Avg)) and _is_float(node.this):
            name = node.sql("tsql")[:60]
            yield f"{name} of a FLOAT hangs on the order in which rows are added: CAST it to a DECIMAL first"


def _is_open(order: Expression | None) -> bool:
    return order is not None and order.find(exp.Column) is None


def _is_picked(node: exp.Select) -> bool:
    """Whether the order of its rows shows: where EXISTS asks it does not."""
    return bool(node.args.get("limit")) and not isinstance(node.parent, exp.Exists)


def _is_float(node: Expression) -> bool:
    inner = node.expressions[0] if isinstance(node, exp.Distinct) else node
    return inner.type is not None and inner.type.this in _FLOATS
