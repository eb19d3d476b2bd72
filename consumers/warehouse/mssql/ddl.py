"""Creation and change of tables, views and indexes in SQL Server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import Connection, CursorResult

from consumers.warehouse.history import HistoryTable
from consumers.warehouse.indexes import IndexColumns, Indexes, report_indexes
from consumers.warehouse.mssql import history as history
from consumers.warehouse.mssql import indexes as indexes
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.load import literal_of
from consumers.warehouse.revisions import Revisions
from consumers.warehouse.system import PENDING, system_tables
from consumers.warehouse.tables import StagingTable

Result: TypeAlias = "CursorResult[*tuple[Any, ...]]"

SCHEMAS = ("headwater", "staging", "reporting", "history")
SYSTEM = system_tables(schema="headwater")


def run(connection: Connection, statement: str) -> Result:
    """Run a statement without parameters."""
    # Without this option pymssql would take a % in a literal for a placeholder.
    return connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def revisions_in(connection: Connection) -> Revisions:
    """Return the revisions of a SQL Server warehouse, in the transaction of this connection."""
    return Revisions(connection, SYSTEM, MssqlDdl(connection))


def missing_system_tables(connection: Connection) -> list[str]:
    """Return the tables of the schema `headwater` that are missing or invisible to this user."""
    names = list(sql.SYSTEM_TABLES)
    # OBJECT_ID is NULL also for an object on which the user has no permission.
    columns = ", ".join(f"OBJECT_ID(N'headwater.{name}', N'U')" for name in names)
    ids = connection.exec_driver_sql(f"SELECT {columns}").one()
    return [name for name, object_id in zip(names, ids, strict=True) if object_id is None]


def make_system_tables(connection: Connection) -> None:
    """Create the schemas and system tables that do not exist yet."""
    for schema in SCHEMAS:
        # CREATE SCHEMA must be the only statement of its batch: hence EXEC.
        run(connection, f"IF SCHEMA_ID(N'{schema}') IS NULL EXEC(N'CREATE SCHEMA [{schema}]')")
    for name in missing_system_tables(connection):
        run(connection, sql.SYSTEM_TABLES[name])
        if name == "dead_letters":
            _show(connection, sql.LETTER_VIEW, sql.CREATE_LETTER_VIEW)


def _show(connection: Connection, view: str, definition: str) -> None:
    """Create or replace a view or function, grant it to readers, and record its definition."""
    run(connection, definition)
    run(connection, sql.grant_view(view))
    connection.exec_driver_sql("DELETE FROM [headwater].[views] WHERE name = %s", (view,))
    connection.exec_driver_sql(
        "INSERT INTO [headwater].[views] (name, definition) VALUES (%s, %s)", (view, definition)
    )


class MssqlDdl:
    """`revisions.Ddl` for SQL Server, whose DDL is transactional."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create_table(self, table: StagingTable, number: int) -> None:
        run(self._connection, sql.create_table(table, number))

    def widen(self, old: StagingTable, new: StagingTable, number: int) -> None:
        # First, so that filling a column appends no pending rows.
        self._drop_triggers(old.physical(number))
        for field in new.added_since(old):
            run(self._connection, sql.add_column(new, field.name, number))
            if field.default_or_none is not None:
                run(self._connection, sql.fill_column(new, field.name, number, literal_of(field)))
        before, now = sql.types_of(old), sql.types_of(new)
        # ALTER COLUMN fails on a column that an index uses.
        altered = [name for name in old.business_columns if before[name] != now.get(name, before[name])]
        with self._without_index(old, new, number, altered), self._without_lookups(new, number, altered):
            for name in altered:
                run(self._connection, sql.alter_column(new, name, number))

    def _drop_triggers(self, name: str) -> None:
        """Drop the triggers of reports."""
        # Their pending tables have the old types and would reject a wider value, and with it the writer's
        # row. The refresh notices the changed schema and rebuilds the report with new triggers.
        triggers = self._connection.exec_driver_sql(
            "SELECT name FROM sys.triggers WHERE parent_id = OBJECT_ID(%s)", (name,)
        )
        schema = name.partition(".")[0]
        for (trigger,) in triggers.all():
            if trigger.startswith(PENDING):
                run(self._connection, f"DROP TRIGGER {sql.quoted(f'{schema}.{trigger}')}")

    @contextmanager
    def _without_index(
        self, old: StagingTable, new: StagingTable, number: int, altered: list[str]
    ) -> Iterator[None]:
        """Drop the key index of a history for the duration of the block, if its columns change."""
        if not (isinstance(old, HistoryTable) and isinstance(new, HistoryTable)):
            yield
            return
        old_columns, new_columns = history.indexed(old), history.indexed(new)
        # A wider column may no longer fit into the index, so the columns may differ although the key does
        # not.
        changes = not set(altered).isdisjoint(old_columns) or old_columns != new_columns
        if changes and old_columns:
            run(self._connection, history.drop_index(old, number))
        yield
        if changes and new_columns:
            run(self._connection, history.create_index(new, number))

    @contextmanager
    def _without_lookups(self, table: StagingTable, number: int, altered: list[str]) -> Iterator[None]:
        """Drop the report indexes on altered columns for the duration of the block."""
        affected = [
            columns
            for columns in report_indexes(self.indexes(table, number))
            if not set(altered).isdisjoint(columns)
        ]
        for columns in affected:
            run(self._connection, indexes.drop_index(table, number, columns))
        yield
        for columns in affected:
            self.create_index(table, number, columns)

    def indexes(self, table: StagingTable, number: int) -> Indexes:
        return indexes.indexes(self._connection, table, number)

    def create_index(self, table: StagingTable, number: int, columns: IndexColumns) -> None:
        if columns := indexes.indexable(table, columns):
            run(self._connection, indexes.create_index(table, number, columns))

    def create_history(self, table: HistoryTable, number: int) -> None:
        for statement in history.create_history(table, number):
            run(self._connection, statement)

    def has_history(self, table: HistoryTable, number: int) -> bool:
        return self._is_there(table.physical(number), "U")

    def shows_history(self, table: HistoryTable, number: int | None) -> bool:
        if number is None:
            return not (self._is_there(table.view, "V") or self._is_there(table.at, "IF"))
        return self._remembers(table.view, "V", history.create_view(table, number)) and self._remembers(
            table.at, "IF", history.create_function(table, number)
        )

    def show_history(self, table: HistoryTable, number: int | None) -> None:
        if number is not None:
            _show(self._connection, table.view, history.create_view(table, number))
            _show(self._connection, table.at, history.create_function(table, number))
            return
        for kind, name in (("FUNCTION", table.at), ("VIEW", table.view)):
            run(self._connection, f"DROP {kind} IF EXISTS {sql.quoted(name)}")
            self._forget(name)

    def drop_table(self, table: StagingTable, number: int) -> None:
        run(self._connection, f"DROP TABLE {sql.quoted(table.physical(number))}")

    def shows(self, table: StagingTable, view: str, number: int) -> bool:
        return self._remembers(view, "V", sql.create_view(table, view, number))

    def show(self, table: StagingTable, view: str, number: int) -> None:
        _show(self._connection, view, sql.create_view(table, view, number))

    def drop_view(self, view: str) -> None:
        run(self._connection, f"DROP VIEW {sql.quoted(view)}")
        self._forget(view)

    def _forget(self, view: str) -> None:
        self._connection.exec_driver_sql("DELETE FROM [headwater].[views] WHERE name = %s", (view,))

    def _remembers(self, name: str, kind: str, definition: str) -> bool:
        """Return whether the object exists and was created from this definition."""
        recorded = self._connection.exec_driver_sql(
            f"SELECT definition FROM [headwater].[views] WHERE name = %s "
            f"AND OBJECT_ID(%s, N'{kind}') IS NOT NULL",
            (name, name),
        ).scalar_one_or_none()
        return bool(recorded == definition)

    def _is_there(self, name: str, kind: str) -> bool:
        object_id = self._connection.exec_driver_sql(f"SELECT OBJECT_ID(%s, N'{kind}')", (name,))
        return object_id.scalar_one() is not None
