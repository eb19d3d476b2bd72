"""Indexes in SQL Server: listing, the limit of their key, creation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection

from consumers.warehouse.indexes import IndexColumns, Indexes, index_name
from consumers.warehouse.mssql.sql import listed, quoted, types_of
from consumers.warehouse.tables import StagingTable

INDEX_BYTES = 1_700
"""Limit of an index key. SQL Server creates an index on longer columns, and then refuses rows that exceed it.
https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server"""

_FIXED_BYTES = 17
"""Size of DECIMAL(38), the largest type of fixed size."""
# Without partial and disabled indexes, and without INCLUDE columns, whose key_ordinal is 0.
_INDEXES = """SELECT i.name, c.name FROM sys.indexes AS i
INNER JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
INNER JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = OBJECT_ID(%s) AND i.has_filter = 0 AND i.is_disabled = 0 AND k.key_ordinal > 0
ORDER BY i.name, k.key_ordinal"""


def indexable(table: StagingTable, columns: Sequence[str]) -> IndexColumns:
    """Return as many of the leading columns as fit into an index."""
    types, free_bytes, chosen = types_of(table), INDEX_BYTES, list[str]()
    for name in columns:
        free_bytes -= bytes_of(types[name])
        if free_bytes < 0:
            break  # a later column must not move to the front: the order matters
        chosen.append(name)
    return tuple(chosen)


def bytes_of(sql_type: str) -> int:
    """Return the most bytes that a column takes in an index key; more than fits for an unbounded type."""
    sized = re.fullmatch(r"(N?)(?:VAR)?(?:CHAR|BINARY)\((\d+|MAX)\)", sql_type)
    if not sized:
        return _FIXED_BYTES
    return INDEX_BYTES + 1 if sized[2] == "MAX" else int(sized[2]) * (2 if sized[1] else 1)


def indexes(connection: Connection, table: StagingTable, revision: int) -> Indexes:
    """Return the indexes of a revision, without partial ones."""
    columns_by_name: dict[str, IndexColumns] = {}
    for name, column in connection.exec_driver_sql(_INDEXES, (table.physical(revision),)):
        columns_by_name[name] = (*columns_by_name.get(name, ()), column)
    return columns_by_name


def create_index(table: StagingTable, revision: int, columns: Sequence[str]) -> str:
    name, physical = quoted(index_name(columns)), quoted(table.physical(revision))
    return f"CREATE INDEX {name} ON {physical} ({listed(columns)})"


def drop_index(table: StagingTable, revision: int, columns: Sequence[str]) -> str:
    return f"DROP INDEX {quoted(index_name(columns))} ON {quoted(table.physical(revision))}"
