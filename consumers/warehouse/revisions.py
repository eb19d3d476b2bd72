"""Life cycle of the revisions of a staging table, for every engine: create, show, swap, retire, drop."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Select, delete, func, insert, literal, select, update

from consumers.warehouse.floors import Floors
from consumers.warehouse.history import HistoryTable, history_table
from consumers.warehouse.indexes import IndexColumns, Indexes, report_indexes
from consumers.warehouse.port import LIVE_READER, Revision, revision_reader
from consumers.warehouse.system import SystemTables
from consumers.warehouse.tables import StagingTable
from consumers.warehouse.versions import (
    RevisionRow,
    current_revision,
    find_revision,
    needs_rebuild,
    outdated,
    revision_of,
    versions_of,
)
from schemas.errors import ConfigurationError, ConflictError

DROPPED = "dropped"
"""State of a dropped revision. Its row is kept so that its number is never reused."""


class Ddl(Protocol):
    """Tables and views of an engine, changed inside the transaction of a connection."""

    def create_table(self, table: StagingTable, number: int) -> None: ...

    def widen(self, old: StagingTable, new: StagingTable, number: int) -> None:
        """Add the columns that are new, with their defaults in existing rows, and widen the types of others.

        No existing value changes.
        """

    def drop_table(self, table: StagingTable, number: int) -> None: ...

    def indexes(self, table: StagingTable, number: int) -> Indexes:
        """Return the indexes of the table, without partial ones."""

    def create_index(self, table: StagingTable, number: int, columns: IndexColumns) -> None:
        """Create an index on these columns, or on as many of them as the engine can index."""

    def create_history(self, table: HistoryTable, number: int) -> None: ...

    def has_history(self, table: HistoryTable, number: int) -> bool:
        """Return whether the revision has a history table."""

    def shows_history(self, table: HistoryTable, number: int | None) -> bool:
        """Return whether view and function show this revision; for None, whether neither exists."""

    def show_history(self, table: HistoryTable, number: int | None) -> None:
        """Create or replace view and function for this revision; for None, drop them."""

    def shows(self, table: StagingTable, view: str, number: int) -> bool:
        """Return whether the view exists and has the definition for this revision and entity."""

    def show(self, table: StagingTable, view: str, number: int) -> None: ...

    def drop_view(self, view: str) -> None: ...


class Revisions:
    """The revisions of a warehouse, inside the transaction of a connection."""

    def __init__(self, connection: Connection, system: SystemTables, ddl: Ddl) -> None:
        self._connection = connection
        self._system = system
        self._ddl = ddl

    def lack(self, table: StagingTable, missing: str = "missing") -> str | None:
        """Describe what `ensure` would create or change; return None if it would change nothing.

        `missing` describes a view that is not found. Raises as `find_revision` does.
        """
        name = table.entity.name
        if not any(revision.state == "live" for revision in self.of(table)):
            return f"entity {name}: it has no table"
        for revision, _ in self._widenable(table):
            return f"entity {name}: {versions_of(revision, table)}"
        if any(self._unwanted_histories(table)):
            return f"entity {name}: it has a history that it no longer keeps"
        live, stored = self._find(table, "live")
        # If the versions differ here, only a rebuild helps, which `ensure` does not do.
        if stored is table and not self._shows(table, live.number):
            return f"the view {table.view} is {missing}, or does not match its entity"
        return None

    def _shows(self, table: StagingTable, live: int) -> bool:
        """Return whether the views for readers have the definitions for this revision."""
        shown = self._shown_history(table, live)
        return self._ddl.shows(table, table.view, live) and self._ddl.shows_history(
            history_table(table), shown
        )

    def lacks(self, tables: Iterable[StagingTable], missing: str = "missing") -> list[str]:
        """Return the descriptions of `lack` for these tables."""
        return [lack for table in tables if (lack := self.lack(table, missing))]

    def ensure(self, table: StagingTable, now: str) -> None:
        """Create revision 1 of a new entity, widen tables of older schema versions, and update the views.

        A schema change that needs a rebuild is left alone. Drops histories that the entity no longer keeps.
        """
        if not any(revision.state == "live" for revision in self.of(table)):
            self.create(table, "live", now)
        # A history that was switched off must go: switched on again, it would have a gap.
        for number in list(self._unwanted_histories(table)):
            self._ddl.show_history(history_table(table), None)
            self._drop_history(table, number)
        for revision, stored in list(self._widenable(table)):
            self._widen(stored, table, revision)
        live, stored = self._find(table, "live")
        if stored is table:
            self._show(table, table.view, live.number)
            self._show_history(table, live.number)

    def _widen(self, stored: StagingTable, table: StagingTable, revision: Revision) -> None:
        number, history = revision.number, history_table(table)
        self._ddl.widen(stored, table, number)
        if self._ddl.has_history(history, number):
            self._ddl.widen(history_table(stored), history, number)
        self._set(table, number, **_schema(table))
        if revision.state == "live":  # SQL Server caches the column types of a view when it is created
            self._ddl.show(table, table.view, number)
            self._ddl.show_history(history, self._shown_history(table, number))

    def _widenable(self, table: StagingTable) -> Iterator[tuple[Revision, StagingTable]]:
        """Yield the live and retired revisions that need only new columns or wider types."""
        # Retired ones too: a rollback may make them live again.
        for row in self._connection.execute(self.selected([table])).all():
            if row.state in ("live", "retired") and table.entity.evolution.has(row.schema_fingerprint):
                revision, stored = find_revision(table, [row], row.number)
                if stored is not table and not needs_rebuild(stored, table):
                    yield revision, stored

    def problems(self, table: StagingTable, missing: str = "missing") -> list[str]:
        """Return descriptions of what `ensure` would change, and of a rebuild that the user has to start.

        `missing` describes a view that is not found. Raises as `find_revision` does.
        """
        if lack := self.lack(table, missing):
            return [lack]
        live, stored = self._find(table, "live")
        if stored is not table:
            return [outdated(live, stored, table)]
        if table.entity.history and self._shown_history(table, live.number) is None:
            name = table.entity.name
            return [f"entity {name}: it has no history yet: run `headwater replay rebuild {name}`"]
        return []

    def create(self, table: StagingTable, state: str, now: str) -> int:
        """Create an empty table under the next number, and return the number."""
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
                created_at=now,
                **_schema(table),
            )
        )
        self._ddl.create_table(table, number)
        self._carry_indexes(table, number)
        if table.entity.history:
            self._ddl.create_history(history_table(table), number)
        return number

    def _carry_indexes(self, table: StagingTable, number: int) -> None:
        """Create the report indexes of the live revision on this one."""
        live_ones = [rev for rev in self.of(table) if rev.state == "live" and rev.number != number]
        for live in live_ones:
            for columns in report_indexes(self._ddl.indexes(table, live.number)):
                # A newer schema version may have lost a column.
                if set(columns) <= set(table.columns):
                    self._ddl.create_index(table, number, columns)

    def indexes(self, table: StagingTable) -> Indexes:
        """Return the indexes of the live revision."""
        return self._ddl.indexes(table, self.live(table).number)

    def create_index(self, table: StagingTable, columns: IndexColumns) -> None:
        """Create an index for reports on the live revision; later revisions get it too."""
        self._ddl.create_index(table, self.live(table).number, columns)

    def of(self, table: StagingTable) -> list[Revision]:
        """Return the revisions that have not been dropped, by number."""
        number = self._system.revisions.c.number
        rows = self._connection.execute(self.selected([table]).order_by(number))
        return [revision_of(row) for row in rows]

    def selected(self, tables: Iterable[StagingTable]) -> "Select[*tuple[Any, ...]]":
        """Return the SELECT of these entities' revisions that have not been dropped."""
        c = self._system.revisions.c
        return select(
            c.number, c.state, c.created_at, c.schema_version, c.as_of, c.schema_fingerprint, c.entity
        ).where(c.entity.in_([table.entity.name for table in tables]), c.state != DROPPED)

    def live(self, table: StagingTable) -> Revision:
        """Return the revision that readers see. Raises as `find_revision` does."""
        return self._find(table, "live")[0]

    def stored(self, table: StagingTable, number: int) -> StagingTable:
        """Return the table with the schema version of this revision. Raises as `find_revision` does."""
        return self._find(table, number)[1]

    def target(self, table: StagingTable, number: int | None = None) -> Revision:
        """Return the revision to write to: this one, or the live one. Raises as `current_revision` does."""
        which = "live" if number is None else number
        return current_revision(table, self._rows(table, which), which)

    def _find(self, table: StagingTable, which: str | int) -> tuple[Revision, StagingTable]:
        return find_revision(table, self._rows(table, which), which)

    def _rows(self, table: StagingTable, which: str | int) -> Sequence[RevisionRow]:
        c = self._system.revisions.c
        condition = c.state == "live" if which == "live" else c.number == which
        return self._connection.execute(self.selected([table]).where(condition)).all()

    def floors(self, table: StagingTable, number: int) -> Floors:
        """Return the floors of this revision."""
        c = self._system.floors.c
        rows = self._connection.execute(
            select(c.source, c.bucket, c.position).where(c.entity == table.entity.name, c.revision == number)
        )
        return {(source, bucket): position for source, bucket, position in rows}

    def swap(self, table: StagingTable, number: int) -> int:
        """Make this revision the live one, and return the number of the one before."""
        old, new = self.live(table), self.target(table, number)
        if new.state not in ("building", "retired"):
            raise ConflictError(f"entity {table.entity.name}: revision {number} is {new.state}")
        self._set_state(table, old.number, "retired")
        self._set_state(table, number, "live")
        self._show(table, table.view, number)
        self._show_history(table, number)
        self._copy_checkpoints(table, old.number, number)
        return old.number

    def _copy_checkpoints(self, table: StagingTable, old: int, new: int) -> None:
        """Copy the live checkpoints to the old revision, so that a rollback resumes there."""
        # The live checkpoints stay, because the live reader writes to whichever revision is live. Those of
        # the new revision are obsolete from now on.
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
        """Show a building revision as an as-of view, and return the name of the view."""
        target = self.target(table, number)
        if target.state != "building":
            raise ConflictError(f"entity {table.entity.name}: revision {number} is {target.state}")
        for revision in self.of(table):
            if revision.as_of == name:  # replaced by this one
                self.drop(table, revision.number)
        self._set_state(table, number, "as_of", name)
        view = table.as_of_view(name)
        self._show(table, view, number)
        return view

    def as_of_view(self, table: StagingTable, name: str) -> str:
        """Return the as-of view of that name. Raises ConfigurationError, which lists the existing names."""
        names = [revision.as_of for revision in self.of(table) if revision.as_of is not None]
        if name not in names:
            existing = ", ".join(sorted(names)) or "none"
            raise ConfigurationError(
                f"entity {table.entity.name}: no as-of view {name!r}; there are: {existing}"
            )
        return table.as_of_view(name)

    def drop(self, table: StagingTable, number: int) -> None:
        """Drop everything of a revision but its row, which keeps the number in use."""
        name, (revision, _) = table.entity.name, self._find(table, number)
        if revision.state == "live":
            raise ConflictError(f"entity {name}: revision {number} is live")
        if revision.as_of is not None:
            self._ddl.drop_view(table.as_of_view(revision.as_of))
        self._ddl.drop_table(table, number)
        self._drop_history(table, number)
        floors = self._system.floors
        self._connection.execute(delete(floors).where(floors.c.entity == name, floors.c.revision == number))
        self._forget_checkpoints(name, number)
        self._set_state(table, number, DROPPED)

    def has_history(self, table: HistoryTable, number: int) -> bool:
        """Return whether this revision has a history table."""
        return self._ddl.has_history(table, number)

    def _shown_history(self, table: StagingTable, live: int) -> int | None:
        """Return the revision whose history readers see, or None."""
        # A live revision that was created without a history would show an incomplete one. Readers see a
        # complete history, which a rebuild creates, or none.
        return live if table.entity.history and self._ddl.has_history(history_table(table), live) else None

    def _show_history(self, table: StagingTable, live: int) -> None:
        history, shown = history_table(table), self._shown_history(table, live)
        if not self._ddl.shows_history(history, shown):
            self._ddl.show_history(history, shown)

    def _unwanted_histories(self, table: StagingTable) -> Iterator[int]:
        """Yield the revisions with a history table although the entity keeps no history."""
        for revision in [] if table.entity.history else self.of(table):
            if self._ddl.has_history(history_table(table), revision.number):
                yield revision.number

    def _drop_history(self, table: StagingTable, number: int) -> None:
        history, sweeps = history_table(table), self._system.sweeps
        if self._ddl.has_history(history, number):
            self._ddl.drop_table(history, number)
        self._connection.execute(
            delete(sweeps).where(sweeps.c.entity == table.entity.name, sweeps.c.revision == number)
        )

    def _forget_checkpoints(self, entity: str, number: int) -> None:
        kept = self._system.checkpoints
        self._connection.execute(delete(kept).where(kept.c.reader == revision_reader(entity, number)))

    def _set_state(self, table: StagingTable, number: int, state: str, as_of: str | None = None) -> None:
        self._set(table, number, state=state, as_of=as_of)

    def _set(self, table: StagingTable, number: int, **values: object) -> None:
        revisions = self._system.revisions
        self._connection.execute(
            update(revisions)
            .where(revisions.c.entity == table.entity.name, revisions.c.number == number)
            .values(values)
        )

    def _show(self, table: StagingTable, view: str, number: int) -> None:
        """Point a view at a revision, unless it already has that definition."""
        # SQL Server replaces a view under a schema lock, which waits for the readers of the view.
        if not self._ddl.shows(table, view, number):
            self._ddl.show(table, view, number)


def _schema(table: StagingTable) -> dict[str, object]:
    schema = table.entity.schema
    return {"schema_version": schema.version, "schema_fingerprint": schema.fingerprint}
