"""Where a SQLite warehouse keeps reports. One transaction that lets no one else write is all of a refresh."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from consumers.reporting.definition.outputs import Output, shown_type
from consumers.reporting.definition.report import Report
from consumers.reporting.dialect import ANY_MOMENT
from consumers.reporting.session import EngineSession
from consumers.reporting.sqlite_dialect import SqliteDialect
from consumers.reporting.sqlite_functions import register
from consumers.reporting.statements import timed
from consumers.warehouse.sqlite import SqliteWarehouse
from consumers.warehouse.sqlite_ddl import SYSTEM, revisions_in
from consumers.warehouse.sqlite_errors import sqlite_errors
from schemas.errors import ConfigurationError


class SqliteSession(EngineSession):
    """`refresh.Session`, and `refresher.Holder` of itself."""

    def __init__(self, connection: Connection, warehouse: SqliteWarehouse) -> None:
        """With the functions that reports are written in: the connection may be new."""
        revisions = revisions_in(connection)
        super().__init__(connection, SYSTEM, revisions, warehouse.tables, warehouse.instant())
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            register(driver)

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

    def run(self, *statements: str) -> None:
        for statement in statements:
            self._connection.exec_driver_sql(statement)

    def changed(self, *statements: str) -> list[int]:
        return [self._connection.exec_driver_sql(statement).rowcount for statement in statements]


class SqliteReports:
    """`refresher.ReportEngine`. More than one would wait for each other, and consumers for them."""

    at_once = 1

    def __init__(self, warehouse: SqliteWarehouse) -> None:
        self.dialect = SqliteDialect(warehouse.tables)
        self._warehouse = warehouse

    @contextmanager
    def looking(self) -> Iterator[SqliteSession]:
        with self._warehouse.reading("reports") as connection:
            yield SqliteSession(connection, self._warehouse)

    def outputs(self, report: Report) -> list[Output]:
        """SQLite's columns have no types of their own: those that the SELECT shows."""
        query = self.dialect.written(timed(report.query, ANY_MOMENT))
        with self._warehouse.reading(f"report {report.name}") as connection:
            session = SqliteSession(connection, self._warehouse)
            try:
                session.rows(f"SELECT * FROM ({query}) WHERE 0")
            except DBAPIError as error:  # of a statement that read no row: names and constants of it alone
                raise ConfigurationError(f"report {report.name}: SQLite says: {error.orig}") from None
        return [Output(each.alias_or_name, shown_type(each)) for each in report.query.selects]

    @contextmanager
    def holding(self, report: str) -> Iterator[SqliteSession]:
        with self._warehouse.writing(f"refresh {report}") as connection:
            yield SqliteSession(connection, self._warehouse)
