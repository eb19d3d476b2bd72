"""Revisions of staging tables: made, shown through a view, retired, dropped. For every engine."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Connection, Row, Select, delete, func, insert, literal, select, update

from consumers.warehouse.floors import Floors
from consumers.warehouse.history import HistoryTable, history_table
from consumers.warehouse.indexes import IndexColumns, Indexes, of_reports
from consumers.warehouse.port import LIVE_READER, Revision, revision_reader
from consumers.warehouse.system import SystemTables
from consumers.warehouse.tables import StagingTable
from schemas.errors import ConfigurationError, ConflictError
from schemas.evolution.rules import Category

RevisionRow: TypeAlias = "Row[*tuple[Any, ...]]"
"""A row of `Revisions.selected`."""

DROPPED = "dropped"
"""The row of a dropped revision stays, so that its number is never used again."""


class Ddl(Protocol):
    """How an engine makes tables and views, inside the transaction of a connection."""

    def create_table(self, table: StagingTable, number: int) -> None: ...

    def widen(self, old: StagingTable, new: StagingTable, number: int) -> None:
        """Add the columns that the old table has not got, with their defaults in the rows that are there, and
        give the others their new types. Every value stays as it is."""

    def drop_table(self, table: StagingTable, number: int) -> None: ...

    def indexes(self, table: StagingTable, number: int) -> Indexes:
        """Those of all rows."""

    def create_index(self, table: StagingTable, number: int, columns: IndexColumns) -> None:
        """As far as the engine has indexes of such columns."""

    def create_history(self, table: HistoryTable, number: int) -> None: ...

    def has_history(self, table: HistoryTable, number: int) -> bool:
        """Whether the revision was made with a history."""

    def shows_history(self, table: HistoryTable, number: int | None) -> bool:
        """Whether view and function are there and show this revision; for None, whether neither is there."""

    def show_history(self, table: HistoryTable, number: int | None) -> None: ...

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
        """Whether `ensure` would change nothing. Raises as `known` does."""
        if not any(revision.state == "live" for revision in self.of(table)):
            return False
        if any(self._widened(table)) or any(self._unwanted_histories(table)):
            return False
        live, made = self._known(table, "live")
        if made is not table:
            return True
        shown = self._shown_history(table, live.number)
        return self._ddl.shows(table, table.view, live.number) and self._ddl.shows_history(
            history_table(table), shown
        )

    def ensure(self, table: StagingTable, now: str) -> None:
        """Revision 1 where the entity is new; the table of an older version of the schema widened where that
        is enough (a rebuild makes the others); and the views as the entity wants them now. A history that is
        no longer wanted goes: it would have a hole if it were wanted again."""
        if not any(revision.state == "live" for revision in self.of(table)):
            self.create(table, "live", now)
        for number in list(self._unwanted_histories(table)):
            self._ddl.show_history(history_table(table), None)
            self._drop_history(table, number)
        for revision, made in list(self._widened(table)):
            self._widen(made, table, revision)
        live, made = self._known(table, "live")
        if made is table:
            self._show(table, table.view, live.number)
            self._show_history(table, live.number)

    def _widen(self, made: StagingTable, table: StagingTable, revision: Revision) -> None:
        number, history = revision.number, history_table(table)
        self._ddl.widen(made, table, number)
        if self._ddl.has_history(history, number):
            self._ddl.widen(history_table(made), history, number)
        self._set(table, number, **_schema(table))
        if revision.state == "live":  # a view goes on telling the types that the columns had
            self._ddl.show(table, table.view, number)
            self._ddl.show_history(history, self._shown_history(table, number))

    def _widened(self, table: StagingTable) -> Iterator[tuple[Revision, StagingTable]]:
        """The revisions that are, or may be again, the live one, and want new columns and types alone."""
        for row in self._connection.execute(self.selected([table])).all():
            if row.state in ("live", "retired") and table.entity.evolution.has(row.schema_fingerprint):
                revision, made = known(table, [row], row.number)
                if made is not table and not _needs_rebuild(made, table):
                    yield revision, made

    def lacks(self, table: StagingTable, missing: str = "missing") -> list[str]:
        """What `ensure` would make, and a rebuild that only a person begins; `missing`: what a view is called
        that is not found. Raises as `known` does."""
        if not self.is_ensured(table):
            return [f"the view {table.view} is {missing}, or not as its entity wants it"]
        live, made = self._known(table, "live")
        if made is not table:
            return [_outdated(live, made, table)]
        if table.entity.history and self._shown_history(table, live.number) is None:
            name = table.entity.name
            return [f"entity {name}: its history begins with `headwater replay rebuild {name}`"]
        return []

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
        """What the reports over the live revision have, they have over this one."""
        for live in (each for each in self.of(table) if each.state == "live" and each.number != number):
            for columns in of_reports(self._ddl.indexes(table, live.number)):
                if set(columns) <= set(table.columns):
                    self._ddl.create_index(table, number, columns)

    def indexes(self, table: StagingTable) -> Indexes:
        """Of the live revision."""
        return self._ddl.indexes(table, self.live(table).number)

    def create_index(self, table: StagingTable, columns: IndexColumns) -> None:
        """For reports, on the live revision; it goes over to those that are made later."""
        self._ddl.create_index(table, self.live(table).number, columns)

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
        """The one that readers see. Raises as `known` does."""
        return self._known(table, "live")[0]

    def made(self, table: StagingTable, number: int) -> StagingTable:
        """The table as the version that made this revision has it. Raises as `known` does."""
        return self._known(table, number)[1]

    def target(self, table: StagingTable, number: int | None = None) -> Revision:
        """The live one, or this one, to be written into. Raises as `checked` does."""
        wanted = "live" if number is None else number
        return checked(table, self._rows(table, wanted), wanted)

    def _known(self, table: StagingTable, wanted: str | int) -> tuple[Revision, StagingTable]:
        return known(table, self._rows(table, wanted), wanted)

    def _rows(self, table: StagingTable, wanted: str | int) -> Sequence[RevisionRow]:
        c = self._system.revisions.c
        which = c.state == "live" if wanted == "live" else c.number == wanted
        return self._connection.execute(self.selected([table]).where(which)).all()

    def floors(self, table: StagingTable, number: int) -> Floors:
        """The floors of this revision."""
        c = self._system.floors.c
        rows = self._connection.execute(
            select(c.source, c.bucket, c.position).where(c.entity == table.entity.name, c.revision == number)
        )
        return {(source, bucket): position for source, bucket, position in rows}

    def swap(self, table: StagingTable, number: int) -> int:
        """Make this revision the live one; returns the number of the one that was."""
        old, new = self.live(table), self.target(table, number)
        if new.state not in ("building", "retired"):
            raise ConflictError(f"entity {table.entity.name}: revision {number} is {new.state}")
        self._set_state(table, old.number, "retired")
        self._set_state(table, number, "live")
        self._show(table, table.view, number)
        self._show_history(table, number)
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
        target = self.target(table, number)
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
        name, (revision, _) = table.entity.name, self._known(table, number)
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
        """Whether this revision was made with a history."""
        return self._ddl.has_history(table, number)

    def _shown_history(self, table: StagingTable, live: int) -> int | None:
        """The revision whose history readers are to see: a live one that was made without has none, until it
        is rebuilt. What they see is right, or not there."""
        return live if table.entity.history and self._ddl.has_history(history_table(table), live) else None

    def _show_history(self, table: StagingTable, live: int) -> None:
        history, shown = history_table(table), self._shown_history(table, live)
        if not self._ddl.shows_history(history, shown):
            self._ddl.show_history(history, shown)

    def _unwanted_histories(self, table: StagingTable) -> Iterator[int]:
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
        """Point a view at a revision; an equal view is left alone."""
        if not self._ddl.shows(table, view, number):
            self._ddl.show(table, view, number)


def known(table: StagingTable, rows: Iterable[RevisionRow], wanted: object) -> tuple[Revision, StagingTable]:
    """The one revision among these rows of `Revisions.selected`, and the table as the version that made it
    has it: `table` itself where that is the newest.

    Raises ConfigurationError where it is not there, or was made by a schema that is none of the table's
    versions: an older process must not write into a newer table.
    """
    entity = table.entity
    row = next(iter(rows), None)
    if row is None:
        raise ConfigurationError(f"entity {entity.name}: the warehouse has no revision {wanted}")
    revision, fingerprint = _revision(row), bytes(row.schema_fingerprint)
    if not entity.evolution.has(fingerprint):
        raise ConfigurationError(
            f"entity {entity.name}: revision {revision.number} was made by schema version "
            f"{revision.schema_version}, {fingerprint.hex()}; this process has version "
            f"{entity.schema.version}, {entity.schema.fingerprint.hex()}"
        )
    return revision, table if fingerprint == entity.schema.fingerprint else table.until(fingerprint)


def checked(table: StagingTable, rows: Iterable[RevisionRow], wanted: object) -> Revision:
    """The same, of the newest version. Raises ConfigurationError, too, where it is of an older one."""
    revision, made = known(table, rows, wanted)
    if made is not table:
        raise ConfigurationError(_outdated(revision, made, table))
    return revision


def _outdated(revision: Revision, made: StagingTable, table: StagingTable) -> str:
    name = table.entity.name
    command = f"replay rebuild {name}" if _needs_rebuild(made, table) else "warehouse init"
    return (
        f"entity {name}: revision {revision.number} is of schema version {revision.schema_version}, and this "
        f"process has version {table.entity.schema.version}: run `headwater {command}`"
    )


def _needs_rebuild(made: StagingTable, table: StagingTable) -> bool:
    older, newer = len(made.entity.versions), len(table.entity.versions)
    return (table.entity.evolution.cost(older, newer) or Category.ADDITIVE) >= Category.REBUILD


def _schema(table: StagingTable) -> dict[str, object]:
    schema = table.entity.schema
    return {"schema_version": schema.version, "schema_fingerprint": schema.fingerprint}


def _revision(row: RevisionRow) -> Revision:
    number, state, created_at, schema_version, as_of, fingerprint, *_ = row
    return Revision(number, state, created_at, schema_version, as_of, bytes(fingerprint))
