"""The SQLite engine: one file, so that a commit is atomic across all tables.

Write-ahead logging lets other processes read while one writes. Every writing transaction begins with BEGIN
IMMEDIATE, which replaces all locks of the port: the floors, revisions and ranks that it reads do not
change before it commits.
"""

import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event

from consumers.warehouse import letter_counts
from consumers.warehouse.clock import Clock, now, stamp
from consumers.warehouse.port import LetterCount, Revision, Row, TableStatus, refuse
from consumers.warehouse.sqlite import sql as sql
from consumers.warehouse.sqlite.ddl import SYSTEM, revisions_in
from consumers.warehouse.sqlite.errors import sqlite_errors
from consumers.warehouse.sqlite.rows import read_rows
from consumers.warehouse.sqlite.transaction import SqliteTransaction
from consumers.warehouse.sqlite.values import instant_of, instant_text
from consumers.warehouse.tables import StagingTable, StagingTables
from consumers.warehouse.urls import SQLITE_OPTIONS, backend_name, check_options, parse_url
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError

BUSY_SECONDS = 30.0
CACHE_KIB = 64 * 1024
CHECKPOINT_PAGES = 4_000
"""Pages in the log before a checkpoint, 16 MB.

With random keys that writes a fifth less than the default, 4 MB.
"""


def open_warehouse(
    url: str, entities: Iterable[Entity], *, clock: Clock = now, busy_seconds: float = BUSY_SECONDS
) -> "SqliteWarehouse":
    """Return the warehouse at `sqlite:///relative.db` or `sqlite:////absolute/path.db`.

    Does not open the file yet. A writer waits up to `busy_seconds` for another one, then raises
    TransientError. Raises ConfigurationError for a URL that does not name a SQLite file.
    """
    parsed = parse_url(url)
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ConfigurationError(f"no warehouse engine for {backend_name(parsed)}; there is: sqlite")
    check_options(parsed, SQLITE_OPTIONS)
    if parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("the warehouse is a file that several processes open: sqlite:///path")
    if not Path(parsed.database).absolute().parent.is_dir():
        raise ConfigurationError(f"the warehouse's folder does not exist: {Path(parsed.database).parent}")
    return SqliteWarehouse(_engine(url, busy_seconds), StagingTables(entities), clock)


def _engine(url: str, busy_seconds: float) -> Engine:
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin with an explicit BEGIN
        _log_ahead(connection, time.monotonic() + busy_seconds)
        connection.execute("PRAGMA synchronous = FULL")  # a commit is durable (INV-1)
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    # hide_parameters keeps field values out of the texts of errors (INV-7).
    engine = create_engine(url, hide_parameters=True, max_overflow=-1, connect_args={"timeout": busy_seconds})
    event.listen(engine, "do_connect", _make_private)
    event.listen(engine, "connect", set_up)
    return engine


def _make_private(_dialect: object, _record: object, arguments: Sequence[str], _named: object) -> None:
    """Create a missing database file with access for its owner alone."""
    # SQLite creates its log and shared-memory files with the mode of the database file.
    path = arguments[0]
    if not path.startswith((":", "file:")):
        with suppress(OSError):  # it exists, or SQLite reports what is wrong with the path
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _log_ahead(connection: sqlite3.Connection, deadline: float) -> None:
    """Switch the file to write-ahead logging, permanently."""
    # If several processes open a new file at once, SQLite fails at once here, although it waits for other
    # locks.
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _missing_system_tables(connection: Connection) -> list[str]:
    names = {table.name for table in SYSTEM}
    existing = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
    return [f"the table {name} is missing" for name in sorted(names.difference(existing))]


