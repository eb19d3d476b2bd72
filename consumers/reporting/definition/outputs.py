"""The columns of a report as the database makes them: their types, and those that no report has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlglot import exp
from sqlglot.errors import SqlglotError

from consumers.reporting.definition.body import place, selects_of
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
"""Types whose values can't be compared, or that the server alone writes; and what takes the same values."""
_SIZED = frozenset(["char", "varchar", "nchar", "nvarchar", "binary", "varbinary"])
_EXACT = frozenset(["decimal", "numeric"])
_TIMES = frozenset(["datetime2", "datetimeoffset", "time"])
_DIGITS = 7
"""Of a second."""
_CHARACTER = {"nchar": 2, "nvarchar": 2}
"""Bytes."""


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
"""The size that SQL Server takes."""


class Output(NamedTuple):
    """One column. `type` as T-SQL writes it; empty where it is not known."""

    name: str
    type: str

    @property
    def is_endless(self) -> bool:
        """Whether no index has it."""
        return self.type.endswith("(MAX)")


def is_type(given: object) -> bool:
    """Whether it names a T-SQL type and nothing more: the parser would drop what follows a type, or fail."""
    found = _TYPE.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        return False
    try:
        exp.DataType.build(found[0].strip(), dialect="tsql", udt=False)
    except (SqlglotError, ValueError, AttributeError, TypeError):
        return False
    return _is_sized(found["name"].lower(), found["size"] or "", found["scale"])


def _is_sized(name: str, size: str, scale: str | None) -> bool:
    """Whether SQL Server takes these sizes."""
    if not size.isdecimal():  # none, or MAX
        return not size or (name in _SIZED and "var" in name and scale is None)
    if scale is not None and (name not in ("decimal", "dec", "numeric") or int(scale) > int(size)):
        return False
    if name in _TIMES:
        return int(size) <= _DIGITS
    return 1 <= int(size) <= _LARGEST.get(name, 0) or (name not in _LARGEST and "varying" in name)


def of_table(rows: Iterable[Sequence[Any]]) -> list[Output]:
    """Of INFORMATION_SCHEMA.COLUMNS: name, type, characters, precision, scale, digits of a second."""
    return [
        Output(str(name), written(str(kind), characters, precision, scale if scale is not None else digits))
        for name, kind, characters, precision, scale, digits in rows
    ]


def of_result(rows: Iterable[Sequence[Any]]) -> list[Output]:
    """Of sp_describe_first_result_set, which gives bytes, and types of .NET in a column of their own."""
    return [
        Output(str(name), written(str(kind or other or ""), _characters(kind, size), precision, scale))
        for _, _, name, _, _, kind, size, precision, scale, _, _, _, _, other, *_ in rows
    ]


def _characters(kind: object, size: int | None) -> int | None:
    return size if size is None or size < 0 else size // _CHARACTER.get(str(kind), 1)


def written(kind: str, characters: int | None, precision: int | None, scale: int | None) -> str:
    """A type with its sizes, as T-SQL has it."""
    name = kind.partition("(")[0].lower()
    if "(" in kind:  # SQL Server says it all itself
        return kind.upper()
    if name in _SIZED and characters is not None:
        return f"{name.upper()}({'MAX' if characters < 0 else characters})"
    if name in _EXACT and precision is not None and scale is not None:
        return f"{name.upper()}({precision},{scale})"
    if name in _TIMES and scale is not None:
        return f"{name.upper()}({scale})"
    return name.upper()


def shown_type(column: exp.Expr) -> str:
    """As far as a qualified SELECT itself tells it."""
    known = column.unalias().type
    if known is None or known.is_type(exp.DType.UNKNOWN, exp.DType.NULL):
        return ""
    return known.sql("tsql")


def check_stored(report: str, outputs: Sequence[Output]) -> None:
    """Raises ConfigurationError that shows the line to add where a column has a type of INSTEAD."""
    wrong = {each.name: each.type.lower() for each in outputs if each.type.lower() in INSTEAD}
    if wrong:
        said = ", ".join(f"{name} is {kind.upper()}" for name, kind in wrong.items())
        line = ", ".join(f'{name} = "{INSTEAD[kind]}"' for name, kind in wrong.items())
        raise ConfigurationError(
            f"report {report}: {said}: its values can't be compared, so that no refresh could tell "
            f"what changed: add to the comment at the beginning: types = {{ {line} }}"
        )


def check_typed(query: exp.Query) -> None:
    """Raises ConfigurationError where a column is NULL in every SELECT: that has no type."""
    selects = list(selects_of(query))
    for number, first in enumerate(selects[0].selects if selects else ()):
        if all(isinstance(each.selects[number].unalias(), exp.Null) for each in selects):
            name, where = first.alias_or_name, place(first.args.get("alias"))
            raise ConfigurationError(
                f"{where}{name} is NULL without a type: CAST(NULL AS INT) AS {name}, "
                f'or add to the comment at the beginning: types = {{ {name} = "INT" }}'
            )


def remarks(unit: Sequence[str], outputs: Sequence[Output]) -> list[str]:
    """What makes a refresh slow."""
    return [
        f"{each.name} is {each.type}, and no index has that: give its field a maxLength, or add to the "
        f'comment at the beginning: types = {{ {each.name} = "NVARCHAR(400)" }}'
        for each in outputs
        if each.name in unit and each.is_endless
    ]
