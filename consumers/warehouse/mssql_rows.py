"""Rows out of SQL Server's results, column by column: few Python operations for each row."""

from collections.abc import Iterator

from consumers.warehouse.mssql_ddl import Result
from consumers.warehouse.mssql_values import converted, instant_of, storage_of
from consumers.warehouse.port import Row
from consumers.warehouse.tables import StagingTable

_READ_ROWS = 1_000


def read_rows(table: StagingTable, result: Result) -> Iterator[Row]:
    """The rows of `mssql_sql.select_rows` and what follows it, typed, as they come from the server."""
    reads = [storage_of(field).read for field in table.entity.schema.fields]
    while chunk := result.fetchmany(_READ_ROWS):
        key_hashes, *business, ranks, event_ids, deleted, sources, instants, versions = zip(
            *chunk, strict=True
        )
        columns = [converted(column, read) for column, read in zip(business, reads, strict=True)]
        yield from map(
            Row,
            key_hashes,
            ranks,
            [each.bytes for each in event_ids],
            deleted,
            sources,
            map(instant_of, instants),
            versions,
            zip(*columns, strict=True),
        )
