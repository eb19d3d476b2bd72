"""The registry of a warehouse's reports: their revisions, what each was built from, and how fresh it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, TableClause, delete, func, insert, select, update

from consumers.warehouse.system import REPORT_COLUMNS

ReportState: TypeAlias = Literal["building", "live"]
_NEVER = datetime.min.replace(tzinfo=UTC)
Sources: TypeAlias = Mapping[str, tuple[int, str]]
"""The live revision and the fingerprint of the schema (hex) of every entity that a report reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRevision:
    """One revision of a report.

    `event_time`: the newest occurred_at among the rows that it was built from, as text.
    """

    name: str
    number: int
    state: ReportState
    definition: str
    sources: Sources
    minutes: int | None = None
    """Interval of full refreshes; None where it is kept change by change."""
    rows: int = 0
    event_time: str | None = None
    checkpoints: str = "[]"
    refreshed_at: object = None
    """The time of the last refresh, in the type that the engine returns."""
    problem: str | None = None


class Registry:
    """The table of reports, in the transaction of this connection."""

    def __init__(self, connection: Connection, table: TableClause, now: str) -> None:
        self._connection = connection
        self._table = table
        self.now = now

    def all(self) -> list[ReportRevision]:
        """Return all revisions, by name and number."""
        return self._selected()

    def of(self, name: str) -> list[ReportRevision]:
        """Return the revisions of one report."""
        return self._selected(self._table.c.name == name)

    def _selected(self, *which: ColumnElement[bool]) -> list[ReportRevision]:
        c = self._table.c
        query = select(*(c[name] for name in REPORT_COLUMNS)).where(*which).order_by(c.name, c.number)
        return [_revision(row) for row in self._connection.execute(query)]

    def live(self, name: str) -> ReportRevision | None:
        return live_of(self.of(name))

    def is_due(self, revision: ReportRevision) -> bool:
        """Return whether it is time for the next full refresh."""
        if revision.minutes is None or revision.refreshed_at is None:
            return True
        age = _moment(self.now) - _moment(revision.refreshed_at)
        return age >= timedelta(minutes=revision.minutes)

    def next_number(self, name: str) -> int:
        """Return a number greater than that of any existing revision."""
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
        """Add a revision that is being built, or can't be."""
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
        """Update columns of a revision."""
        c = self._table.c
        self._connection.execute(update(self._table).where(c.name == name, c.number == number).values(values))

    def refreshed(self, name: str, number: int, rows: int, event_time: str | None, checkpoints: str) -> None:
        """Record that a revision is live and was refreshed now, without a problem."""
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


def live_of(revisions: Iterable[ReportRevision]) -> ReportRevision | None:
    """Return the revision that readers see, of one report's revisions."""
    return next((revision for revision in revisions if revision.state == "live"), None)


def unfinished(revisions: Iterable[ReportRevision]) -> list[ReportRevision]:
    """Return revisions that a crash or a lost connection left with tables and triggers.

    The holder of the report may drop them: no other process is building one.
    """
    # Without sources it is the record of a failed attempt, which has no tables.
    return [revision for revision in revisions if revision.state == "building" and revision.sources]


def due_order(revisions: Iterable[ReportRevision], names: Iterable[str]) -> list[str]:
    """Return the names of reports in the order in which to refresh them.

    The longest ago come first, and before them reports without a table. Reports with a problem come after
    all others, and last those whose rebuild was interrupted: if one is too slow for the time that its process
    has, it must not be the first one again, before any other has its turn.
    """
    by_name: dict[str, list[ReportRevision]] = {}
    for revision in revisions:
        by_name.setdefault(revision.name, []).append(revision)

    def key(name: str) -> tuple[bool, bool, datetime, str]:
        known = by_name.get(name, [])
        refreshed = [_moment(each.refreshed_at) for each in known if each.refreshed_at is not None]
        problem = any(revision.problem for revision in known)
        return bool(unfinished(known)), problem, max(refreshed, default=_NEVER), name

    return sorted(names, key=key)


def _moment(value: object) -> datetime:
    """Return the moment in UTC of a stored value: text, or a datetime without a zone."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    # DATETIME2 and SQLite's text have no zone; both engines store UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _revision(row: Sequence[Any]) -> ReportRevision:
    values = dict(zip(REPORT_COLUMNS, row, strict=True))
    # JSON has no tuples, and revisions are compared with tuples.
    sources = {entity: tuple(source) for entity, source in json.loads(values["sources"]).items()}
    rows = values.pop("row_count")
    return ReportRevision(**{**values, "sources": sources, "rows": rows})
