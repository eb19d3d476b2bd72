"""Tables and views in SQLite."""

from sqlalchemy import Connection

from consumers.warehouse import sqlite_sql as sql
from consumers.warehouse.columns import converted
from consumers.warehouse.revisions import Revisions
from consumers.warehouse.sqlite_values import storage_of
from consumers.warehouse.system import system_tables
from consumers.warehouse.tables import StagingTable

SYSTEM = system_tables(prefix="headwater_")


def revisions_in(connection: Connection) -> Revisions:
    """The revisions of a SQLite warehouse, in the transaction of this connection."""
    return Revisions(connection, SYSTEM, SqliteDdl(connection))


class SqliteDdl:
    """`revisions.Ddl`; SQLite's DDL is part of the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create_table(self, table: StagingTable, number: int) -> None:
        self._connection.exec_driver_sql(sql.create_table(table, number))

    def widen(self, old: StagingTable, new: StagingTable, number: int) -> None:
        """SQLite's columns have no types that a wider value does not fit."""
        for field in new.added_since(old):
            self._connection.exec_driver_sql(sql.add_column(new, field, number))
            default = converted([field.default_or_none], storage_of(field).write)
            self._connection.exec_driver_sql(sql.fill_column(new, field, number), tuple(default))

    def drop_table(self, table: StagingTable, number: int) -> None:
        self._connection.exec_driver_sql(f"DROP TABLE {sql.quoted(table.physical(number))}")

    def shows(self, table: StagingTable, view: str, number: int) -> bool:
        there = self._connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?", (view,)
        ).scalar_one_or_none()
        return bool(there == sql.create_view(table, view, number))

    def show(self, table: StagingTable, view: str, number: int) -> None:
        self._connection.exec_driver_sql(f"DROP VIEW IF EXISTS {sql.quoted(view)}")
        self._connection.exec_driver_sql(sql.create_view(table, view, number))

    def drop_view(self, view: str) -> None:
        self._connection.exec_driver_sql(f"DROP VIEW {sql.quoted(view)}")
