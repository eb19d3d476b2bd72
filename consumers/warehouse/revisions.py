"""Revisions of staging tables: made, shown through a view, retired, dropped. For every engine."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Connection, Row, Select, delete, func, insert, literal, select, update

from consumers.warehouse.floors import Floors
from consumers.warehouse.port import LIVE_READER, Revision, revision_reader
from consumers.warehouse.system import SystemTables
from consumers.warehouse.tables import StagingTable
from schemas.errors import ConfigurationError, ConflictError

RevisionRow: TypeAlias = "Row[*tuple[Any, ...]]"
"""A row of `Revisions.selected`."""

DROPPED = "dropped"
"""The row of a dropped revision stays, so that its number is never used again."""


class Ddl(Protocol):
    """How an engine makes tables and views, inside the transaction of a connection."""

    def create_table(self, table: StagingTable, number: int) -> None: ...

    def drop_table(self, table: StagingTable, number: int) -> None: ...

    def shows(self, table: StagingTable, view: str, number: int) -> bool:
        """Whether the view is there and shows this revision as its entity wants it."""

    def show(self, table: StagingTable, view: str, number: int) -> None: ...

    def drop_view(self, view: str) -> None: ...


class Revisions:
    """The table of revisions, inside the transaction of this connection."""

    def __init__(self, connection: Connection, system: SystemTables, ddl: Ddl) -> None:
        self._connection = connection
        self._system = system
        self._ddl = ddl

    def is_ensured(self, table: StagingTable) -> bool:
        """Whether `ensure` would change nothing. Raises as `existing` does."""
        if not any(revision.state == "live" for revision in self.of(table)):
            return False
        return self._ddl.shows(table, table.view, self.live(table).number)

    def ensure(self, table: StagingTable, now: str) -> None:
        """Revision 1 where the entity is new, and the view as the entity wants it now."""
        if not any(revision.state == "live" for revision in self.of(table)):
            number = self.create(table, "live", now)
        else:
            number = self.live(table).number
        self._show(table, table.view, number)

    def create(self, table: StagingTable, state: str, now: str) -> int:
        """An empty table under the next number."""
        schema, revisions = table.entity.schema, self._system.revisions
        number: int = self._connection.execute(
            select(func.coalesce(func.max(revisions.c.number), 0) + 1).where(
                revisions.c.entity == schema.entity
            )
        ).scalar_one()
        self._connection.execute(
            insert(revisions).values(
                entity=schema.entity,
                number=number,
                state=state,
                schema_version=schema.version,
                schema_fingerprint=schema.fingerprint,
                created_at=now,
            )
        )
        self._ddl.create_table(table, number)
        return number

    def of(self, table: StagingTable) -> list[Revision]:
        """Those that are there, by number."""
        number = self._system.revisions.c.number
        rows = self._connection.execute(self.selected([table]).order_by(number))
        return [_revision(row) for row in rows]

    def selected(self, tables: Iterable[StagingTable]) -> "Select[*tuple[Any, ...]]":
        """The revisions of these entities that are there, as `checked` takes them."""
        c = self._system.revisions.c
        return select(
            c.number, c.state, c.created_at, c.schema_version, c.as_of, c.schema_fingerprint, c.entity
        ).where(c.entity.in_([table.entity.name for table in tables]), c.state != DROPPED)

    def live(self, table: StagingTable) -> Revision:
        """The one that readers see. Raises as `existing` does."""
        state = self._system.revisions.c.state
        return checked(
            table, self._connection.execute(self.selected([table]).where(state == "live")).all(), "live"
        )

    def existing(self, table: StagingTable, number: int) -> Revision:
        """This one. Raises ConfigurationError where it is not there, or its table was made by another schema:
        an older process must not write into a newer table."""
        rows = self._connection.execute(
            self.selected([table]).where(self._system.revisions.c.number == number)
        ).all()
        return checked(table, rows, number)

    def floors(self, table: StagingTable, number: int) -> Floors:
        """The floors of this revision."""
        c = self._system.floors.c
        rows = self._connection.execute(
            select(c.source, c.bucket, c.position).where(c.entity == table.entity.name, c.revision == number)
        )
        return {(source, bucket): position for source, bucket, position in rows}

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
        name, kept = table.entity.name, self._system.checkpoints
        for number in (old, new):
            self._forget_checkpoints(name, number)
        live = select(literal(revision_reader(name, old)), kept.c.stream, kept.c.shard, kept.c.sequence)
        self._connection.execute(
            insert(kept).from_select(
                ["reader", "stream", "shard", "sequence"], live.where(kept.c.reader == LIVE_READER)
            )
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
            self._ddl.drop_view(table.as_of_view(revision.as_of))
        self._ddl.drop_table(table, number)
        floors = self._system.floors
        self._connection.execute(delete(floors).where(floors.c.entity == name, floors.c.revision == number))
        self._forget_checkpoints(name, number)
        self._set_state(table, number, DROPPED)

    def _forget_checkpoints(self, entity: str, number: int) -> None:
        kept = self._system.checkpoints
        self._connection.execute(delete(kept).where(kept.c.reader == revision_reader(entity, number)))

    def _set_state(self, table: StagingTable, number: int, state: str, as_of: str | None = None) -> None:
        revisions = self._system.revisions
        self._connection.execute(
            update(revisions)
            .where(revisions.c.entity == table.entity.name, revisions.c.number == number)
            .values(state=state, as_of=as_of)
        )

    def _show(self, table: StagingTable, view: str, number: int) -> None:
        """Point a view at a revision; an equal view is left alone."""
        if not self._ddl.shows(table, view, number):
            self._ddl.show(table, view, number)


def checked(table: StagingTable, rows: Iterable[RevisionRow], wanted: object) -> Revision:
    """The one revision among these rows of `Revisions.selected`. Raises as `Revisions.existing` does."""
    schema = table.entity.schema
    row = next(iter(rows), None)
    if row is None:
        raise ConfigurationError(f"entity {table.entity.name}: the warehouse has no revision {wanted}")
    revision, fingerprint = _revision(row), row.schema_fingerprint
    if fingerprint != schema.fingerprint:
        raise ConfigurationError(
            f"entity {table.entity.name}: revision {revision.number} was made by schema version "
            f"{revision.schema_version}, {fingerprint.hex()}; this process has version {schema.version}, "
            f"{schema.fingerprint.hex()}"
        )
    return revision


def _revision(row: RevisionRow) -> Revision:
    number, state, created_at, schema_version, as_of, *_ = row
    return Revision(number, state, created_at, schema_version, as_of)
