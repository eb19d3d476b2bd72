"""The work of one refresh within its transaction."""

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

MAX_SHARE = 0.5
"""Share of a report's rows: if more units changed, the whole report is rebuilt in a table of its own."""
MIN_UNITS = 10_000
"""Number of units that are recomputed one by one, however small the report."""


class Session(Protocol):
    """One transaction."""

    registry: Registry

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""

    def run(self, *statements: str) -> None:
        """Run statements, in one batch where the engine allows it."""

    def changed(self, *statements: str) -> list[int]:
        """Run INSERT or DELETE statements, and return how many rows each changed."""

    def live(self, entities: Sequence[str]) -> Sources:
        """Return the live revisions of entities, which readers of staging see."""

    def indexes(self, entity: str) -> Indexes:
        """Return the indexes on the live table of an entity."""

    def create_index(self, entity: str, columns: IndexColumns) -> None:
        """Create an index on the live table; tables of later revisions get it as well."""

    def checkpoints(self) -> list[tuple[Any, ...]]:
        """Return stream, shard and sequence number of the live consumers."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The outcome of a refresh: it took `changes` pending rows and recomputed `units`; the report has
    `rows`."""

    how: Literal["nothing", "units", "whole"]
    changes: int = 0
    units: int = 0
    rows: int = 0


def refresh_units(
    session: Session, dialect: Dialect, report: Report, revision: ReportRevision
) -> Refreshed | None:
    """Recompute the units of the pending rows. Return None, with nothing written, if they are too many."""
    return _Refresh(session, dialect, report, revision.number, revision.sources).units(revision)


def refresh_whole(session: Session, dialect: Dialect, report: Report, number: int) -> Refreshed:
    """Fill a new revision and point the view at it."""
    return _Refresh(session, dialect, report, number, session.live(report.entities)).whole()


