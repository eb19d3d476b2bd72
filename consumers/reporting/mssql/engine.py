"""The engine of reports in SQL Server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from consumers.reporting.definition.outputs import Output, of_result, of_table
from consumers.reporting.definition.report import Report
from consumers.reporting.mssql.dialect import MssqlDialect
from consumers.reporting.refresh.refresher import held_error
from consumers.reporting.refresh.session import EngineSession
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.ddl import SYSTEM, revisions_in, run
from consumers.warehouse.mssql.errors import RowRefused, map_error, mssql_errors, number_of, words_of
from consumers.warehouse.mssql.warehouse import MssqlWarehouse, undo
from schemas.errors import ConfigurationError


class MssqlSession(EngineSession):
    """Session of a refresh (`refresh.Session`)."""

    def __init__(self, connection: Connection, warehouse: MssqlWarehouse) -> None:
        revisions = revisions_in(connection)
        super().__init__(connection, SYSTEM, revisions, warehouse.tables, warehouse.instant())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in run(self._connection, statement)]

    def run(self, *statements: str) -> None:
        if statements:
            run(self._connection, "; ".join(statements))

    def changed(self, *statements: str) -> list[int]:
        # One round trip for all statements: @@ROWCOUNT is that of the latest one.
        counts = [f"@changed{index}" for index in range(len(statements))]
        counted = zip(statements, counts, strict=True)
        batch = "; ".join(f"{statement}; SET {count} = @@ROWCOUNT" for statement, count in counted)
        declared = ", ".join(f"{count} BIGINT" for count in counts)
        return list(self.rows(f"DECLARE {declared}; {batch}; SELECT {', '.join(counts)}")[0])


class MssqlHolder:
    """Holder of a report (`refresher.Holder`), whose lock belongs to the connection and ends with it."""

    def __init__(self, report: str, connection: Connection, warehouse: MssqlWarehouse) -> None:
        self._report = report
        self._connection = connection
        self._warehouse = warehouse

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[MssqlSession]:
        with _errors(self._report):
            begin = sql.BEGIN_SNAPSHOT if snapshot else sql.begin((), [""])
            # Revisions are created outside of a snapshot, which allows no CREATE INDEX.
            run(self._connection, begin)
            try:
                yield MssqlSession(self._connection, self._warehouse)
                run(self._connection, sql.COMMIT)
            except Exception:  # after a BaseException the caller closes the connection
                undo(self._connection, f"{sql.ROLLBACK}; {sql.READ_COMMITTED}")
                raise
            run(self._connection, sql.READ_COMMITTED)


@contextmanager
def _errors(report: str) -> Iterator[None]:
    """Map errors to ours once the transaction ended: what the server refuses here is the report's query."""
    try:
        yield
    except DBAPIError:
        try:
            with mssql_errors(f"report {report}"):
                raise
        except RowRefused as refusal:
            raise ConfigurationError(f"report {report}: {refusal}") from None
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error}. The server's message: `headwater reports check {report} --warehouse`"
            ) from None


class MssqlReports:
    """Report engine of SQL Server (`refresher.ReportEngine`)."""

    at_once = 4

    def __init__(self, warehouse: MssqlWarehouse) -> None:
        self.dialect = MssqlDialect(warehouse.tables)
        self._warehouse = warehouse

    @contextmanager
    def reading(self) -> Iterator[MssqlSession]:
        with self._warehouse.reading("reports") as connection:
            yield MssqlSession(connection, self._warehouse)

    def outputs(self, report: Report) -> list[Output]:
        with self._warehouse.reading(f"report {report.name}") as connection:
            try:
                described = run(connection, self.dialect.describe(report)).all()
            except DBAPIError as error:
                # Only errors of the SELECT are the user's; a lost connection is raised as it is.
                kind, _ = map_error(*number_of(error.orig))
                if issubclass(kind, ConfigurationError) and (message := words_of(error.orig)):
                    raise ConfigurationError(f"report {report.name}: the server reports: {message}") from None
                raise
            return of_result(described) or self._of_a_table(connection, report)

    def _of_a_table(self, connection: Connection, report: Report) -> list[Output]:
        """Return the columns of a table that is created and rolled back.

        Babelfish describes no SELECT that begins with WITH.
        """
        run(connection, sql.begin((), []))
        try:
            for statement in self.dialect.create_report(report, 0):
                run(connection, statement)
            return of_table(tuple(row) for row in run(connection, self.dialect.columns_query(report, 0)))
        finally:
            undo(connection)

    @contextmanager
    def holding(self, report: str, wait_seconds: float = 0) -> Iterator[MssqlHolder]:
        with self._warehouse.writing(f"report {report}") as connection:
            try:
                if run(connection, sql.hold_report(report, wait_seconds)).scalar_one() < 0:
                    raise held_error(report, wait_seconds)
                yield MssqlHolder(report, connection, self._warehouse)
                run(connection, sql.release_report(report))
            except BaseException:
                connection.invalidate()  # a session lock outlives transactions, but not the connection
                raise
