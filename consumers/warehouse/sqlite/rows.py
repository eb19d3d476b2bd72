"""Conversion between rows and SQLite's parameters and results."""

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
    """Return one tuple per row, in the order of `StagingTable.columns`.

    A row below the floor of its source and bucket becomes a tombstone.
    """
    if not rows:
        return []
    key_hashes, ranks, event_ids, _, sources, occurred, versions, values, *operations = zip(
        *rows, strict=True
    )
    # Column by column, which costs few Python operations per row.
    business = [
        converted(column, storage_of(field).write)
        for field, column in zip(table.fields, zip(*values, strict=True), strict=True)
    ]
    tombstones = [int(row.deleted or _is_below(row, floors)) for row in rows]
    instants = map(instant_text, occurred)
    # `repeat` is infinite: the zip below, which is not strict, ends with the rows.
    system = (ranks, event_ids, tombstones, sources, instants, versions, *operations, repeat(applied_at))
    return list(zip(key_hashes, *business, *system, strict=False))


def _is_below(row: Row | HistoryRow, floors: Floors) -> bool:
    """Return whether a sweep has deleted this row."""
    # A position is the prefix of its ranks. The blank after it sorts before any character of a longer
    # position, so comparing a rank with a position gives the order of the positions.
    floor = floors.get((row.source, row.key_hash[0]))
    return floor is not None and row.rank < floor


def read_rows(
    connection: Connection, table: StagingTable, statement: str, arguments: tuple[object, ...] = ()
) -> Iterator[Row]:
    """Yield typed rows of a statement that begins with `sql.select_rows`."""
    reads = [storage_of(field).read for field in table.fields]
    return typed_rows(connection.exec_driver_sql(statement, arguments), reads, bytes, instant_of)
