"""Indexes in SQL Server: what there are, what one may be of, and how it is made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection

from consumers.warehouse.indexes import IndexColumns, Indexes, index_name
from consumers.warehouse.mssql.sql import listed, quoted, types_of
from consumers.warehouse.tables import StagingTable

INDEX_BYTES = 1_700
"""Of an index's key. SQL Server makes an index of columns that may be longer, and then refuses a row that is.
https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server"""

_FIXED_BYTES = 17
"""The largest of the types that have one size: DECIMAL(38)."""
_INDEXES = """SELECT i.name, c.name FROM sys.indexes AS i
INNER JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
INNER JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = OBJECT_ID(%s) AND i.has_filter = 0 AND i.is_disabled = 0 AND k.key_ordinal > 0
ORDER BY i.name, k.key_ordinal"""


def fitting(table: StagingTable, columns: Sequence[str]) -> IndexColumns:
    """The first of these columns, as many as an index holds."""
    types, room, found = types_of(table), INDEX_BYTES, list[str]()
    for name in columns:
        room -= bytes_of(types[name])
        if room < 0:
            break
        found.append(name)
    return tuple(found)


def bytes_of(sql_type: str) -> int:
    """At most, in an index's key; more than one holds where it has no end."""
    sized = re.fullmatch(r"(N?)(?:VAR)?(?:CHAR|BINARY)\((\d+|MAX)\)", sql_type)
    if not sized:
        return _FIXED_BYTES
    return INDEX_BYTES + 1 if sized[2] == "MAX" else int(sized[2]) * (2 if sized[1] else 1)


def indexes(connection: Connection, table: StagingTable, revision: int) -> Indexes:
    """Of a revision, without those of a part of the rows."""
    found: dict[str, IndexColumns] = {}
    for name, column in connection.exec_driver_sql(_INDEXES, (table.physical(revision),)):
        found[name] = (*found.get(name, ()), column)
    return found


def create_index(table: StagingTable, revision: int, columns: Sequence[str]) -> str:
    name, physical = quoted(index_name(columns)), quoted(table.physical(revision))
    return f"CREATE INDEX {name} ON {physical} ({listed(columns)})"


def drop_index(table: StagingTable, revision: int, columns: Sequence[str]) -> str:
    return f"DROP INDEX {quoted(index_name(columns))} ON {quoted(table.physical(revision))}"
