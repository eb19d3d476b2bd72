"""Where SQL Server keeps reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from consumers.reporting.mssql_dialect import MssqlDialect
from consumers.reporting.refresher import HeldError
from consumers.reporting.registry import Registry, Sources
from consumers.warehouse import mssql_sql as sql
from consumers.warehouse.mssql import MssqlWarehouse
from consumers.warehouse.mssql_ddl import SYSTEM, revisions_in, run
from consumers.warehouse.mssql_errors import RowRefused, mssql_errors
from consumers.warehouse.port import LIVE_READER
from consumers.warehouse.tables import StagingTables
from schemas.errors import ConfigurationError


class MssqlSession:
    """`refresh.Session`."""

    def __init__(self, connection: Connection, tables: StagingTables, now: str) -> None:
        self._connection = connection
        self._tables = tables
        self.registry = Registry(connection, SYSTEM.reports, now)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in run(self._connection, statement)]

    def run(self, statement: str) -> None:
        run(self._connection, statement)

    def changed(self, statement: str) -> int:
        changed: int = run(self._connection, f"{statement}; SELECT @@ROWCOUNT").scalar_one()
        return changed

    def live(self, entities: Sequence[str]) -> Sources:
        revisions = revisions_in(self._connection)
        lives = {name: revisions.live(self._tables[name]) for name in entities}
        return {name: (live.number, live.schema_fingerprint.hex()) for name, live in lives.items()}

    def checkpoints(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT stream, shard, sequence FROM [headwater].[checkpoints] "
            f"WHERE reader = '{LIVE_READER}' ORDER BY stream, shard"
        )


class MssqlHolder:
    """`refresher.Holder`: the lock is the connection's, and goes with it."""

    def __init__(self, report: str, connection: Connection, warehouse: MssqlWarehouse) -> None:
        self._report = report
        self._connection = connection
        self._warehouse = warehouse

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[MssqlSession]:
        with _errors(self._report):
            begin = sql.BEGIN_SNAPSHOT if snapshot else sql.begin((), [""])
            run(self._connection, begin)
            try:
                yield MssqlSession(self._connection, self._warehouse.tables, self._warehouse.instant())
                run(self._connection, sql.COMMIT)
            except Exception:  # of anything else the connection is closed by who opened it
                run(self._connection, f"{sql.ROLLBACK}; {sql.READ_COMMITTED}")
                raise
            run(self._connection, sql.READ_COMMITTED)


@contextmanager
def _errors(report: str) -> Iterator[None]:
    """Ours, where the transaction ended: what refuses a row here is the report's query."""
    try:
        with mssql_errors(f"report {report}"):
            yield
    except RowRefused as refusal:
        raise ConfigurationError(f"report {report}: {refusal}") from None


class MssqlReports:
    """`refresher.ReportEngine`."""

    def __init__(self, warehouse: MssqlWarehouse) -> None:
        self.dialect = MssqlDialect(warehouse.tables)
        self._warehouse = warehouse

    @contextmanager
    def looking(self) -> Iterator[MssqlSession]:
        with self._warehouse.reading("reports") as connection:
            yield MssqlSession(connection, self._warehouse.tables, self._warehouse.instant())

    @contextmanager
    def holding(self, report: str) -> Iterator[MssqlHolder]:
        with self._warehouse.writing(f"report {report}") as connection:
            if run(connection, sql.hold_report(report)).scalar_one() < 0:
                raise HeldError(f"report {report}: somebody else refreshes it now")
            try:
                yield MssqlHolder(report, connection, self._warehouse)
                run(connection, sql.release_report(report))
            except BaseException:
                connection.invalidate()  # the lock goes with the connection
                raise
