"""The engine of reports in SQLite. One write transaction covers a whole refresh."""

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
    """Session of a refresh (`refresh.Session`), which is also its own `refresher.Holder`."""

    def __init__(self, connection: Connection, warehouse: SqliteWarehouse, doing: str = "reports") -> None:
        """Register the functions of reports, since the connection may be new."""
        revisions = revisions_in(connection)
        super().__init__(connection, SYSTEM, revisions, warehouse.tables, warehouse.instant())
        self._doing = doing
        self._driver = connection.connection.driver_connection
        # The driver's connection is `Any | None` to mypy.
        if isinstance(self._driver, sqlite3.Connection):
            register(self._driver)

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[SqliteSession]:  # noqa: ARG002 - it always is
        with self._errors():
            # A savepoint, since the warehouse has opened the transaction already.
            self.run("SAVEPOINT report")
            try:
                yield self
            except Exception:  # after a BaseException the caller rolls back the whole transaction
                self._undo()
                raise
            self.run("RELEASE report")

    def _undo(self) -> None:
        """Undo the savepoint. Raises nothing.

        After some errors, such as a full disk, SQLite has already rolled back the whole transaction, and no
        savepoint is left.
        """
        try:
            self.run("ROLLBACK TO report", "RELEASE report")
        except SQLAlchemyError:
            self._connection.invalidate()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Map errors to ours.

        A statement that SQLite compiled and that then fails has met a value: in a report's SELECT that is a
        conversion, or a number that is too large.
        """
        try:
            with sqlite_errors(self._doing):
                yield
        except RowRefused as refusal:
            raise ConfigurationError(str(refusal)) from None
        except ConfigurationError as error:
            failed = error.__cause__
            # Raised by our functions (ValueError) and by integer overflow alike.
            if getattr(failed, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                raise
            raise ConfigurationError(f"{self._doing}: {FAILED}") from failed

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        statement = exact(self._connection, statement)
        return [tuple(row) for row in self._connection.exec_driver_sql(statement)]

    def run(self, *statements: str) -> None:
        self.changed(*statements)

    def changed(self, *statements: str) -> list[int]:
        row_counts = []
        for statement in statements:
            done = self._connection.exec_driver_sql(exact(self._connection, statement))
            row_counts.append(done.rowcount)
        return row_counts


class SqliteReports:
    """Report engine of SQLite (`refresher.ReportEngine`).

    Several refreshes at once would wait for each other, and consumers for them.
    """

    at_once = 1

    def __init__(self, warehouse: SqliteWarehouse) -> None:
        self.dialect = SqliteDialect(warehouse.tables)
        self._warehouse = warehouse

    @contextmanager
    def reading(self) -> Iterator[SqliteSession]:
        with self._warehouse.reading("reports") as connection:
            yield SqliteSession(connection, self._warehouse)

    def outputs(self, report: Report) -> list[Output]:
        """Return the types that the SELECT shows: SQLite's columns have none of their own."""
        query = self.dialect.to_sql(at_time(report.query, ANY_MOMENT))
        with self._warehouse.reading(f"report {report.name}") as connection:
            session = SqliteSession(connection, self._warehouse)
            try:
                # WHERE 0 compiles the SELECT, with all names resolved, and reads nothing.
                session.rows(f"SELECT * FROM ({query}) WHERE 0")
            except DBAPIError as error:  # INV-7: no row was read, so the message has no field values
                raise ConfigurationError(f"report {report.name}: SQLite reports: {error.orig}") from None
        return [Output(output.alias_or_name, shown_type(output)) for output in report.query.selects]

    @contextmanager
    def holding(self, report: str, wait_seconds: float = 0) -> Iterator[SqliteSession]:  # noqa: ARG002
        """Hold a report by the warehouse's write lock, for which every writer waits its turn."""
        with self._warehouse.writing(f"report {report}") as connection:
            yield SqliteSession(connection, self._warehouse, f"report {report}")
