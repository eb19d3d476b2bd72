"""Which expressions give the same value whenever they are asked, from the same rows."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from consumers.reporting.flatten import OTHER_AGGREGATES, Expression

_KEYS = ("current", "localtime", "nextvalue", "rand", "session", "utc", "uuid")
"""How sqlglot's names of functions begin that give another value at another time, or to another user."""
_SAME = OTHER_AGGREGATES | frozenset(
    [
        "BINARY_CHECKSUM", "CHECKSUM", "CHOOSE", "DATALENGTH", "DATETIME2FROMPARTS", "DIFFERENCE", "ISDATE",
        "DATETIMEOFFSETFROMPARTS", "ISJSON", "ISNUMERIC", "JSON_MODIFY", "JSON_QUERY", "NCHAR", "PATINDEX",
        "QUOTENAME", "SMALLDATETIMEFROMPARTS", "STR", "SWITCHOFFSET", "TIMEFROMPARTS", "TODATETIMEOFFSET",
    ]
)  # fmt: skip
"""Of the functions that sqlglot does not know: those of T-SQL that hang on their arguments alone."""
_FLOATS = (exp.DType.FLOAT, exp.DType.DOUBLE)


def changing(query: Expression) -> Iterator[str]:
    """What may give another value each time, and why, in words. Needs no types."""
    for node in query.walk():
        name = node.name.upper() if isinstance(node, exp.Anonymous) else node.key.upper()
        if isinstance(node, exp.Func) and node.key.startswith(_KEYS):
            yield f"{name} gives another value each time; @as_of is the time of the refresh"
        elif isinstance(node, exp.Dot) or (isinstance(node, exp.Anonymous) and name not in _SAME):
            yield f"{node.sql('tsql')[:60]} is not known to give the same value each time"


def unordered(query: Expression) -> Iterator[str]:
    """What hangs on the order in which rows come, and that is open. Needs types."""
    for node in query.walk():
        if isinstance(node, exp.GroupConcat) and not isinstance(node.this, exp.Order):
            yield "STRING_AGG without WITHIN GROUP (ORDER BY ...) gives texts in any order"
        elif isinstance(node, exp.Window) and _is_open(node.args.get("order")):
            yield f"{node.sql('tsql')[:60]} takes rows in any order: ORDER BY a column"
        elif isinstance(node, exp.Select) and _is_picked(node) and not node.args.get("order"):
            yield "TOP or FOR without ORDER BY takes rows in any order: ORDER BY columns that tell them apart"
        elif isinstance(node, (exp.Sum, exp.Avg)) and _is_float(node.this):
            name = node.sql("tsql")[:60]
            yield f"{name} of a FLOAT hangs on the order in which rows are added: CAST it to a DECIMAL first"


def _is_open(order: Expression | None) -> bool:
    return order is not None and order.find(exp.Column) is None


def _is_picked(node: exp.Select) -> bool:
    """Whether the order of its rows shows: where EXISTS asks it does not."""
    chosen = node.args.get("limit") or node.args.get("for_")
    return bool(chosen) and not isinstance(node.parent, exp.Exists)


def _is_float(node: Expression) -> bool:
    inner = node.expressions[0] if isinstance(node, exp.Distinct) else node
    return inner.type is not None and inner.type.this in _FLOATS
