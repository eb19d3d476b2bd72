"""Rows out of SQL Server's results, column by column: few Python operations for each row."""

from collections.abc import Iterator
from operator import attrgetter

from consumers.warehouse.columns import typed_rows
from consumers.warehouse.mssql.ddl import Result
from consumers.warehouse.mssql.values import instant_of, storage_of
from consumers.warehouse.port import Row
from consumers.warehouse.tables import StagingTable


def read_rows(table: StagingTable, result: Result) -> Iterator[Row]:
    """The rows of `mssql_sql.select_rows` and what follows it, typed, as they come from the server."""
    reads = [storage_of(field).read for field in table.fields]
    return typed_rows(result, reads, attrgetter("bytes"), instant_of)
