"""Columns of a report's table: their types in the database, and types that no report can have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlglot import exp
from sqlglot.errors import SqlglotError

from consumers.reporting.definition.body import location, selects_of
from schemas.errors import ConfigurationError

INSTEAD: Mapping[str, str] = {
    "text": "NVARCHAR(4000)",
    "ntext": "NVARCHAR(4000)",
    "xml": "NVARCHAR(MAX)",
    "json": "NVARCHAR(MAX)",
    "vector": "NVARCHAR(MAX)",
    "image": "VARBINARY(MAX)",
    "sql_variant": "NVARCHAR(4000)",
    "geometry": "VARBINARY(MAX)",
    "geography": "VARBINARY(MAX)",
    "timestamp": "BINARY(8)",
    "rowversion": "BINARY(8)",
}
"""Types that can't be compared or that only the server writes, with a type that holds the same values."""
_SIZED = frozenset(["char", "varchar", "nchar", "nvarchar", "binary", "varbinary"])
_EXACT = frozenset(["decimal", "numeric"])
_TIMES = frozenset(["datetime2", "datetimeoffset", "time"])
_DIGITS = 7
"""Digits of a second."""
_CHARACTER = {"nchar": 2, "nvarchar": 2}
"""Bytes of a character."""


_TYPE = re.compile(
    r"\s*(?P<name>double\s+precision|char(?:acter)?\s+varying|\w+)"
    r"\s*(?:\(\s*(?P<size>max|\d{1,9})\s*(?:,\s*(?P<scale>\d{1,9})\s*)?\))?\s*",
    re.IGNORECASE | re.ASCII,
)
_LARGEST: Mapping[str, int] = {
    **dict.fromkeys(("decimal", "dec", "numeric"), 38),
    **dict.fromkeys(("char", "varchar", "binary", "varbinary"), 8_000),
    **dict.fromkeys(("nchar", "nvarchar"), 4_000),
    "float": 53,
}
"""The largest size that SQL Server allows."""


class Output(NamedTuple):
    """One column, with its type as T-SQL writes it; empty where it is not known."""

    name: str
    type: str

    @property
    def is_unindexable(self) -> bool:
        """True for a type that no index can hold."""
        return self.type.endswith("(MAX)")


def is_type(name: object) -> bool:
    """Return whether this is a T-SQL type and nothing more.

    sqlglot alone would ignore what follows a type, or fail.
    """
    match = _TYPE.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        return False
    try:
        # sqlglot raises whatever its parser runs into, AttributeError among others.
        exp.DataType.build(match[0].strip(), dialect="tsql", udt=False)
    except (SqlglotError, ValueError, AttributeError, TypeError):
        return False
    return _is_sized(match["name"].lower(), match["size"] or "", match["scale"])


def _is_sized(name: str, size: str, scale: str | None) -> bool:
    """Return whether SQL Server allows these sizes."""
    if not size.isdecimal():  # none, or MAX
        return not size or (name in _SIZED and "var" in name and scale is None)
    if scale is not None and (name not in ("decimal", "dec", "numeric") or int(scale) > int(size)):
        return False
    if name in _TIMES:
        return int(size) <= _DIGITS
    return 1 <= int(size) <= _LARGEST.get(name, 0) or (name not in _LARGEST and "varying" in name)


def of_table(rows: Iterable[Sequence[Any]]) -> list[Output]:
    """Return columns from INFORMATION_SCHEMA.COLUMNS.

    Its rows have name, type, characters, precision, scale and digits of a second.
    """
    return [
        Output(str(name), written(str(kind), characters, precision, scale if scale is not None else digits))
        for name, kind, characters, precision, scale, digits in rows
    ]


def of_result(rows: Iterable[Sequence[Any]]) -> list[Output]:
    """Return columns from sp_describe_first_result_set.

    It reports lengths in bytes, and .NET types in a column of their own.
    """
    return [
        Output(str(name), written(str(kind or clr_type or ""), _characters(kind, size), precision, scale))
        for _, _, name, _, _, kind, size, precision, scale, _, _, _, _, clr_type, *_ in rows
    ]


def _characters(kind: object, size: int | None) -> int | None:
    # -1 is MAX.
    return size if size is None or size < 0 else size // _CHARACTER.get(str(kind), 1)


def written(kind: str, characters: int | None, precision: int | None, scale: int | None) -> str:
    """Return a type with its sizes as T-SQL writes it."""
    name = kind.partition("(")[0].lower()
    if "(" in kind:  # SQL Server reports it with its sizes
        return kind.upper()
    if name in _SIZED and characters is not None:
        return f"{name.upper()}({'MAX' if characters < 0 else characters})"
    if name in _EXACT and precision is not None and scale is not None:
        return f"{name.upper()}({precision},{scale})"
    if name in _TIMES and scale is not None:
        return f"{name.upper()}({scale})"
    return name.upper()


def shown_type(column: exp.Expr) -> str:
    """Return the type that a qualified SELECT itself shows for a column; empty where it is not known."""
    known = column.unalias().type
    if known is None or known.is_type(exp.DType.UNKNOWN, exp.DType.NULL):
        return ""
    return known.sql("tsql")


def check_stored(report: str, outputs: Sequence[Output]) -> None:
    """Raise ConfigurationError, with the line to add, where a column has a type of INSTEAD."""
    wrong = {output.name: output.type.lower() for output in outputs if output.type.lower() in INSTEAD}
    if wrong:
        columns = ", ".join(f"{name} is {kind.upper()}" for name, kind in wrong.items())
        line = ", ".join(f'{name} = "{INSTEAD[kind]}"' for name, kind in wrong.items())
        raise ConfigurationError(
            f"report {report}: {columns}: its values can't be compared, so that a refresh can't detect "
            f"what changed: add to the comment at the beginning: types = {{ {line} }}"
        )


def check_typed(query: exp.Query) -> None:
    """Raise ConfigurationError where a column is NULL in every SELECT, and so has no type."""
    selects = list(selects_of(query))
    for number, first in enumerate(selects[0].selects if selects else ()):
        if all(isinstance(select.selects[number].unalias(), exp.Null) for select in selects):
            name, where = first.alias_or_name, location(first.args.get("alias"))
            raise ConfigurationError(
                f"{where}{name} is NULL without a type: CAST(NULL AS INT) AS {name}, "
                f'or add to the comment at the beginning: types = {{ {name} = "INT" }}'
            )


def remarks(unit: Sequence[str], outputs: Sequence[Output]) -> list[str]:
    """Return what makes a refresh slow: columns of the unit that no index can hold."""
    return [
        f"{output.name} is {output.type}, and no index can hold that: set maxLength on its field, or add "
        f'to the comment at the beginning: types = {{ {output.name} = "NVARCHAR(400)" }}'
        for output in outputs
        if output.name in unit and output.is_unindexable
    ]
