"""What one refresh does in its transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from typing import Any, Literal, Protocol, TypeVar

from sqlglot import exp

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.definition.report import Report
from consumers.reporting.refresh.changes import Changes
from consumers.reporting.refresh.dialect import Dialect, typed
from consumers.reporting.refresh.freshness import Registry, ReportRevision, Sources
from consumers.reporting.refresh.statements import at_time, matches_unit, newest_of, restricted_to_units
from consumers.warehouse.indexes import IndexColumns, Indexes
from schemas.errors import ConfigurationError

T = TypeVar("T")

LARGEST_SHARE = 0.5
"""Of a report's rows. Where more units changed the whole is made anew, into a table of its own."""
FEWEST = 10_000
"""Units that are always made one by one, however small the report."""


class Session(Protocol):
    """One transaction."""

    registry: Registry

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query gives."""

    def run(self, *statements: str) -> None:
        """In one go, where the engine takes several."""

    def changed(self, *statements: str) -> list[int]:
        """How many rows each INSERT or DELETE changed."""

    def live(self, entities: Sequence[str]) -> Sources:
        """What readers of staging see."""

    def indexes(self, entity: str) -> Indexes:
        """Of the live table of staging."""

    def create_index(self, entity: str, columns: IndexColumns) -> None:
        """On the live table; those made later get it as well."""

    def checkpoints(self) -> list[tuple[Any, ...]]:
        """Stream, shard and sequence number of the live consumers."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did. It took `changes` pending rows, made `units` anew, and the report has `rows`."""

    how: Literal["nothing", "units", "whole"]
    changes: int = 0
    units: int = 0
    rows: int = 0


def refresh_units(
    session: Session, dialect: Dialect, report: Report, standing: ReportRevision
) -> Refreshed | None:
    """Makes the units of what is pending anew. None, with nothing written, where they are too many."""
    return _Refresh(session, dialect, report, standing.number, standing.sources).units(standing)


def refresh_whole(session: Session, dialect: Dialect, report: Report, number: int) -> Refreshed:
    """Fills a new revision, and shows it."""
    return _Refresh(session, dialect, report, number, session.live(report.entities)).whole()


def differences(session: Session, dialect: Dialect, report: Report, standing: ReportRevision) -> list[str]:
    """Hashes of keys whose rows are not what the query gives now, ten at most. Nothing may be pending."""
    return _Refresh(session, dialect, report, standing.number, standing.sources).differences()


