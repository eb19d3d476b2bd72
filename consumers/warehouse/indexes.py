"""Indexes on staging tables that reports use to find rows.

A new revision gets the indexes of the live one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5
from typing import TypeAlias

IndexColumns: TypeAlias = tuple[str, ...]
Indexes: TypeAlias = Mapping[str, IndexColumns]
"""Columns of each index in key order, by the name that the engine has for it."""

_MARK = "report_by_"
_LONGEST = 100
"""Characters. SQL Server allows 128 in a name, SQLite any number."""


def index_name(columns: Sequence[str]) -> str:
    """Return the name of an index on these columns, of at most 100 characters."""
    name = _MARK + "_".join(columns)
    if len(name) <= _LONGEST:
        return name
    # The hash keeps names apart that are equal in their first characters. It is not a security feature.
    return f"{name[:60]}_{md5(name.encode(), usedforsecurity=False).hexdigest()}"


def report_indexes(indexes: Indexes) -> list[IndexColumns]:
    """Return the columns of the indexes that were created for reports."""
    # By name: an index that a person created must not be copied or dropped.
    return [columns for name, columns in indexes.items() if _MARK in name]


def is_indexed(columns: Sequence[str], indexes: Iterable[IndexColumns]) -> bool:
    """Return whether one of the indexes begins with these columns, in any order."""
    return any(set(index[: len(columns)]) == set(columns) for index in indexes)
