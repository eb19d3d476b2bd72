"""Where a SQLite warehouse keeps reports. One transaction that lets no one else write is all of a refresh."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from consumers.reporting.definition.outputs import Output, shown_type
from consumers.reporting.definition.report import Report
from consumers.reporting.refresh.dialect import ANY_MOMENT
from consumers.reporting.refresh.session import EngineSession
from consumers.reporting.refresh.statements import at_time
from consumers.reporting.sqlite.dialect import SqliteDialect
from consumers.reporting.sqlite.filters import exact
from consumers.reporting.sqlite.functions import register
from consumers.warehouse.sqlite.ddl import SYSTEM, revisions_in
from consumers.warehouse.sqlite.errors import RowRefused, sqlite_errors
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse
from schemas.errors import ConfigurationError

FAILED = (
    "SQLite could not run it (SQLITE_ERROR). Most often a value does not convert as the SELECT asks (CAST, "
    "CONVERT, a text beside a number or a date), or a sum is too large: leave such rows out with WHERE. "
    "Where a table is missing, `headwater reports check --warehouse` names it"
)


class SqliteSession(EngineSession):
    """`refresh.Session`, and `refresher.Holder` of itself."""

    def __init__(self, connection: Connection, warehouse: SqliteWarehouse, doing: str = "reports") -> None:
        """With the functions that reports are written in: the connection may be new."""
        revisions = revisions_in(connection)
        super().__init__(connection, SYSTEM, revisions, warehouse.tables, warehouse.instant())
        self._doing = doing
        self._driver = connection.connection.driver_connection
        if isinstance(self._driver, sqlite3.Connection):
            register(self._driver)

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[SqliteSession]:  # noqa: ARG002 - it always is
        with self._errors():
            self.run("SAVEPOINT report")
            try:
                yield self
            except Exception:  # of anything else the whole transaction is undone by who opened it
                self._undo()
                raise
            self.run("RELEASE report")

    def _undo(self) -> None:
        """Raises nothing: after some errors, such as a full disk, SQLite has undone the whole transaction by
        itself, and there is no savepoint any more."""
        try:
            self.run("ROLLBACK TO report", "RELEASE report")
        except SQLAlchemyError:
            self._connection.invalidate()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Ours. A statement that SQLite can compile and that fails has met a value: in a report's SELECT that
        is a conversion, or a number that is too large."""
        try:
            with sqlite_errors(self._doing):
                yield
        except RowRefused as refusal:
            raise ConfigurationError(str(refusal)) from None
        except ConfigurationError as error:
            failed = error.__cause__
            if getattr(failed, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                raise
            raise ConfigurationError(f"{self._doing}: {FAILED}") from failed

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        statement = exact(self._connection, statement)
        return [tuple(row) for row in self._connection.exec_driver_sql(statement)]

    def run(self, *statements: str) -> None:
        self.changed(*statements)

    def changed(self, *statements: str) -> list[int]:
        made = []
        for statement in statements:
            done = self._connection.exec_driver_sql(exact(self._connection, statement))
            made.append(done.rowcount)
        return made


class SqliteReports:
    """`refresher.ReportEngine`. More than one would wait for each other, and consumers for them."""

    at_once = 1

    def __init__(self, warehouse: SqliteWarehouse) -> None:
        self.dialect = SqliteDialect(warehouse.tables)
        self._warehouse = warehouse

    @contextmanager
    def reading(self) -> Iterator[SqliteSession]:
        with self._warehouse.reading("reports") as connection:
            yield SqliteSession(connection, self._warehouse)

    def outputs(self, report: Report) -> list[Output]:
        """SQLite's columns have no types of their own: those that the SELECT shows."""
        query = self.dialect.to_sql(at_time(report.query, ANY_MOMENT))
        with self._warehouse.reading(f"report {report.name}") as connection:
            session = SqliteSession(connection, self._warehouse)
            try:
                session.rows(f"SELECT * FROM ({query}) WHERE 0")
            except DBAPIError as error:  # of a statement that read no row: names and constants of it alone
                raise ConfigurationError(f"report {report.name}: SQLite says: {error.orig}") from None
        return [Output(each.alias_or_name, shown_type(each)) for each in report.query.selects]

    @contextmanager
    def holding(self, report: str, wait_seconds: float = 0) -> Iterator[SqliteSession]:  # noqa: ARG002
        """It waits its turn as every writer does."""
        with self._warehouse.writing(f"report {report}") as connection:
            yield SqliteSession(connection, self._warehouse, f"report {report}")