class SqliteWarehouse:
    """`port.Warehouse` in one SQLite file."""

    def __init__(self, engine: Engine, tables: StagingTables, clock: Clock) -> None:
        self.engine = engine
        self.tables = tables
        self._clock = clock

    def ensure(self) -> None:
        with self.writing("ensure") as connection:
            for statement in sql.SYSTEM_TABLES:
                connection.exec_driver_sql(statement)
            revisions = revisions_in(connection)
            for table in self.tables:
                revisions.ensure(table, stamp(self._clock))

    def init(self) -> None:
        self.ensure()

    def require(self) -> None:
        with self.reading("check the tables") as connection:
            refuse(_missing_system_tables(connection) or revisions_in(connection).lacks(self.tables))

    def problems(self) -> list[str]:
        with self.reading("check") as connection:
            missing = _missing_system_tables(connection)
            revisions = revisions_in(connection)
            # The revisions can be read only if the system tables exist.
            for table in [] if missing else self.tables:
                missing += revisions.problems(table)
        return missing

    @contextmanager
    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> Iterator[SqliteTransaction]:
        with self.writing("transaction") as connection:
            yield SqliteTransaction(connection, self.tables, shared, exclusive, stamp(self._clock))

    def create_revision(self, entity: str) -> int:
        with self.writing("create revision") as connection:
            return revisions_in(connection).create(self.tables[entity], "building", stamp(self._clock))

    def drop_revision(self, entity: str, revision: int) -> None:
        with self.writing("drop revision") as connection:
            revisions_in(connection).drop(self.tables[entity], revision)

    def publish_as_of(self, entity: str, revision: int, name: str) -> str:
        with self.writing("publish as of") as connection:
            return revisions_in(connection).publish_as_of(self.tables[entity], revision, name)

    def revisions(self, entity: str) -> list[Revision]:
        with self.reading("revisions") as connection:
            return revisions_in(connection).of(self.tables[entity])

    def rows(self, entity: str, revision: int) -> Iterator[Row]:
        with self.reading("rows") as connection:
            table = self.tables[entity]
            stored = revisions_in(connection).stored(table, revision)
            rows = read_rows(connection, stored, f"{sql.select_rows(stored, revision)} ORDER BY _key_hash")
            yield from stored.rows_onto(table, rows)

    def select(
        self, entity: str, limit: int | None = None, as_of: str | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        table = self.tables[entity]
        order = ", ".join(map(sql.quoted, table.entity.key))
        with self.reading(f"select {entity}") as connection:
            view = table.view if as_of is None else revisions_in(connection).as_of_view(table, as_of)
            statement = f"SELECT * FROM {sql.quoted(view)}" + (f" ORDER BY {order}" if order else "")
            result = connection.exec_driver_sql(f"{statement} LIMIT ?", (-1 if limit is None else limit,))
            return list(result.keys()), [tuple(row) for row in result]

    def status(self) -> list[TableStatus]:
        with self.reading("status") as connection:
            return [self._status(connection, table) for table in self.tables]

    def save_letter_counts(self, counts: Sequence[LetterCount]) -> None:
        with self.writing("save letter counts") as connection:
            letter_counts.save(connection, SYSTEM.dead_letters, counts, instant_text, stamp(self._clock))

    def letter_counts(self) -> list[LetterCount]:
        with self.reading("letter counts") as connection:
            return letter_counts.load(connection, SYSTEM.dead_letters, instant_of)

    def close(self) -> None:
        self.engine.dispose()

    def instant(self) -> str:
        """Return the current time as text."""
        return stamp(self._clock)

    def _status(self, connection: Connection, table: StagingTable) -> TableStatus:
        live = revisions_in(connection).live(table)
        count, deleted, newest = connection.exec_driver_sql(
            "SELECT COUNT(*), COALESCE(SUM(_deleted), 0), MAX(_occurred_at) "
            f"FROM {sql.quoted(table.physical(live.number))}"
        ).one()
        newest = None if newest is None else instant_of(newest)
        return TableStatus(
            entity=table.entity.name,
            revision=live.number,
            schema_version=live.schema_version,
            live=count - deleted,
            tombstones=deleted,
            newest=newest,
        )

    @contextmanager
    def writing(self, doing: str) -> Iterator[Connection]:
        """Open a transaction that excludes other writers. Raises errors of Headwater in place of SQLite's."""
        with sqlite_errors(doing), self.engine.connect() as connection:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.commit()
            except BaseException:
                # Closing the connection is sure to roll back; after a failed COMMIT SQLAlchemy would not.
                connection.invalidate()
                raise

    @contextmanager
    def reading(self, doing: str) -> Iterator[Connection]:
        """Open a read transaction, which sees one snapshot.

        Raises errors of Headwater in place of SQLite's.
        """
        # BEGIN is deferred: it takes no write lock, and the first read fixes the snapshot.
        with sqlite_errors(doing), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection
