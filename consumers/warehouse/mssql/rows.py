"""Conversion of SQL Server's results to rows."""

from collections.abc import Iterator
from operator import attrgetter

from consumers.warehouse.columns import typed_rows
from consumers.warehouse.mssql.ddl import Result
from consumers.warehouse.mssql.values import instant_of, storage_of
from consumers.warehouse.port import Row
from consumers.warehouse.tables import StagingTable


def read_rows(table: StagingTable, result: Result) -> Iterator[Row]:
    """Yield typed rows from the result of `sql.select_rows`, as they arrive from the server."""
    # pymssql returns event ids as uuid.UUID, whose `bytes` are those that were sent.
    reads = [storage_of(field).read for field in table.fields]
    return typed_rows(result, reads, attrgetter("bytes"), instant_of)