class _Refresh:
    def __init__(
        self, session: Session, dialect: Dialect, report: Report, number: int, sources: Sources
    ) -> None:
        self._session = session
        self._dialect = dialect
        self._report = report
        self._number = number
        self._sources = sources
        self._table = dialect.report(report.name, number)
        self._changes = Changes(dialect, report, number, sources)
        self._made_of = (report.name, report.definition, number, *sorted(sources.items()))

    @cached_property
    def _query(self) -> exp.Query:
        """Made where it is asked for: mostly nothing is pending."""
        return at_time(self._report.query, self._session.registry.now)

    def whole(self) -> Refreshed:
        taken = self._waiting()
        self._session.run(*self._once(("take", *taken), self._changes.take, taken))
        insert = exp.insert(self._query.copy(), self._table.copy(), columns=self._columns())
        (rows,) = self._session.changed(self._dialect.to_sql(insert))
        self._check_key(self._dialect.clashes(self._report, self._table, ""))
        tables = [self._dialect.physical(name, number) for name, (number, _) in self._sources.items()]
        newest = self._newest(self._dialect.to_sql(newest_of(tables))) if tables else None
        self._end(taken, rows, newest)
        for statement in self._dialect.show(self._report.name, self._number):
            self._session.run(statement)  # CREATE VIEW stands alone
        return Refreshed("whole", _pending(taken), 0, rows)

    def units(self, standing: ReportRevision) -> Refreshed | None:
        taken = self._waiting()
        if not taken:
            return Refreshed("nothing", rows=standing.rows)
        replaced = [entity for entity, (_, replaced) in taken.items() if replaced]
        find = self._once(("find", *taken, "replaced", *replaced), self._changes.find, taken, replaced)
        self._session.run(*find)
        patterns = self._session.rows(self._once(("units",), self._changes.units))
        units = sum(count for *_, count in patterns)
        if units > max(FEWEST, LARGEST_SHARE * standing.rows):
            self._session.run(*self._changes.forgotten(taken))
            return None
        rows = standing.rows + sum(self._remake(flags) for *flags, _ in patterns)
        newest = self._newest(self._once(("newest", *taken), self._changes.newest, taken))
        self._end(taken, rows, max(filter(None, [standing.event_time, newest]), default=None))
        return Refreshed("units", _pending(taken), units, rows)

    def _waiting(self) -> dict[str, tuple[int, int]]:
        """Of each entity that has pending rows: how many, and how many of these replaced a row."""
        entities = self._changes.entities
        counted = self._session.rows(self._once(("waiting",), self._changes.waiting)) if entities else []
        return {entities[place]: (pending, replaced) for place, pending, replaced in counted if pending}

    def _remake(self, flags: Sequence[int]) -> int:
        """Of the units with NULL where a flag is. How many rows more there are."""
        nulls = [name for name, is_null in zip(self._report.unit, flags, strict=True) if is_null]
        delete, insert, clashes = self._once(("remake", *nulls), self._remaking, nulls)
        gone, made = self._session.changed(delete, insert)
        self._check_key(clashes)
        return made - gone

    def _once(self, what: tuple[object, ...], make: Callable[..., T], *given: object) -> T:
        return self._dialect.once((*self._made_of, *what), partial(make, *given))

    def _remaking(self, nulls: Sequence[str]) -> list[str]:
        """What deletes the rows of units, what makes them, and a query for keys of theirs that clash."""
        unit, units = self._report.unit, self._dialect.temporary(UNITS)
        condition = matches_unit({name: typed(self._report, name, "t") for name in unit}, nulls)
        query = restricted_to_units(self._query, unit, nulls, units)
        return [
            self._dialect.delete(self._table, units, condition),
            self._dialect.to_sql(exp.insert(query, self._table.copy(), columns=self._columns())),
            self._dialect.clashes(self._report, self._table, self._dialect.to_sql(condition)),
        ]

    def differences(self) -> list[str]:
        columns = [
            *(typed(self._report, name) for name in self._report.columns),
            *self._dialect.exactly(self._report),
        ]
        table = exp.select(*columns).from_(self._table.copy())
        made = exp.select(*columns).from_(self._query.copy().subquery("q"))
        found: set[str] = set()
        for one, other in ((table, made), (made, table)):
            rows = self._session.rows(self._dialect.to_sql(exp.except_(one.copy(), other.copy())))
            found.update(self._hash_of(row) for row in rows)
        return sorted(found)[:10]

    def _hash_of(self, row: Sequence[Any]) -> str:
        key = [row[self._report.columns.index(name)] for name in self._report.key]
        return sha256(repr(key).encode()).hexdigest()[:16]

    def _columns(self) -> list[exp.Identifier]:
        return [exp.to_identifier(name, quoted=True) for name in self._report.columns]

    def _newest(self, query: str) -> str | None:
        newest = self._session.rows(query)[0][0]
        return None if newest is None else str(newest)

    def _end(self, taken: Collection[str], rows: int, event_time: str | None) -> None:
        self._session.run(*self._once(("ended", *taken), self._changes.ended, taken))
        checkpoints = json.dumps(self._session.checkpoints())
        self._session.registry.refreshed(self._report.name, self._number, rows, event_time, checkpoints)

    def _check_key(self, query: str) -> None:
        check_key(self._session, self._report, query)


def check_key(session: Session, report: Report, query: str) -> None:
    """Raises ConfigurationError that tells the keys that a query finds to clash, by hashes alone (INV-7)."""
    if clashes := session.rows(query):
        hashes = ", ".join(sorted(sha256(repr(each).encode()).hexdigest()[:16] for each in clashes))
        raise ConfigurationError(
            f"report {report.name}: its key {', '.join(report.key)} is not unique; hashes of keys that have "
            f"several rows: {hashes}. Add to the key the column that tells them apart, or group by the key"
        )


def _pending(taken: Mapping[str, tuple[int, int]]) -> int:
    return sum(pending for pending, _ in taken.values())
