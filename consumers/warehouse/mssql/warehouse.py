"""The SQL Server engine: pymssql through SQLAlchemy.

Connections are in autocommit, and transactions are said in T-SQL, so that opening one, its locks and what is
read under them are one round trip. The database is to be in READ_COMMITTED_SNAPSHOT: readers then see the
last committed state, each statement one moment of it, and never wait for a writer (INV-8).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL
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
from consumers.warehouse.mssql.rows import read_rows
from consumers.warehouse.mssql.setup import lacks, make_roles, make_snapshot_readers
from consumers.warehouse.mssql.transaction import MssqlTransaction
from consumers.warehouse.mssql.values import instant_of, instant_text
from consumers.warehouse.port import LetterCount, Revision, Row, TableStatus
from consumers.warehouse.retry import retry_lost_transaction
from consumers.warehouse.tables import StagingTable, StagingTables
from consumers.warehouse.urls import MSSQL_OPTIONS, check_options, malformed, parse_url
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError

LOGIN_SECONDS = 15
PORT = 1433
ANSWER_SECONDS = 300
"""Longer than a lock is waited for: a server that says nothing for so long is gone."""


def open_warehouse(url: str, entities: Iterable[Entity], *, clock: Clock = now) -> "MssqlWarehouse":
    """The warehouse at `mssql+pymssql://user:password@host:1433/database`.

    Opens nothing yet. Encryption is required unless the URL says `?encryption=off` (docs/sql-server.md).
    Raises ConfigurationError for another driver or a URL without a host or database; it shows no part of it.
    """
    parsed = parse_url(url)
    if parsed.drivername != "mssql+pymssql" or not (parsed.host and parsed.database):
        raise malformed()
    check_options(parsed, MSSQL_OPTIONS)
    return MssqlWarehouse(_engine(parsed), StagingTables(entities, prefix="staging."), clock, server_of(url))


def connect_arguments(url: URL) -> dict[str, object]:
    """What pymssql is told beside the URL; what the URL says goes before it."""
    wanted: dict[str, object] = {
        "encryption": "require",
        "login_timeout": LOGIN_SECONDS,
        "timeout": ANSWER_SECONDS,
        "appname": "headwater",
        "autocommit": True,
    }
    return {name: value for name, value in wanted.items() if name not in url.query}


def _engine(url: URL) -> Engine:
    # hide_parameters: an error's text never carries field values (INV-7).
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
        """`server`: what errors of a connection call it."""
        self.engine = engine
        self.tables = tables
        self._clock = clock
        self._server = server

    def ensure(self) -> None:
        """Looks first: a writer without the right to make tables passes where nothing is missing, and no
        lock is taken."""
        with self.reading("ensure") as connection:
            if not missing_system_tables(connection):
                revisions = revisions_in(connection)
                if not [table for table in self.tables if not revisions.is_ensured(table)]:
                    return
        names = [table.entity.name for table in self.tables]
        with self.writing("ensure") as connection:
            run(connection, sql.begin((), ["", *names]))
            make_system_tables(connection)
            for table in self.tables:
                revisions_in(connection).ensure(table, stamp(self._clock))
            run(connection, sql.COMMIT)

    def init(self) -> None:
        retry_lost_transaction(self._init)  # each step looks first: harmless to repeat

    def _init(self) -> None:
        with self.reading("init") as connection:
            make_snapshot_readers(connection)
        self.ensure()
        with self.writing("init") as connection:
            run(connection, sql.begin((), [""]))
            make_roles(connection)
            run(connection, sql.COMMIT)

    def lacks(self) -> list[str]:
        with self.reading("check") as connection:
            return lacks(connection, self.tables, missing_system_tables(connection))

    @contextmanager
    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> Iterator[MssqlTransaction]:
        with self.writing("transaction") as connection:
            made = MssqlTransaction(connection, self.tables, shared, exclusive, self.instant())
            yield made
            made.commit()

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
            return letter_counts.saved(connection, SYSTEM.dead_letters, instant_of)

    def close(self) -> None:
        self.engine.dispose()

    def _status(self, connection: Connection, table: StagingTable) -> TableStatus:
        live = revisions_in(connection).live(table)
        count, deleted, newest = run(connection, sql.count(table, live.number)).one()
        newest = None if newest is None else instant_of(newest)
        return TableStatus(
            table.entity.name, live.number, live.schema_version, count - deleted, deleted, newest
        )

    def instant(self) -> str:
        """Now, as DATETIME2(6) reads it."""
        return self._clock().astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")

    @contextmanager
    def _defining(self, doing: str, entity: str) -> Iterator[Connection]:
        """Exclusive: no writer meets a table half made."""
        self.tables[entity]  # refuses one that is not there
        with self.writing(doing) as connection:
            run(connection, sql.begin((), [entity]))
            yield connection
            run(connection, sql.COMMIT)

    @contextmanager
    def writing(self, doing: str) -> Iterator[Connection]:
        """A connection that says its own transactions; its errors are ours, and nothing is left open."""
        try:
            with mssql_errors(doing, self._server), self.engine.connect() as connection:
                try:
                    yield connection
                except BaseException:
                    undo(connection)
                    raise
        except RowRefused as refusal:  # not a row of a batch: those are caught where they are known
            raise ConfigurationError(str(refusal)) from None

    @contextmanager
    def reading(self, doing: str) -> Iterator[Connection]:
        """A connection; its errors are ours."""
        with mssql_errors(doing, self._server), self.engine.connect() as connection:
            yield connection


def undo(connection: Connection, statement: str = sql.ROLLBACK) -> None:
    """Leaves no transaction open in the pool, and raises nothing: the connection may be gone, and what made
    the caller give up is the error to report. A connection that can't take the statement is closed."""
    if connection.invalidated:
        return
    try:
        run(connection, statement)
    except (SQLAlchemyError, *FOREIGN):
        connection.invalidate()


def server_of(url: str) -> str:
    """Host and port as errors name them; empty for a URL that can be read in two ways (INV-7)."""
    try:
        parsed = parse_url(url)
    except ConfigurationError:
        return ""
    return f"{parsed.host}:{parsed.port or PORT}"
