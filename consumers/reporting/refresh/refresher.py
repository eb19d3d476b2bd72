"""A report kept right: what changed is found and its units are made anew, or the whole table is.

One holder of a report at a time. In one snapshot it takes the pending rows that it sees, with images of rows
as they were at the last refresh or since, finds the units that they lead to, makes these anew from staging,
and removes exactly the pending rows that it took. The outcome is a function of staging alone: a refresh that
is made again changes nothing. Writers do not look for units: each of two at once would miss the other's half
of a join (in a model one history of six then ends wrong).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from consumers.reporting.definition.outputs import Output, check_stored, of_table
from consumers.reporting.definition.report import Report
from consumers.reporting.refresh.dialect import Dialect
from consumers.reporting.refresh.freshness import Registry, ReportRevision, live_of, unfinished
from consumers.reporting.refresh.lookups import Lookup, lookups
from consumers.reporting.refresh.transaction import (
    Refreshed,
    Session,
    differences,
    refresh_units,
    refresh_whole,
)
from consumers.reporting.refresh.verification import Comparison, compare
from consumers.warehouse.indexes import serves
from consumers.warehouse.retry import retry_lost_transaction
from schemas.errors import ConfigurationError, TransientError
from schemas.refusals import unknown

_INDEXES = "_indexes"
"""What is held while indexes are made: no report has this name."""


class HeldError(TransientError):
    """Somebody else refreshes this report."""


def held_error(report: str, wait_seconds: float) -> HeldError:
    """The error of who did not get its turn."""
    waited = f"; waited {wait_seconds:.0f} s for its turn: try again later" if wait_seconds else ""
    return HeldError(f"report {report}: somebody else is refreshing it{waited}")


@contextmanager
def named(report: str) -> Iterator[None]:
    """Errors of ours begin with the report that they are about."""
    try:
        yield
    except (ConfigurationError, TransientError) as error:
        if str(error).startswith((f"report {report}:", f"report {report} at ")):
            raise
        raise type(error)(f"report {report}: {error}") from error.__cause__


class Holder(Protocol):
    """Who refreshes a report now."""

    def transaction(self, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """Committed on leaving. In a snapshot all is read as of one moment."""


class ReportEngine(Protocol):
    """Where a warehouse keeps its reports."""

    at_once: int
    """How many reports it is good to refresh at a time."""

    @property
    def dialect(self) -> Dialect: ...

    def holding(self, report: str, wait_seconds: float = 0) -> AbstractContextManager[Holder]:
        """Raises HeldError where somebody else has it, and still has it after that time."""

    def reading(self) -> AbstractContextManager[Session]:
        """Only reads, whoever refreshes meanwhile."""

    def outputs(self, report: Report) -> list[Output]:
        """What the database says of the columns, from the SELECT alone: nothing is made. Raises
        ConfigurationError with what it says where it can't make them."""


