"""Indexes on tables of staging by which reports find rows. A revision is made with those of the live one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5
from typing import TypeAlias

IndexColumns: TypeAlias = tuple[str, ...]
Indexes: TypeAlias = Mapping[str, IndexColumns]
"""Columns of each index, in its order, by the name that the engine gives it."""

_MARK = "report_by_"
_LONGEST = 100


def index_name(columns: Sequence[str]) -> str:
    """Short enough for an engine that puts the table's name before it."""
    name = _MARK + "_".join(columns)
    if len(name) <= _LONGEST:
        return name
    return f"{name[:60]}_{md5(name.encode(), usedforsecurity=False).hexdigest()}"


def of_reports(indexes: Indexes) -> list[IndexColumns]:
    """Those that were made for reports; what a person made is that person's."""
    return [columns for name, columns in indexes.items() if _MARK in name]


def serves(columns: Sequence[str], indexes: Iterable[IndexColumns]) -> bool:
    """Whether one of these leads to rows by these columns."""
    return any(set(each[: len(columns)]) == set(columns) for each in indexes)
