"""Revisions of staging tables in SQLite: made, shown through a view, retired, dropped."""

from sqlalchemy import Connection

from consumers.warehouse import sqlite_sql as sql
from consumers.warehouse.port import LIVE_READER, Revision, revision_reader
from consumers.warehouse.tables import StagingTable
from schemas.errors import ConfigurationError, ConflictError

_DROPPED = "dropped"
"""The row of a dropped revision stays, so that its number is never used again."""


class Revisions:
    """The table `headwater_revisions`, inside the transaction of this connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ensure(self, table: StagingTable, now: str) -> None:
        """Revision 1 where the entity is new, and the view as the entity wants it now."""
        if not any(revision.state == "live" for revision in self.of(table)):
            number = self.create(table, "live", now)
        else:
            number = self.live(table).number
        self._show(table, table.view, number)

    def create(self, table: StagingTable, state: str, now: str) -> int:
        """An empty table under the next number."""
        schema = table.entity.schema
        number: int = self._connection.exec_driver_sql(
            "SELECT COALESCE(MAX(number), 0) + 1 FROM headwater_revisions WHERE entity = ?", (schema.entity,)
        ).scalar_one()
        self._connection.exec_driver_sql(
            "INSERT INTO headwater_revisions VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (schema.entity, number, state, schema.version, schema.fingerprint, now),
        )
        self._connection.exec_driver_sql(sql.create_table(table, number))
        return number

    def of(self, table: StagingTable) -> list[Revision]:
        """Those that are there, by number."""
        rows = self._connection.exec_driver_sql(
            "SELECT number, state, created_at, schema_version, as_of FROM headwater_revisions "
            "WHERE entity = ? AND state <> ? ORDER BY number",
            (table.entity.name, _DROPPED),
        )
        return [Revision(*row) for row in rows]

    def live(self, table: StagingTable) -> Revision:
        """The one that readers see. Raises as `existing` does."""
        return self._one(table, "state", "live")

    def existing(self, table: StagingTable, number: int) -> Revision:
        """This one. Raises ConfigurationError where it is not there, or its table was made by another schema:
        an older process must not write into a newer table."""
        return self._one(table, "number", number)

    def _one(self, table: StagingTable, column: str, value: object) -> Revision:
        schema = table.entity.schema
        row = self._connection.exec_driver_sql(
            "SELECT number, state, created_at, schema_version, as_of, schema_fingerprint "
            f"FROM headwater_revisions WHERE entity = ? AND {column} = ? AND state <> ?",
            (table.entity.name, value, _DROPPED),
        ).one_or_none()
        if row is None:
            raise ConfigurationError(f"entity {table.entity.name}: the warehouse has no revision {value}")
        *shown, fingerprint = row
        if fingerprint != schema.fingerprint:
            raise ConfigurationError(
                f"entity {table.entity.name}: revision {shown[0]} was made by schema version {shown[3]}, "
                f"{fingerprint.hex()}; this process has version {schema.version}, {schema.fingerprint.hex()}"
            )
        return Revision(*shown)

    def swap(self, table: StagingTable, number: int) -> int:
        """Make this revision the live one; returns the number of the one that was."""
        old, new = self.live(table), self.existing(table, number)
        if new.state not in ("building", "retired"):
            raise ConflictError(f"entity {table.entity.name}: revision {number} is {new.state}")
        self._set_state(table, old.number, "retired")
        self._set_state(table, number, "live")
        self._show(table, table.view, number)
        self._keep_checkpoints(table, old.number, number)
        return old.number

    def _keep_checkpoints(self, table: StagingTable, old: int, new: int) -> None:
        """What the old one has seen is what the live consumers have: a rollback reads on from there."""
        name = table.entity.name
        for number in (old, new):
            self._forget_checkpoints(name, number)
        self._connection.exec_driver_sql(
            "INSERT INTO headwater_checkpoints "
            "SELECT ?, stream, shard, sequence FROM headwater_checkpoints WHERE reader = ?",
            (revision_reader(name, old), LIVE_READER),
        )

    def publish_as_of(self, table: StagingTable, number: int, name: str) -> str:
        """Show a building revision under a name of its own."""
        target = self.existing(table, number)
        if target.state != "building":
            raise ConflictError(f"entity {table.entity.name}: revision {number} is {target.state}")
        for revision in self.of(table):
            if revision.as_of == name:
                self.drop(table, revision.number)
        self._set_state(table, number, "as_of", name)
        view = table.as_of_view(name)
        self._show(table, view, number)
        return view

    def as_of_view(self, table: StagingTable, name: str) -> str:
        """The view of that name. Raises ConfigurationError that tells the names there are."""
        names = [revision.as_of for revision in self.of(table) if revision.as_of is not None]
        if name not in names:
            there = ", ".join(sorted(names)) or "none"
            raise ConfigurationError(
                f"entity {table.entity.name}: no as-of view {name!r}; there are: {there}"
            )
        return table.as_of_view(name)

    def drop(self, table: StagingTable, number: int) -> None:
        """Remove all of a revision but its number."""
        name, revision = table.entity.name, self.existing(table, number)
        if revision.state == "live":
            raise ConflictError(f"entity {name}: revision {number} is live")
        if revision.as_of is not None:
            self._connection.exec_driver_sql(f"DROP VIEW {sql.quoted(table.as_of_view(revision.as_of))}")
        self._connection.exec_driver_sql(f"DROP TABLE {sql.quoted(table.physical(number))}")
        self._connection.exec_driver_sql(
            "DELETE FROM headwater_floors WHERE entity = ? AND revision = ?", (name, number)
        )
        self._forget_checkpoints(name, number)
        self._set_state(table, number, _DROPPED)

    def _forget_checkpoints(self, entity: str, number: int) -> None:
        self._connection.exec_driver_sql(
            "DELETE FROM headwater_checkpoints WHERE reader = ?", (revision_reader(entity, number),)
        )

    def _set_state(self, table: StagingTable, number: int, state: str, as_of: str | None = None) -> None:
        self._connection.exec_driver_sql(
            "UPDATE headwater_revisions SET state = ?, as_of = ? WHERE entity = ? AND number = ?",
            (state, as_of, table.entity.name, number),
        )

    def _show(self, table: StagingTable, view: str, number: int) -> None:
        """Point a view at a revision; an equal view is left alone."""
        wanted = sql.create_view(table, view, number)
        there = self._connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?", (view,)
        ).scalar_one_or_none()
        if there != wanted:
            self._connection.exec_driver_sql(f"DROP VIEW IF EXISTS {sql.quoted(view)}")
            self._connection.exec_driver_sql(wanted)