def differences(session: Session, dialect: Dialect, report: Report, revision: ReportRevision) -> list[str]:
    """Return hashes of at most ten keys whose rows differ from what the query returns now.

    Nothing may be pending.
    """
    return _Refresh(session, dialect, report, revision.number, revision.sources).differences()


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
        self._cache_key = (report.name, report.definition, number, *sorted(sources.items()))

    @cached_property
    def _query(self) -> exp.Query:
        """The report's SELECT as of this transaction, built on first use: most refreshes find nothing
        pending."""
        return at_time(self._report.query, self._session.registry.now)

    def whole(self) -> Refreshed:
        # The pending rows that this snapshot sees are changes that its SELECT sees, too.
        taken = self._waiting()
        self._session.run(*self._cached(("take", *taken), self._changes.take, taken))
        insert = exp.insert(self._query.copy(), self._table.copy(), columns=self._columns())
        (rows,) = self._session.changed(self._dialect.to_sql(insert))
        self._check_key(self._dialect.duplicate_keys(self._report, self._table, ""))
        tables = [self._dialect.physical(name, number) for name, (number, _) in self._sources.items()]
        newest = self._newest(self._dialect.to_sql(newest_of(tables))) if tables else None
        self._finish(taken, rows, newest)
        for statement in self._dialect.point_view(self._report.name, self._number):
            self._session.run(statement)  # CREATE VIEW must be the only statement of its batch
        return Refreshed("whole", _pending(taken), 0, rows)

    def units(self, revision: ReportRevision) -> Refreshed | None:
        taken = self._waiting()
        if not taken:
            return Refreshed("nothing", rows=revision.rows)
        replaced = [entity for entity, (_, replaced) in taken.items() if replaced]
        # The statements depend on which entities have pending rows, and which of them replaced rows.
        find = self._cached(
            ("find", *taken, "replaced", *replaced), self._changes.find_units, taken, replaced
        )
        self._session.run(*find)
        patterns = self._session.rows(self._cached(("units",), self._changes.units))
        units = sum(count for *_, count in patterns)
        # Recomputing most of the report by its units costs more than a rebuild.
        if units > max(MIN_UNITS, MAX_SHARE * revision.rows):
            self._session.run(*self._changes.drop_temporaries(taken))
            return None
        rows = revision.rows + sum(self._recompute(flags) for *flags, _ in patterns)
        newest = self._newest(self._cached(("newest", *taken), self._changes.newest, taken))
        self._finish(taken, rows, max(filter(None, [revision.event_time, newest]), default=None))
        return Refreshed("units", _pending(taken), units, rows)

    def _waiting(self) -> dict[str, tuple[int, int]]:
        """Return how many rows are pending, and how many of them replaced a row, by entity.

        Entities without pending rows are left out.
        """
        entities = self._changes.entities
        counted = self._session.rows(self._cached(("waiting",), self._changes.waiting)) if entities else []
        return {entities[index]: (pending, replaced) for index, pending, replaced in counted if pending}

    def _recompute(self, flags: Sequence[int]) -> int:
        """Recompute the units with NULL where a flag is 1. Return by how many rows the report grew."""
        nulls = [name for name, is_null in zip(self._report.unit, flags, strict=True) if is_null]
        delete, insert, clashes = self._cached(("remake", *nulls), self._recompute_statements, nulls)
        # Delete first: after the INSERT the condition would match the new rows as well.
        deleted, inserted = self._session.changed(delete, insert)
        self._check_key(clashes)
        return inserted - deleted

    def _cached(self, key: tuple[object, ...], build: Callable[..., T], *arguments: object) -> T:
        return self._dialect.cached((*self._cache_key, *key), partial(build, *arguments))

    def _recompute_statements(self, nulls: Sequence[str]) -> list[str]:
        """Return statements that delete and insert the rows of units, and a query for their duplicate
        keys."""
        unit, units = self._report.unit, self._dialect.temporary(UNITS)
        condition = matches_unit({name: typed(self._report, name, "t") for name in unit}, nulls)
        query = restricted_to_units(self._query, unit, nulls, units)
        return [
            self._dialect.delete(self._table, units, condition),
            self._dialect.to_sql(exp.insert(query, self._table.copy(), columns=self._columns())),
            self._dialect.duplicate_keys(self._report, self._table, self._dialect.to_sql(condition)),
        ]

    def differences(self) -> list[str]:
        columns = [
            *(typed(self._report, name) for name in self._report.columns),
            *self._dialect.length_columns(self._report),
        ]
        table = exp.select(*columns).from_(self._table.copy())
        recomputed = exp.select(*columns).from_(self._query.copy().subquery("q"))
        hashes: set[str] = set()
        # EXCEPT in both directions finds missing, additional and different rows.
        for left, right in ((table, recomputed), (recomputed, table)):
            rows = self._session.rows(self._dialect.to_sql(exp.except_(left.copy(), right.copy())))
            hashes.update(self._hash_of(row) for row in rows)
        return sorted(hashes)[:10]

    def _hash_of(self, row: Sequence[Any]) -> str:
        key = [row[self._report.columns.index(name)] for name in self._report.key]
        return sha256(repr(key).encode()).hexdigest()[:16]

    def _columns(self) -> list[exp.Identifier]:
        return [exp.to_identifier(name, quoted=True) for name in self._report.columns]

    def _newest(self, query: str) -> str | None:
        newest = self._session.rows(query)[0][0]
        return None if newest is None else str(newest)

    def _finish(self, taken: Collection[str], rows: int, event_time: str | None) -> None:
        self._session.run(*self._cached(("ended", *taken), self._changes.finish, taken))
        # Read in the same snapshot, so that they are those of the rows that the SELECT saw.
        checkpoints = json.dumps(self._session.checkpoints())
        self._session.registry.refreshed(self._report.name, self._number, rows, event_time, checkpoints)

    def _check_key(self, query: str) -> None:
        check_key(self._session, self._report, query)


def check_key(session: Session, report: Report, query: str) -> None:
    """Raise ConfigurationError with hashes of the keys that the query returns as duplicates (INV-7: no
    values)."""
    if clashes := session.rows(query):
        hashes = ", ".join(sorted(sha256(repr(key).encode()).hexdigest()[:16] for key in clashes))
        raise ConfigurationError(
            f"report {report.name}: its key {', '.join(report.key)} is not unique; hashes of keys that have "
            f"several rows: {hashes}. Add to the key the column that distinguishes them, or group by the key"
        )


def _pending(taken: Mapping[str, tuple[int, int]]) -> int:
    return sum(pending for pending, _ in taken.values())
