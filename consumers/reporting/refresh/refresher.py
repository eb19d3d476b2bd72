"""Refresh of a report: the changed units are found and recomputed, or the whole table is.

One process at a time holds a report. In one snapshot it takes the pending rows that it sees, with images of
the rows as they were at the last refresh or since, finds the units that they lead to, recomputes these from
staging, and deletes exactly the pending rows that it took. The outcome is a function of staging alone:
repeating a refresh changes nothing. Writers do not look for units: two at once would each miss the other's
half of a join (a model finds a history of six steps that ends wrong).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from consumers.reporting.definition.outputs import Output, check_stored, of_table
from consumers.reporting.definition.report import Report
from consumers.reporting.refresh.dialect import Dialect
from consumers.reporting.refresh.freshness import Registry, ReportRevision, due_order, live_of, unfinished
from consumers.reporting.refresh.lookups import Lookup, lookups
from consumers.reporting.refresh.transaction import (
    Refreshed,
    Session,
    differences,
    refresh_units,
    refresh_whole,
)
from consumers.reporting.refresh.verification import Comparison, compare
from consumers.warehouse.indexes import is_indexed
from consumers.warehouse.retry import retry_lost_transaction
from schemas.errors import ConfigurationError, TransientError
from schemas.refusals import unknown

_INDEXES = "_indexes"
"""Name under which the creation of indexes is locked: no report has this name."""


class HeldError(TransientError):
    """Another process is refreshing this report."""


def held_error(report: str, wait_seconds: float) -> HeldError:
    """Return the error for a report that another process holds."""
    waited = f"; waited {wait_seconds:.0f} s for it: try again later" if wait_seconds else ""
    return HeldError(f"report {report}: another process is refreshing it{waited}")


@contextmanager
def named(report: str) -> Iterator[None]:
    """Prefix errors with the report that they concern."""
    try:
        yield
    except (ConfigurationError, TransientError) as error:
        # Errors of nested calls are named already.
        if str(error).startswith((f"report {report}:", f"report {report} at ")):
            raise
        raise type(error)(f"report {report}: {error}") from error.__cause__


class Holder(Protocol):
    """The process that may refresh a report now."""

    def transaction(self, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """Run a transaction that commits on leaving. In a snapshot all reads are as of one moment."""


class ReportEngine(Protocol):
    """Reports of a warehouse in one engine."""

    at_once: int
    """The number of reports to refresh in parallel."""

    @property
    def dialect(self) -> Dialect: ...

    def holding(self, report: str, wait_seconds: float = 0) -> AbstractContextManager[Holder]:
        """Hold a report. Raises HeldError if another process holds it beyond the waiting time."""

    def reading(self) -> AbstractContextManager[Session]:
        """Open a session that only reads and does not wait for refreshes."""

    def outputs(self, report: Report) -> list[Output]:
        """Return the columns of a report as the database describes its SELECT; nothing is created.

        Raises ConfigurationError with the database's message where it refuses the SELECT.
        """


class Refresher:
    """Refreshes, rebuilds and comparisons of the reports in one warehouse."""

    def __init__(self, engine: ReportEngine, wait_seconds: float = 0) -> None:
        """Refresh through this engine, and wait so many seconds for a report that another process holds."""
        self._engine = engine
        self._dialect = engine.dialect
        self.wait_seconds = wait_seconds

    def refresh(self, report: Report, *, whole: bool = False) -> Refreshed:
        """Bring a report up to date; `whole` rebuilds all of it, whatever changed.

        Raises HeldError; ConfigurationError where the query fails or its key is not unique: the table then
        stays as it was, and the registry records the problem.
        """
        with named(report.name):
            return retry_lost_transaction(lambda: self._refresh(report, whole))

    def _refresh(self, report: Report, whole: bool) -> Refreshed:
        with self._engine.holding(report.name, self.wait_seconds) as holder:
            try:
                return (None if whole else self._in_place(holder, report)) or self._whole(holder, report)
            except ConfigurationError as error:  # raised below, once the record of it is committed
                with holder.transaction() as session:
                    self._record_problem(session.registry, report, str(error))
                wrong = error
        raise wrong

    def _in_place(self, holder: Holder, report: Report) -> Refreshed | None:
        """Refresh the live revision. Return None if the whole report must be rebuilt."""
        with holder.transaction(snapshot=True) as session:
            revisions = session.registry.of(report.name)
            revision = live_of(revisions)
            if revision is None or not self._is_current(session, report, revision):
                return None
            if unfinished(revisions):  # a rebuild was interrupted: finish what it was for
                return None
            if report.minutes is not None:
                done = None if session.registry.is_due(revision) else Refreshed("nothing", rows=revision.rows)
            else:
                done = refresh_units(session, self._dialect, report, revision)
            if done is not None and revision.problem:
                session.registry.set(report.name, revision.number, problem=None)
            return done

    def _is_current(self, session: Session, report: Report, revision: ReportRevision) -> bool:
        """Return whether the revision was built from this definition and these revisions of staging."""
        return revision.definition == self._dialect.definition(report) and revision.sources == session.live(
            report.entities
        )

    def _record_problem(self, registry: Registry, report: Report, problem: str) -> None:
        revisions = registry.of(report.name)
        for revision in revisions:
            registry.set(report.name, revision.number, problem=problem)
        if not revisions:
            number = registry.next_number(report.name)
            definition = self._dialect.definition(report)
            registry.add(report.name, number, definition, {}, minutes=report.minutes, problem=problem)

    # The whole table

    def _whole(self, holder: Holder, report: Report) -> Refreshed:
        """Build a new revision and show it.

        Raises ConfigurationError where it can't be built; nothing of the attempt remains.
        """
        with holder.transaction() as session:
            self._drop(session, unfinished(session.registry.of(report.name)))
            # Committed before the snapshot: a change that the snapshot misses is then pending for the new
            # revision.
            number = self._create_revision(session, report)
        try:
            with holder.transaction(snapshot=True) as session:
                done = refresh_whole(session, self._dialect, report, number)
        except ConfigurationError:
            with holder.transaction() as session:
                self._drop(session, unfinished(session.registry.of(report.name)))
            raise
        with holder.transaction() as session:
            # A crash before this leaves an old revision that no reader sees; the next rebuild drops it.
            self._drop_others(session, report, number)
        return done

    def _create_revision(self, session: Session, report: Report) -> int:
        """Create an empty revision. Once this commits, triggers append its pending rows."""
        live = session.live(report.entities)
        number = session.registry.next_number(report.name)
        session.registry.add(report.name, number, self._dialect.definition(report), live, report.minutes)
        for statement in self._dialect.create_report(report, number):
            session.run(statement)
        # The database decides the types, so that they are read back from the empty table.
        outputs = of_table(session.rows(self._dialect.columns_query(report, number)))
        check_stored(report.name, outputs)
        statements = self._dialect.create_unit_index(report, number, outputs)
        for entity in report.images:
            statements += self._dialect.create_pending(report, number, entity, live[entity][0])
        for statement in statements:
            session.run(statement)
        return number

    def _drop_others(self, session: Session, report: Report, number: int) -> None:
        """Drop the revision before this one, and the record of a failed attempt."""
        revisions = session.registry.of(report.name)
        self._drop(session, [revision for revision in revisions if revision.number != number])

    def _drop(self, session: Session, revisions: Sequence[ReportRevision]) -> None:
        """Drop revisions, after the view of freshness that reads their pending rows no longer does."""
        statements = self._dialect.freshness_view(
            [known for known in session.registry.all() if known not in revisions]
        )
        for revision in revisions:
            statements += self._dialect.drop(revision.name, revision.number, len(revision.sources))
            session.registry.forget(revision.name, revision.number)
        for statement in statements:
            session.run(statement)

    def drop(self, name: str) -> None:
        """Remove a report: its table, its view, and its pending rows.

        Raises HeldError, and ConfigurationError where there is no such report.
        """
        with self._engine.reading() as session:
            names = {revision.name for revision in session.registry.all()}
        if name not in names:
            raise unknown("report with a table", name, sorted(names))
        retry_lost_transaction(lambda: self._drop_report(name))

    def _drop_report(self, name: str) -> None:
        with self._engine.holding(name, self.wait_seconds) as holder, holder.transaction() as session:
            session.run(self._dialect.drop_view(name))
            self._drop(session, session.registry.of(name))

    def revisions(self) -> tuple[list[ReportRevision], dict[str, int]]:
        """Return one revision of every report that has a table or could not be built, and pending changes by
        name."""
        with self._engine.reading() as session:
            every = session.registry.all()
            waiting = dict(session.rows(self._dialect.waiting_query(every)))
        # Sorted so that the live revision of a name overwrites the others.
        by_name = {
            revision.name: revision
            for revision in sorted(every, key=lambda revision: revision.state == "live")
        }
        return list(by_name.values()), waiting

    def due_order(self, names: Iterable[str]) -> list[str]:
        """Return the names of reports in the order in which to refresh them (freshness.due_order)."""
        with self._engine.reading() as session:
            return due_order(session.registry.all(), names)

    def plan(self, report: Report) -> str:
        """Return what `refresh` would do, in words."""
        with self._engine.reading() as session:
            revision = session.registry.live(report.name)
            if revision is None:
                return "create its table"
            if revision.definition != self._dialect.definition(report):
                return "build a new table and switch the view to it: the file has changed"
            if revision.sources != session.live(report.entities):
                return "build a new table and switch the view to it: a table of staging was rebuilt"
            if report.minutes is not None:
                return "rebuild it" if session.registry.is_due(revision) else "nothing: it is not due yet"
            waiting = dict(session.rows(self._dialect.waiting_query([revision]))).get(report.name, 0)
        return f"take {waiting:,} changes" if waiting else "nothing: no changes are pending"

    def compare(self, report: Report) -> Comparison | None:
        """Compare the table that this file defines with the one that readers see; None where there is none.

        Changes nothing. Raises HeldError, and ConfigurationError as `refresh` does.
        """
        with named(report.name):
            return retry_lost_transaction(lambda: self._compare(report, self._engine.outputs(report)))

    def _compare(self, report: Report, new: Sequence[Output]) -> Comparison | None:
        with (
            self._engine.holding(report.name, self.wait_seconds) as holder,
            holder.transaction(snapshot=True) as session,
        ):
            revision = session.registry.live(report.name)
            if revision is None:
                return None
            old = of_table(session.rows(self._dialect.columns_query(report, revision.number)))
            return compare(session, self._dialect, report, revision, old=old, new=new)

    def lookups(self, report: Report) -> list[Lookup]:
        """Return the columns by which a refresh searches staging, and whether an index serves each search."""
        with self._engine.reading() as session:
            return list(self._lookups(session, report))

    def _lookups(self, session: Session, report: Report) -> Iterator[Lookup]:
        column_lists = lookups(report.derivation) if report.derivation else {}
        for entity, lists in column_lists.items():
            indexes = list(session.indexes(entity).values())
            for columns in lists:
                # An index may hold only the first of these columns: SQL Server limits its bytes.
                indexed = self._dialect.indexable(entity, self._dialect.stored_names(entity, columns))
                if not indexed:
                    yield Lookup(entity, columns, "impossible")
                else:
                    yield Lookup(
                        entity,
                        columns[: len(indexed)],
                        "there" if is_indexed(indexed, indexes) else "missing",
                    )

    def create_indexes(self, report: Report) -> list[Lookup]:
        """Create the missing indexes and return them; writers of their tables wait meanwhile.

        Raises HeldError while another process creates some.
        """
        with self._engine.holding(_INDEXES, self.wait_seconds) as holder, holder.transaction() as session:
            missing = [lookup for lookup in self._lookups(session, report) if lookup.state == "missing"]
            for lookup in missing:
                session.create_index(lookup.entity, self._dialect.stored_names(lookup.entity, lookup.columns))
        return missing

    def verify(self, report: Report) -> list[str]:
        """Bring a report up to date and, in the same snapshot, compare it with its query.

        Returns the hashes of at most ten keys whose rows differ. Raises as `refresh` does, and TransientError
        where staging changes faster than the report is rebuilt.
        """
        with named(report.name):
            return retry_lost_transaction(lambda: self._verify(report))

    def _verify(self, report: Report) -> list[str]:
        with self._engine.holding(report.name, self.wait_seconds) as holder:
            # A rebuild changes the snapshot, so that only an in-place refresh can be compared with the query.
            for _ in range(3):
                with holder.transaction(snapshot=True) as session:
                    revision = self._refreshed(session, report)
                    if revision is not None:
                        return differences(session, self._dialect, report, revision)
                self._whole(holder, report)
        raise TransientError(f"report {report.name}: staging changes faster than the report is rebuilt")

    def _refreshed(self, session: Session, report: Report) -> ReportRevision | None:
        """Refresh the live revision and return it, or None if the whole report must be rebuilt."""
        revision = session.registry.live(report.name)
        if revision is None or not self._is_current(session, report, revision):
            return None
        return revision if refresh_units(session, self._dialect, report, revision) else None
