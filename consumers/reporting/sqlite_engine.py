"""Where a SQLite warehouse keeps reports. One transaction that lets no one else write is all of a refresh."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from consumers.reporting.registry import Registry, Sources
from consumers.reporting.sqlite_dialect import SqliteDialect
from consumers.reporting.sqlite_functions import register
from consumers.warehouse.port import LIVE_READER
from consumers.warehouse.sqlite import SqliteWarehouse
from consumers.warehouse.sqlite_ddl import SYSTEM, revisions_in
from consumers.warehouse.sqlite_errors import sqlite_errors
from consumers.warehouse.tables import StagingTables


class SqliteSession:
    """`refresh.Session`, and `refresher.Holder` of itself."""

    def __init__(self, connection: Connection, tables: StagingTables, now: str) -> None:
        self._connection = connection
        self._tables = tables
        self.registry = Registry(connection, SYSTEM.reports, now)

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[SqliteSession]:  # noqa: ARG002 - it always is
        with sqlite_errors("report"):
            self.run("SAVEPOINT report")
            try:
                yield self
            except Exception:  # of anything else the whole transaction is undone by who opened it
                self.run("ROLLBACK TO report")
                self.run("RELEASE report")
                raise
            self.run("RELEASE report")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.exec_driver_sql(statement)]

    def run(self, statement: str) -> None:
        self._connection.exec_driver_sql(statement)

    def changed(self, statement: str) -> int:
        return self._connection.exec_driver_sql(statement).rowcount

    def live(self, entities: Sequence[str]) -> Sources:
        revisions = revisions_in(self._connection)
        lives = {name: revisions.live(self._tables[name]) for name in entities}
        return {name: (live.number, live.schema_fingerprint.hex()) for name, live in lives.items()}

    def checkpoints(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT stream, shard, sequence FROM headwater_checkpoints "
            f"WHERE reader = '{LIVE_READER}' ORDER BY stream, shard"
        )


class SqliteReports:
    """`refresher.ReportEngine`."""

    def __init__(self, warehouse: SqliteWarehouse) -> None:
        self.dialect = SqliteDialect(warehouse.tables)
        self._warehouse = warehouse

    @contextmanager
    def looking(self) -> Iterator[SqliteSession]:
        with self._warehouse.reading("reports") as connection:
            yield self._session(connection)

    @contextmanager
    def holding(self, report: str) -> Iterator[SqliteSession]:
        with self._warehouse.writing(f"refresh {report}") as connection:
            yield self._session(connection)

    def _session(self, connection: Connection) -> SqliteSession:
        """With the functions that reports are written in: a connection may be new."""
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            register(driver)
        return SqliteSession(connection, self._warehouse.tables, self._warehouse.instant())
