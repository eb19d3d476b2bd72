"""The SQL Server engine: pymssql through SQLAlchemy.

Connections are in autocommit mode, and transactions are written in T-SQL, so that BEGIN, the locks and the
first reads under them take one round trip. The database should have READ_COMMITTED_SNAPSHOT on: each
statement of a reader then sees one committed state, and never waits for a writer (INV-8).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import SQLAlchemyError

from consumers.warehouse import letter_counts
from consumers.warehouse.clock import Clock, now, stamp
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.ddl import (
    SYSTEM,
    make_system_tables,
    missing_system_tables,
    revisions_in,
    run,
)
from consumers.warehouse.mssql.errors import FOREIGN, RowRefused, mssql_errors
from consumers.warehouse.mssql.login import Arguments, RotatedLogin, connect_alone
from consumers.warehouse.mssql.rows import read_rows
from consumers.warehouse.mssql.setup import UNSEEN, database_problems, make_roles, make_snapshot_readers
from consumers.warehouse.mssql.transaction import MssqlTransaction
from consumers.warehouse.mssql.values import instant_of, instant_text
from consumers.warehouse.port import LetterCount, Revision, Row, TableStatus, refuse
from consumers.warehouse.retry import retry_lost_transaction
from consumers.warehouse.tables import StagingTable, StagingTables
from consumers.warehouse.urls import MSSQL_OPTIONS, check_options, malformed, parse_url
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError

LOGIN_SECONDS = 15
PORT = 1433
ANSWER_SECONDS = 300
"""Longer than the lock timeout, so that only a dead server exceeds it."""


def open_warehouse(
    url: str,
    entities: Iterable[Entity],
    *,
    clock: Clock = now,
    read_again: Callable[[], str] | None = None,
) -> "MssqlWarehouse":
    """Return the warehouse at `mssql+pymssql://user:password@host:1433/database`, without connecting yet.

    Encryption is required unless the URL has `?encryption=off` (docs/sql-server.md). `read_again` returns
    the URL as it is now, for a login that is rotated. Raises ConfigurationError, which shows no part of the
    URL, for another driver or a missing host or database.
    """
    engine = _engine(_checked(url))
    connect = connect_alone
    if read_again:
        connect = RotatedLogin(lambda dialect: _all_arguments(dialect, _checked(read_again()))).connect
    event.listen(engine, "do_connect", connect)
    return MssqlWarehouse(engine, StagingTables(entities, prefix="staging."), clock, server_of(url))


def _checked(url: str) -> URL:
    parsed = parse_url(url)
    if parsed.drivername != "mssql+pymssql" or not (parsed.host and parsed.database):
        raise malformed()
    check_options(parsed, MSSQL_OPTIONS)
    return parsed


def connect_arguments(url: URL) -> dict[str, object]:
    """Return the arguments of pymssql.connect; options in the URL take precedence."""
    defaults: dict[str, object] = {
        "encryption": "require",
        "login_timeout": LOGIN_SECONDS,
        "timeout": ANSWER_SECONDS,
        "appname": "headwater",
        "autocommit": True,
    }
    return {name: value for name, value in defaults.items() if name not in url.query}


def _all_arguments(dialect: Dialect, url: URL) -> Arguments:
    """Return the arguments of pymssql.connect as SQLAlchemy derives them from the URL, and ours."""
    _, arguments = dialect.create_connect_args(url.difference_update_query(["plugin"]))
    return {**arguments, **connect_arguments(url)}


def _engine(url: URL) -> Engine:
    # hide_parameters keeps field values out of the texts of errors (INV-7).
    return create_engine(
        url,
        hide_parameters=True,
        max_overflow=-1,
        isolation_level="AUTOCOMMIT",
        connect_args=connect_arguments(url),
    )


class MssqlWarehouse:
    """`port.Warehouse` in one database of SQL Server."""

    def __init__(self, engine: Engine, tables: StagingTables, clock: Clock, server: str = "") -> None:
        """Use an engine. `server` is host and port, for errors of the connection."""
        self.engine = engine
        self.tables = tables
        self._clock = clock
        self._server = server

    def ensure(self) -> None:
        # Checks before it locks: a writer without the right to create tables succeeds if nothing is missing.
        with self.reading("ensure") as connection:
            if not missing_system_tables(connection) and not revisions_in(connection).lacks(self.tables):
                return
        # The lock "" is that of the system tables.
        names = [table.entity.name for table in self.tables]
        with self.writing("ensure") as connection:
            run(connection, sql.begin((), ["", *names]))
            make_system_tables(connection)
            for table in self.tables:
                revisions_in(connection).ensure(table, stamp(self._clock))
            run(connection, sql.COMMIT)

    def require(self) -> None:
        with self.reading("check the tables") as connection:
            missing = [
                f"the table headwater.{name} is {UNSEEN}" for name in missing_system_tables(connection)
            ]
            refuse(missing or revisions_in(connection).lacks(self.tables, UNSEEN))

    def init(self) -> None:
        retry_lost_transaction(self._init)  # idempotent, and holds no transaction between its steps

    def _init(self) -> None:
        with self.reading("init") as connection:
            make_snapshot_readers(connection)
        self.ensure()
        with self.writing("init") as connection:
            run(connection, sql.begin((), [""]))
            make_roles(connection)
            run(connection, sql.COMMIT)

    def problems(self) -> list[str]:
        with self.reading("check") as connection:
            return database_problems(connection, self.tables, missing_system_tables(connection))

    @contextmanager
    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> Iterator[MssqlTransaction]:
        with self.writing("transaction") as connection:
            transaction = MssqlTransaction(connection, self.tables, shared, exclusive, self.instant())
            yield transaction
            transaction.commit()

    def create_revision(self, entity: str) -> int:
        with self._defining("create revision", entity) as connection:
            return revisions_in(connection).create(self.tables[entity], "building", stamp(self._clock))

    def drop_revision(self, entity: str, revision: int) -> None:
        with self._defining("drop revision", entity) as connection:
            revisions_in(connection).drop(self.tables[entity], revision)

    def publish_as_of(self, entity: str, revision: int, name: str) -> str:
        with self._defining("publish as of", entity) as connection:
            return revisions_in(connection).publish_as_of(self.tables[entity], revision, name)

    def revisions(self, entity: str) -> list[Revision]:
        with self.reading("revisions") as connection:
            return revisions_in(connection).of(self.tables[entity])

    def rows(self, entity: str, revision: int) -> Iterator[Row]:
        with self.reading("rows") as connection:
            table = self.tables[entity]
            stored = revisions_in(connection).stored(table, revision)
            result = run(connection, f"{sql.select_rows(stored, revision)} ORDER BY t.[_key_hash]")
            yield from stored.rows_onto(table, read_rows(stored, result))

    def select(
        self, entity: str, limit: int | None = None, as_of: str | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        table = self.tables[entity]
        order = f" ORDER BY {sql.listed(table.entity.key)}" if table.entity.key else ""
        top = "" if limit is None else f"TOP ({limit}) "
        with self.reading(f"select {entity}") as connection:
            view = table.view if as_of is None else revisions_in(connection).as_of_view(table, as_of)
            result = run(connection, f"SELECT {top}* FROM {sql.quoted(view)}{order}")
            return list(result.keys()), [tuple(row) for row in result]

    def status(self) -> list[TableStatus]:
        with self.reading("status") as connection:
            return [self._status(connection, table) for table in self.tables]

    def save_letter_counts(self, counts: Sequence[LetterCount]) -> None:
        with self.writing("save letter counts") as connection:
            run(connection, sql.begin((), [""]))
            letter_counts.save(connection, SYSTEM.dead_letters, counts, instant_text, self.instant())
            run(connection, sql.COMMIT)

    def letter_counts(self) -> list[LetterCount]:
        with self.reading("letter counts") as connection:
            return letter_counts.load(connection, SYSTEM.dead_letters, instant_of)

    def close(self) -> None:
        self.engine.dispose()

    def _status(self, connection: Connection, table: StagingTable) -> TableStatus:
        live = revisions_in(connection).live(table)
        count, deleted, newest = run(connection, sql.count(table, live.number)).one()
        newest = None if newest is None else instant_of(newest)
        return TableStatus(
            entity=table.entity.name,
            revision=live.number,
            schema_version=live.schema_version,
            live=count - deleted,
            tombstones=deleted,
            newest=newest,
        )

    def instant(self) -> str:
        """Return the current time as text for DATETIME2(6)."""
        return self._clock().astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")

    @contextmanager
    def _defining(self, doing: str, entity: str) -> Iterator[Connection]:
        """Open a transaction with the exclusive lock of an entity, for DDL."""
        # No writer sees a partly created table.
        self.tables[entity]  # raises for an unknown entity
        with self.writing(doing) as connection:
            run(connection, sql.begin((), [entity]))
            yield connection
            run(connection, sql.COMMIT)

    @contextmanager
    def writing(self, doing: str) -> Iterator[Connection]:
        """Open a connection for explicit transactions; roll back an open one on an exception.

        Raises errors of Headwater in place of those of SQL Server.
        """
        try:
            with mssql_errors(doing, self._server), self.engine.connect() as connection:
                try:
                    yield connection
                except BaseException:
                    undo(connection)
                    raise
        except RowRefused as refusal:
            # Not a row of a batch, whose refusals the transaction handles: the row of a system table.
            raise ConfigurationError(str(refusal)) from None

    @contextmanager
    def reading(self, doing: str) -> Iterator[Connection]:
        """Open a connection for reading. Raises errors of Headwater in place of those of SQL Server."""
        with mssql_errors(doing, self._server), self.engine.connect() as connection:
            yield connection


def undo(connection: Connection, statement: str = sql.ROLLBACK) -> None:
    """Run ROLLBACK, or another such statement, before the connection returns to the pool. Raises nothing."""
    # The connection may be dead, and the caller's own error is the one to report. If the statement fails,
    # closing the connection makes the server roll back.
    if connection.invalidated:
        return
    try:
        run(connection, statement)
    except (SQLAlchemyError, *FOREIGN):
        connection.invalidate()


def server_of(url: str) -> str:
    """Return host and port for use in errors; empty for an ambiguous URL (INV-7)."""
    try:
        parsed = parse_url(url)
    except ConfigurationError:
        return ""
    return f"{parsed.host}:{parsed.port or PORT}"
