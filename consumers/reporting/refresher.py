"""A report kept right: what changed is found and its units are made anew, or the whole table is.

One holder of a report at a time. In one snapshot it takes the pending rows that it sees, with the images of rows
as they were at the last refresh or since, finds the units that they lead to, makes these anew from staging, and
removes exactly the pending rows that it took. The outcome is a function of staging alone: a refresh that is
made again changes nothing. `../shared/models/report_groups.py` of the house plan says why not otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from consumers.reporting.dialect import Dialect
from consumers.reporting.refresh import Refreshed, Session, refresh_units, refresh_whole
from consumers.reporting.registry import Standing
from consumers.reporting.report import Report
from schemas.errors import ConfigurationError, TransientError


class HeldError(TransientError):
    """Somebody else refreshes this report."""


class Holder(Protocol):
    """Who refreshes a report now."""

    def transaction(self, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """Committed on leaving. In a snapshot all is read as of one moment."""


class ReportEngine(Protocol):
    """Where a warehouse keeps its reports."""

    dialect: Dialect

    def holding(self, report: str) -> AbstractContextManager[Holder]:
        """Raises HeldError at once where somebody else is at it."""


class Refresher:
    """Keeps reports right in one warehouse."""

    def __init__(self, engine: ReportEngine) -> None:
        self._engine = engine
        self._dialect = engine.dialect

    def refresh(self, report: Report, *, whole: bool = False) -> Refreshed:
        """Brings a report to the present. `whole` makes all of it anew, whatever changed.

        Raises HeldError; ConfigurationError where the query fails or its key is not unique: the table then
        stays as it was, and what is wrong stands beside it.
        """
        with self._engine.holding(report.name) as holder:
            try:
                return self._refreshed(holder, report, whole)
            except ConfigurationError as error:
                with holder.transaction() as session:
                    for standing in session.registry.of(report.name):
                        session.registry.set(report.name, standing.number, problem=str(error))
                raise

    def _refreshed(self, holder: Holder, report: Report, whole: bool) -> Refreshed:
        if not whole:
            with holder.transaction(snapshot=True) as session:
                standing = session.registry.live(report.name)
                if standing and self._is_as_told(session, report, standing):
                    done = refresh_units(session, self._dialect, report, standing)
                    if done is not None:
                        return done
        return self._whole(holder, report)

    def _is_as_told(self, session: Session, report: Report, standing: Standing) -> bool:
        """Made of this file and of these revisions of staging."""
        return (
            report.derivation is not None
            and standing.definition == report.definition
            and standing.sources == session.live(report.entities)
        )

    # The whole table

    def _whole(self, holder: Holder, report: Report) -> Refreshed:
        with holder.transaction() as session:
            number = self._make(session, report)
        with holder.transaction(snapshot=True) as session:
            done = refresh_whole(session, self._dialect, report, number)
        with holder.transaction() as session:
            self._drop_others(session, report, number)
        return done

    def _make(self, session: Session, report: Report) -> int:
        """An empty revision, from whose commit on its pending rows are appended."""
        live = session.live(report.entities)
        number = session.registry.next_number(report.name)
        session.registry.add(report.name, number, report.definition, live)
        for statement in self._dialect.make_report(report, number):
            session.run(statement)
        sizes = dict(session.rows(self._dialect.sizes(report, number)))
        statements = self._dialect.make_index(report, number, sizes)
        for entity in report.images:
            statements += self._dialect.make_pending(report, number, entity, live[entity][0])
        for statement in statements:
            session.run(statement)
        return number

    def _drop_others(self, session: Session, report: Report, number: int) -> None:
        """The revision before, and what a crash left half made."""
        for standing in session.registry.of(report.name):
            if standing.number != number:
                self._drop(session, standing)

    def _drop(self, session: Session, standing: Standing) -> None:
        for statement in self._dialect.drop(standing.name, standing.number, len(standing.sources)):
            session.run(statement)
        session.registry.forget(standing.name, standing.number)

    def drop(self, name: str) -> None:
        """Removes a report: its table, its view, what is pending. Raises HeldError."""
        with self._engine.holding(name) as holder, holder.transaction() as session:
            session.run(self._dialect.hide(name))
            for standing in session.registry.of(name):
                self._drop(session, standing)
