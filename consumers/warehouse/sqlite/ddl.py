"""Creation and change of tables, views and indexes in SQLite."""

from itertools import groupby, takewhile
from operator import itemgetter

from sqlalchemy import Connection

from consumers.warehouse.columns import converted
from consumers.warehouse.history import HistoryTable
from consumers.warehouse.indexes import IndexColumns, Indexes, index_name
from consumers.warehouse.revisions import Revisions
from consumers.warehouse.sqlite import sql as sql
from consumers.warehouse.sqlite.history import create_history, create_view
from consumers.warehouse.sqlite.values import storage_of
from consumers.warehouse.system import PENDING, system_tables
from consumers.warehouse.tables import StagingTable

SYSTEM = system_tables(prefix="headwater_")
# Columns of all indexes that are not partial. `key = 1` leaves out the rowid that SQLite appends to each
# index.
_INDEXES = """SELECT i.name, c.name, c.coll FROM pragma_index_list(?) AS i, pragma_index_xinfo(i.name) AS c
WHERE i.partial = 0 AND c.key = 1 ORDER BY i.name, c.seqno"""


def revisions_in(connection: Connection) -> Revisions:
    """Return the revisions of a SQLite warehouse, in the transaction of this connection."""
    return Revisions(connection, SYSTEM, SqliteDdl(connection))


def _collation(table: StagingTable, column: str) -> str:
    """Return the collation with which reports compare a column."""
    # Reports are T-SQL, which ignores trailing blanks. SQLite uses an index only if its collation matches.
    return "RTRIM" if column in table.texts or column == "_source" else "BINARY"


class SqliteDdl:
    """`revisions.Ddl` for SQLite, whose DDL is transactional."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create_table(self, table: StagingTable, number: int) -> None:
        self._connection.exec_driver_sql(sql.create_table(table, number))

    def widen(self, old: StagingTable, new: StagingTable, number: int) -> None:
        # Only columns are added: a SQLite column accepts values of a wider type as it is. The triggers of
        # reports would append every row that is filled; the refresh rebuilds these reports, with new
        # triggers.
        self._drop_triggers(old.physical(number))
        for field in new.added_since(old):
            self._connection.exec_driver_sql(sql.add_column(new, field, number))
            default = converted([field.default_or_none], storage_of(field).write)
            self._connection.exec_driver_sql(sql.fill_column(new, field, number), tuple(default))

    def indexes(self, table: StagingTable, number: int) -> Indexes:
        columns_by_name: dict[str, IndexColumns] = {}
        listed = self._connection.exec_driver_sql(_INDEXES, (table.physical(number),))
        for name, columns in groupby(listed, key=itemgetter(0)):
            # Reports can use the leading columns with the right collation. An expression has no column name.
            usable = takewhile(lambda entry: entry[1] and entry[2] == _collation(table, entry[1]), columns)
            columns_by_name[name] = tuple(column for _, column, _ in usable)
        return {name: columns for name, columns in columns_by_name.items() if columns}

    def create_index(self, table: StagingTable, number: int, columns: IndexColumns) -> None:
        physical = table.physical(number)
        listed = ", ".join(f"{sql.quoted(column)} COLLATE {_collation(table, column)}" for column in columns)
        name = sql.quoted(f"{physical}__{index_name(columns)}")
        # An older version created it without the collation, and such an index is not listed by `indexes`.
        self._connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
        self._connection.exec_driver_sql(f"CREATE INDEX {name} ON {sql.quoted(physical)} ({listed})")

    def create_history(self, table: HistoryTable, number: int) -> None:
        for statement in create_history(table, number):
            self._connection.exec_driver_sql(statement)

    def has_history(self, table: HistoryTable, number: int) -> bool:
        return self._definition("table", table.physical(number)) is not None

    def shows_history(self, table: HistoryTable, number: int | None) -> bool:
        definition = None if number is None else create_view(table, number)
        return self._definition("view", table.view) == definition

    def show_history(self, table: HistoryTable, number: int | None) -> None:
        self._connection.exec_driver_sql(f"DROP VIEW IF EXISTS {sql.quoted(table.view)}")
        if number is not None:
            self._connection.exec_driver_sql(create_view(table, number))

    def _drop_triggers(self, name: str) -> None:
        """Drop the triggers of reports on a table."""
        triggers = self._connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (name,)
        )
        for (trigger,) in triggers.all():
            if trigger.startswith(f"headwater_{PENDING}"):
                self._connection.exec_driver_sql(f"DROP TRIGGER {sql.quoted(trigger)}")

    def drop_table(self, table: StagingTable, number: int) -> None:
        self._connection.exec_driver_sql(f"DROP TABLE {sql.quoted(table.physical(number))}")

    def shows(self, table: StagingTable, view: str, number: int) -> bool:
        return self._definition("view", view) == sql.create_view(table, view, number)

    def show(self, table: StagingTable, view: str, number: int) -> None:
        self._connection.exec_driver_sql(f"DROP VIEW IF EXISTS {sql.quoted(view)}")
        self._connection.exec_driver_sql(sql.create_view(table, view, number))

    def drop_view(self, view: str) -> None:
        self._connection.exec_driver_sql(f"DROP VIEW {sql.quoted(view)}")

    def _definition(self, kind: str, name: str) -> str | None:
        """Return the CREATE statement of an object, which SQLite stores unchanged; None if it is missing."""
        statement: str | None = self._connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = ? AND name = ?", (kind, name)
        ).scalar_one_or_none()
        return statement
