"""Rows to SQLite's parameters and back, column by column: few Python operations for each row."""

from collections.abc import Iterator, Sequence
from itertools import repeat

from sqlalchemy import Connection

from consumers.warehouse.columns import converted, typed_rows
from consumers.warehouse.floors import Floors
from consumers.warehouse.port import HistoryRow, Row
from consumers.warehouse.sqlite.values import instant_of, instant_text, storage_of
from consumers.warehouse.tables import StagingTable


def parameters(
    table: StagingTable, rows: Sequence[Row | HistoryRow], floors: Floors, applied_at: str
) -> list[tuple[object, ...]]:
    """One tuple for each row, in the order of `StagingTable.columns`."""
    if not rows:
        return []
    key_hashes, ranks, event_ids, _, sources, occurred, versions, values, *operations = zip(
        *rows, strict=True
    )
    business = [
        converted(column, storage_of(field).write)
        for field, column in zip(table.fields, zip(*values, strict=True), strict=True)
    ]
    tombstones = [int(row.deleted or _is_below(row, floors)) for row in rows]
    instants = map(instant_text, occurred)
    # `applied_at` has no end: zip stops with the rows.
    system = (ranks, event_ids, tombstones, sources, instants, versions, *operations, repeat(applied_at))
    return list(zip(key_hashes, *business, *system, strict=False))


def _is_below(row: Row | HistoryRow, floors: Floors) -> bool:
    """Whether a sweep says that this row no longer exists. A position is its rank's prefix, and the blank
    after it sorts below everything a position may go on with."""
    floor = floors.get((row.source, row.key_hash[0]))
    return floor is not None and row.rank < floor


def read_rows(
    connection: Connection, table: StagingTable, statement: str, arguments: tuple[object, ...] = ()
) -> Iterator[Row]:
    """The rows that `sqlite_sql.select_rows` and what follows it select, typed."""
    reads = [storage_of(field).read for field in table.fields]
    return typed_rows(connection.exec_driver_sql(statement, arguments), reads, bytes, instant_of)
