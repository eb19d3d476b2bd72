"""What a warehouse knows of its reports: their revisions, what each was made of, and how fresh it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, TableClause, delete, func, insert, select, update

from consumers.warehouse.system import REPORT_COLUMNS

State: TypeAlias = Literal["building", "live"]
Sources: TypeAlias = Mapping[str, tuple[int, str]]
"""Of each entity that a report reads: the live revision, and its schema's fingerprint as hex."""


@dataclass(frozen=True, slots=True)
class ReportRevision:
    """One revision of a report. `event_time` is the newest occurred_at in what it was made of, as text."""

    name: str
    number: int
    state: State
    definition: str
    sources: Sources
    minutes: int | None = None
    """Between two times that it is made anew; None where it is kept change by change."""
    rows: int = 0
    event_time: str | None = None
    checkpoints: str = "[]"
    refreshed_at: object = None
    """As the engine keeps it."""
    problem: str | None = None


class Registry:
    """The table of reports, in the transaction of this connection."""

    def __init__(self, connection: Connection, table: TableClause, now: str) -> None:
        self._connection = connection
        self._table = table
        self.now = now

    def all(self) -> list[ReportRevision]:
        """By name and number."""
        return self._selected()

    def of(self, name: str) -> list[ReportRevision]:
        """Of one report."""
        return self._selected(self._table.c.name == name)

    def _selected(self, *which: ColumnElement[bool]) -> list[ReportRevision]:
        c = self._table.c
        query = select(*(c[name] for name in REPORT_COLUMNS)).where(*which).order_by(c.name, c.number)
        return [_standing(*row) for row in self._connection.execute(query)]

    def live(self, name: str) -> ReportRevision | None:
        return live_of(self.of(name))

    def is_due(self, standing: ReportRevision) -> bool:
        """Whether it is time to make it anew."""
        if standing.minutes is None or standing.refreshed_at is None:
            return True
        age = _moment(self.now) - _moment(standing.refreshed_at)
        return age >= timedelta(minutes=standing.minutes)

    def next_number(self, name: str) -> int:
        """One that no revision there is has."""
        c = self._table.c
        newest: int = self._connection.execute(
            select(func.coalesce(func.max(c.number), 0)).where(c.name == name)
        ).scalar_one()
        return newest + 1

    def add(
        self,
        name: str,
        number: int,
        definition: str,
        sources: Sources,
        minutes: int | None,
        problem: str | None = None,
    ) -> None:
        """A revision that is being built, or can't be."""
        self._connection.execute(
            insert(self._table).values(
                name=name,
                number=number,
                state="building",
                definition=definition,
                sources=json.dumps(sources, sort_keys=True),
                minutes=minutes,
                row_count=0,
                checkpoints="[]",
                problem=problem,
            )
        )

    def set(self, name: str, number: int, **values: object) -> None:
        """Say more of a revision."""
        c = self._table.c
        self._connection.execute(update(self._table).where(c.name == name, c.number == number).values(values))

    def refreshed(self, name: str, number: int, rows: int, event_time: str | None, checkpoints: str) -> None:
        """Now, without a problem."""
        self.set(
            name,
            number,
            state="live",
            row_count=rows,
            event_time=event_time,
            checkpoints=checkpoints,
            refreshed_at=self.now,
            problem=None,
        )

    def forget(self, name: str, number: int) -> None:
        c = self._table.c
        self._connection.execute(delete(self._table).where(c.name == name, c.number == number))


def live_of(standings: Iterable[ReportRevision]) -> ReportRevision | None:
    """The one that readers see, of the revisions of one report."""
    return next((each for each in standings if each.state == "live"), None)


def unfinished(standings: Iterable[ReportRevision]) -> list[ReportRevision]:
    """Revisions that a crash or a lost connection left with tables and triggers. Whoever holds the report may
    drop them: nobody else is building one."""
    return [each for each in standings if each.state == "building" and each.sources]


def _moment(given: object) -> datetime:
    """In UTC, of what an engine keeps: text, or a moment without a zone."""
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _standing(
    name: str, number: int, state: State, definition: str, sources: str, *more: Any
) -> ReportRevision:
    told = {entity: (revision, schema) for entity, (revision, schema) in json.loads(sources).items()}
    return ReportRevision(name, number, state, definition, told, *more)
