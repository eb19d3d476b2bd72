"""Tables and views in SQL Server."""

from typing import Any, TypeAlias

from sqlalchemy import Connection, CursorResult

from consumers.warehouse import mssql_sql as sql
from consumers.warehouse.mssql_load import literal_of
from consumers.warehouse.revisions import Revisions
from consumers.warehouse.system import system_tables
from consumers.warehouse.tables import StagingTable

Result: TypeAlias = "CursorResult[*tuple[Any, ...]]"

SCHEMAS = ("headwater", "staging", "reporting")
SYSTEM = system_tables(schema="headwater")


def run(connection: Connection, statement: str) -> Result:
    """A statement without parameters: a % in it is a %."""
    return connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def revisions_in(connection: Connection) -> Revisions:
    """The revisions of a SQL Server warehouse, in the transaction of this connection."""
    return Revisions(connection, SYSTEM, MssqlDdl(connection))


def missing_system_tables(connection: Connection) -> list[str]:
    """Which tables of the schema `headwater` are not there, or not to be seen by this user."""
    names = list(sql.SYSTEM_TABLES)
    asked = ", ".join(f"OBJECT_ID(N'headwater.{name}', N'U')" for name in names)
    found = connection.exec_driver_sql(f"SELECT {asked}").one()
    return [name for name, there in zip(names, found, strict=True) if there is None]


def make_system_tables(connection: Connection) -> None:
    """Schemas and tables that are not there yet."""
    for schema in SCHEMAS:
        run(connection, f"IF SCHEMA_ID(N'{schema}') IS NULL EXEC(N'CREATE SCHEMA [{schema}]')")
    for name in missing_system_tables(connection):
        run(connection, sql.SYSTEM_TABLES[name])
        if name == "dead_letters":
            _show(connection, sql.LETTER_VIEW, sql.CREATE_LETTER_VIEW)


def _show(connection: Connection, view: str, definition: str) -> None:
    """A view, for readers, as it is remembered."""
    run(connection, definition)
    run(connection, sql.grant_view(view))
    connection.exec_driver_sql("DELETE FROM [headwater].[views] WHERE name = %s", (view,))
    connection.exec_driver_sql(
        "INSERT INTO [headwater].[views] (name, definition) VALUES (%s, %s)", (view, definition)
    )


class MssqlDdl:
    """`revisions.Ddl`; SQL Server's DDL is part of the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create_table(self, table: StagingTable, number: int) -> None:
        run(self._connection, sql.create_table(table, number))

    def widen(self, old: StagingTable, new: StagingTable, number: int) -> None:
        for field in new.added_since(old):
            run(self._connection, sql.add_column(new, field.name, number))
            if field.default_or_none is not None:
                run(self._connection, sql.fill_column(new, field.name, number, literal_of(field)))
        before, now = sql.types_of(old), sql.types_of(new)
        for name in old.business_columns:
            if before[name] != now.get(name, before[name]):
                run(self._connection, sql.alter_column(new, name, number))

    def drop_table(self, table: StagingTable, number: int) -> None:
        run(self._connection, f"DROP TABLE {sql.quoted(table.physical(number))}")

    def shows(self, table: StagingTable, view: str, number: int) -> bool:
        there = self._connection.exec_driver_sql(
            "SELECT definition FROM [headwater].[views] WHERE name = %s AND OBJECT_ID(%s, N'V') IS NOT NULL",
            (view, view),
        ).scalar_one_or_none()
        return bool(there == sql.create_view(table, view, number))

    def show(self, table: StagingTable, view: str, number: int) -> None:
        _show(self._connection, view, sql.create_view(table, view, number))

    def drop_view(self, view: str) -> None:
        run(self._connection, f"DROP VIEW {sql.quoted(view)}")
        self._connection.exec_driver_sql("DELETE FROM [headwater].[views] WHERE name = %s", (view,))
