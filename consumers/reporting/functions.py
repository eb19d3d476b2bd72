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
    """What hangs on the order in which rows come. Needs types."""
    for node in query.find_all(exp.GroupConcat, exp.Sum, exp.Avg):
        if isinstance(node, exp.GroupConcat) and not isinstance(node.this, exp.Order):
            yield "STRING_AGG without WITHIN GROUP (ORDER BY ...) gives texts in any order"
        elif node.this.type is not None and node.this.type.this in _FLOATS:
            yield (
                f"{node.sql('tsql')[:60]} of a FLOAT hangs on the order in which rows are added: "
                "CAST it to a DECIMAL first"
            )