class Refresher:
    """Keeps reports right in one warehouse."""

    def __init__(self, engine: ReportEngine, wait_seconds: float = 0) -> None:
        """`wait_seconds`: for a report that somebody else has."""
        self._engine = engine
        self._dialect = engine.dialect
        self.wait_seconds = wait_seconds

    def refresh(self, report: Report, *, whole: bool = False) -> Refreshed:
        """Brings a report to the present. `whole` makes all of it anew, whatever changed.

        Raises HeldError; ConfigurationError where the query fails or its key is not unique: the table then
        stays as it was, and the registry says what is wrong.
        """
        with named(report.name):
            return retry_lost_transaction(lambda: self._refresh(report, whole))

    def _refresh(self, report: Report, whole: bool) -> Refreshed:
        with self._engine.holding(report.name, self.wait_seconds) as holder:
            try:
                return (None if whole else self._in_place(holder, report)) or self._whole(holder, report)
            except ConfigurationError as error:  # kept, and raised once that is committed
                with holder.transaction() as session:
                    self._note(session.registry, report, str(error))
                wrong = error
        raise wrong

    def _in_place(self, holder: Holder, report: Report) -> Refreshed | None:
        """None where the whole is to be made anew."""
        with holder.transaction(snapshot=True) as session:
            standings = session.registry.of(report.name)
            standing = live_of(standings)
            if standing is None or not self._is_as_told(session, report, standing):
                return None
            if unfinished(standings):
                return None
            if report.minutes is not None:
                done = None if session.registry.is_due(standing) else Refreshed("nothing", rows=standing.rows)
            else:
                done = refresh_units(session, self._dialect, report, standing)
            if done is not None and standing.problem:
                session.registry.set(report.name, standing.number, problem=None)
            return done

    def _is_as_told(self, session: Session, report: Report, standing: ReportRevision) -> bool:
        """Made of this file, and of these revisions of staging."""
        return standing.definition == self._dialect.definition(report) and standing.sources == session.live(
            report.entities
        )

    def _note(self, registry: Registry, report: Report, problem: str) -> None:
        standings = registry.of(report.name)
        for standing in standings:
            registry.set(report.name, standing.number, problem=problem)
        if not standings:
            number = registry.next_number(report.name)
            registry.add(report.name, number, self._dialect.definition(report), {}, report.minutes, problem)

    # The whole table

    def _whole(self, holder: Holder, report: Report) -> Refreshed:
        """Raises ConfigurationError where it can't be built: nothing of the attempt is left."""
        with holder.transaction() as session:
            self._drop(session, unfinished(session.registry.of(report.name)))
            number = self._make(session, report)
        try:
            with holder.transaction(snapshot=True) as session:
                done = refresh_whole(session, self._dialect, report, number)
        except ConfigurationError:
            with holder.transaction() as session:
                self._drop(session, unfinished(session.registry.of(report.name)))
            raise
        with holder.transaction() as session:
            self._drop_others(session, report, number)
        return done

    def _make(self, session: Session, report: Report) -> int:
        """An empty revision, from whose commit on its pending rows are appended."""
        live = session.live(report.entities)
        number = session.registry.next_number(report.name)
        session.registry.add(report.name, number, self._dialect.definition(report), live, report.minutes)
        for statement in self._dialect.make_report(report, number):
            session.run(statement)
        outputs = of_table(session.rows(self._dialect.made(report, number)))
        check_stored(report.name, outputs)
        statements = self._dialect.make_index(report, number, outputs)
        for entity in report.images:
            statements += self._dialect.make_pending(report, number, entity, live[entity][0])
        for statement in statements:
            session.run(statement)
        return number

    def _drop_others(self, session: Session, report: Report, number: int) -> None:
        """The revision before this one, and the record of an attempt that failed."""
        others = [each for each in session.registry.of(report.name) if each.number != number]
        self._drop(session, others)

    def _drop(self, session: Session, standings: Sequence[ReportRevision]) -> None:
        """The view of freshness lets go of their pending rows first."""
        statements = self._dialect.freshness(
            [each for each in session.registry.all() if each not in standings]
        )
        for each in standings:
            statements += self._dialect.drop(each.name, each.number, len(each.sources))
            session.registry.forget(each.name, each.number)
        for statement in statements:
            session.run(statement)

    def drop(self, name: str) -> None:
        """Removes a report: its table, its view, what is pending. Raises HeldError, and ConfigurationError
        where there is no such report."""
        with self._engine.reading() as session:
            names = {each.name for each in session.registry.all()}
        if name not in names:
            raise unknown("report with a table", name, sorted(names))
        retry_lost_transaction(lambda: self._drop_all_of(name))

    def _drop_all_of(self, name: str) -> None:
        with self._engine.holding(name, self.wait_seconds) as holder, holder.transaction() as session:
            session.run(self._dialect.hide(name))
            self._drop(session, session.registry.of(name))

    def revisions(self) -> tuple[list[ReportRevision], dict[str, int]]:
        """Every report that has a table, or could not be made, and how many changes wait, by name."""
        with self._engine.reading() as session:
            every = session.registry.all()
            waiting = dict(session.rows(self._dialect.waiting(every)))
        names = {each.name: each for each in sorted(every, key=lambda each: each.state == "live")}
        return list(names.values()), waiting

    def plan(self, report: Report) -> str:
        """What `refresh` would do, in words."""
        with self._engine.reading() as session:
            standing = session.registry.live(report.name)
            if standing is None:
                return "make its table"
            if standing.definition != self._dialect.definition(report):
                return "make a new table beside the old one, and show it: the file has changed"
            if standing.sources != session.live(report.entities):
                return "make a new table beside the old one, and show it: a table of staging was made anew"
            if report.minutes is not None:
                return "make it anew" if session.registry.is_due(standing) else "nothing: it is not due"
            waiting = dict(session.rows(self._dialect.waiting([standing]))).get(report.name, 0)
        return f"take {waiting:,} changes" if waiting else "nothing: no change waits"

    def compare(self, report: Report) -> Comparison | None:
        """How the table of this file would differ from the one that readers see; None where there is none.
        Changes nothing. Raises HeldError; ConfigurationError as `refresh`."""
        with named(report.name):
            return retry_lost_transaction(lambda: self._compare(report, self._engine.outputs(report)))

    def _compare(self, report: Report, new: Sequence[Output]) -> Comparison | None:
        with (
            self._engine.holding(report.name, self.wait_seconds) as holder,
            holder.transaction(snapshot=True) as session,
        ):
            standing = session.registry.live(report.name)
            if standing is None:
                return None
            old = of_table(session.rows(self._dialect.made(report, standing.number)))
            return compare(session, self._dialect, report, standing, old, new)

    def lookups(self, report: Report) -> list[Lookup]:
        """By which columns of staging a refresh finds rows, and whether an index leads there."""
        with self._engine.reading() as session:
            return list(self._lookups(session, report))

    def _lookups(self, session: Session, report: Report) -> Iterator[Lookup]:
        wanted = lookups(report.derivation) if report.derivation else {}
        for entity, those in wanted.items():
            there = list(session.indexes(entity).values())
            for columns in those:
                indexed = self._dialect.indexable(entity, self._dialect.stored(entity, columns))
                if not indexed:
                    yield Lookup(entity, columns, "impossible")
                else:
                    yield Lookup(
                        entity, columns[: len(indexed)], "there" if serves(indexed, there) else "missing"
                    )

    def create_indexes(self, report: Report) -> list[Lookup]:
        """Makes those that are missing; writers of their tables wait meanwhile. Raises HeldError where
        somebody else makes some."""
        with self._engine.holding(_INDEXES, self.wait_seconds) as holder, holder.transaction() as session:
            missing = [each for each in self._lookups(session, report) if each.state == "missing"]
            for each in missing:
                session.create_index(each.entity, self._dialect.stored(each.entity, each.columns))
        return missing

    def verify(self, report: Report) -> list[str]:
        """Brings it to the present and, in the same snapshot, makes it from scratch beside it: the hashes of
        the keys of rows that differ, ten at most. Raises as `refresh`; TransientError where it is made anew
        again and again."""
        with named(report.name):
            return retry_lost_transaction(lambda: self._verify(report))

    def _verify(self, report: Report) -> list[str]:
        with self._engine.holding(report.name, self.wait_seconds) as holder:
            for _ in range(3):
                with holder.transaction(snapshot=True) as session:
                    standing = self._refreshed(session, report)
                    if standing is not None:
                        return differences(session, self._dialect, report, standing)
                self._whole(holder, report)
        raise TransientError(f"report {report.name}: staging changes faster than it is made anew")

    def _refreshed(self, session: Session, report: Report) -> ReportRevision | None:
        """None where the whole is to be made anew."""
        standing = session.registry.live(report.name)
        if standing is None or not self._is_as_told(session, report, standing):
            return None
        return standing if refresh_units(session, self._dialect, report, standing) else None
