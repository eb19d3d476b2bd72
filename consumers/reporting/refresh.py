"""What one refresh does in its transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Literal, Protocol

from sqlglot import exp

from consumers.reporting.dialect import EXISTED, ID, KEY_HASH, Dialect, column
from consumers.reporting.flatten import Expression
from consumers.reporting.registry import Registry, Sources, Standing
from consumers.reporting.report import Report
from consumers.reporting.statements import Relations, null_patterns, of_units, same, timed, unit_selects
from schemas.errors import ConfigurationError

LARGEST_SHARE = 0.3
"""Of a report's rows. Where more units changed the whole is made anew, into a table of its own."""
FEWEST = 10_000
"""Units that are always made one by one, however small the report."""


class Session(Protocol):
    """One transaction."""

    registry: Registry

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query gives."""

    def run(self, statement: str) -> None: ...

    def changed(self, statement: str) -> int:
        """How many rows an INSERT or DELETE changed."""

    def live(self, entities: Sequence[str]) -> Sources:
        """What readers of staging see."""

    def checkpoints(self) -> list[tuple[Any, ...]]:
        """Stream, shard and sequence number of the live consumers."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did. It took `changes` pending rows, made `units` anew, and the report has `rows`."""

    how: Literal["nothing", "units", "whole"]
    changes: int = 0
    units: int = 0
    rows: int = 0


def refresh_units(session: Session, dialect: Dialect, report: Report, standing: Standing) -> Refreshed | None:
    """Makes the units of what is pending anew. None, with nothing written, where they are too many."""
    return _Refresh(session, dialect, report, standing.number, standing.sources).units(standing)


def refresh_whole(session: Session, dialect: Dialect, report: Report, number: int) -> Refreshed:
    """Fills a new revision, and shows it."""
    return _Refresh(session, dialect, report, number, session.live(report.entities)).whole()


def differences(session: Session, dialect: Dialect, report: Report, standing: Standing) -> list[str]:
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
        self._images = report.images
        self._made_of = (report.definition, number, *sorted(sources.items()))
        self._query = timed(report.query, session.registry.now)

    # The whole

    def whole(self) -> Refreshed:
        changes = sum(self._take(entity) for entity in self._images)
        rows = self._write(exp.insert(self._query.copy(), self._table.copy(), columns=self._columns()))
        self._check_key()
        self._remove_taken()
        moments = [
            self._newest(self._dialect.physical(name, self._sources[name][0])) for name in self._sources
        ]
        self._end(rows, max(filter(None, moments), default=None))
        for statement in self._dialect.show(self._report.name, self._number):
            self._session.run(statement)
        return Refreshed("whole", changes, 0, rows)

    # Unit by unit

    def units(self, standing: Standing) -> Refreshed | None:
        if not any(self._count(self._pending(entity)) for entity in self._images):
            return Refreshed("nothing", rows=standing.rows)
        taken = {entity: self._take(entity) for entity in self._images}
        units = self._find_units([entity for entity, count in taken.items() if count])
        if units > max(FEWEST, LARGEST_SHARE * standing.rows):
            self._forget_all()
            return None
        rows = standing.rows + self._remake()
        self._remove_taken()
        moments = [
            standing.event_time,
            *(self._newest(self._temporary("now", name)) for name in self._images),
        ]
        self._end(rows, max(filter(None, moments), default=None))
        return Refreshed("units", sum(taken.values()), units, rows)

    def _take(self, entity: str) -> int:
        """What is pending, into a table of this session."""
        return self._keep("taken", entity, exp.select("*").from_(self._pending(entity)))

    def _find_units(self, entities: Sequence[str]) -> int:
        before, changed, live = self._relations(entities)
        unit, found = self._report.unit, self._dialect.temporary("found")
        of_report = exp.select(*(column(name) for name in unit)).from_(self._table.copy()).where("1 = 0")
        self._keep("found", "", of_report)

        def made() -> list[str]:
            ways = self._report.derivation.ways if self._report.derivation else ()
            selects = (
                select
                for way in ways
                if way.places[way.changed] in entities
                for select in unit_selects(way, unit, changed, before, live)
            )
            return list(
                dict.fromkeys(self._dialect.written(exp.insert(each, found.copy())) for each in selects)
            )

        for statement in self._dialect.once((*self._made_of, "find", *entities, "before", *before), made):
            self._session.run(statement)
        return self._keep("units", "", exp.select("*").distinct().from_(found.copy()))

    def _relations(self, entities: Sequence[str]) -> tuple[Relations, Relations, Relations]:
        """Rows as they were, rows that changed as they were and as they are, and rows as they are."""
        before: dict[str, Expression] = {}
        changed: dict[str, Expression] = {}
        live = {name: self._live(name) for name in self._images}
        for entity in self._images:
            self._keep("now", entity, self._now(entity))
        for entity in entities:
            images: list[Expression] = [column(name) for name in self._images[entity]]
            images = images or [exp.alias_("1", "_none")]
            was = (
                exp.select(*images).distinct().from_(self._temporary("taken", entity)).where(f"{EXISTED} = 1")
            )
            if self._keep("before", entity, was):
                before[entity] = self._temporary("before", entity)
            now = exp.select(*images).from_(self._temporary("now", entity)).where("_deleted = 0")
            either = exp.union(was, now, distinct=True)
            self._keep("changed", entity, either)
            changed[entity] = self._temporary("changed", entity)
        return before, changed, live

    def _live(self, entity: str) -> exp.Select:
        return self._dialect.live(entity, self._sources[entity][0], self._images[entity])

    def _now(self, entity: str) -> exp.Select:
        """The rows whose keys were taken, as they are, deleted ones too."""
        shared = self._report.derivation.shared_keys.get(entity) if self._report.derivation else None
        taken = exp.select(column(KEY_HASH)).distinct().from_(self._temporary("taken", entity))
        if not shared:
            return self._rows_with(entity, {KEY_HASH: KEY_HASH}, taken)
        names = {shown: name for name, shown in self._dialect.tables[entity].shown}
        own = {name: names[name] for name in shared}
        self._keep("own", entity, self._rows_with(entity, {KEY_HASH: KEY_HASH}, taken))
        keys = [
            exp.select(*map(column, shared)).from_(self._temporary(kind, entity)) for kind in ("own", "taken")
        ]
        there = keys[1].where(f"{EXISTED} = 1")
        return self._rows_with(entity, own, exp.union(keys[0], there, distinct=True))

    def _rows_with(self, entity: str, key: Mapping[str, str], keys: exp.Query) -> exp.Select:
        """Rows of staging with these keys. `key`: its columns' names there, by those in `keys`."""
        rows = exp.alias_(self._dialect.physical(entity, self._sources[entity][0]), "t", table=True)
        images = self._dialect.images(entity, self._images[entity], "t")
        same_key = exp.and_(
            *(exp.EQ(this=column(own, "t"), expression=column(name, "k")) for name, own in key.items())
        )
        query = exp.select(*images, column("_deleted", "t"), column("_occurred_at", "t"))
        return query.from_(keys.subquery("k")).join(rows, join_type="cross").where(same_key)

    def _remake(self) -> int:
        """How many rows more there are."""
        unit, units = self._report.unit, self._dialect.temporary("units")
        more = 0
        for flags in self._session.rows(self._dialect.written(null_patterns(unit, units))):
            nulls = [name for name, is_null in zip(unit, flags, strict=True) if is_null]
            delete, insert, of_unit = self._dialect.once(
                (*self._made_of, "remake", *nulls), partial(self._remaking, nulls)
            )
            more -= self._session.changed(delete)
            more += self._session.changed(insert)
            self._check_key(of_unit)
        return more

    def _remaking(self, nulls: Sequence[str]) -> list[str]:
        """What deletes the rows of units, what makes them, and the condition that tells them."""
        unit, units = self._report.unit, self._dialect.temporary("units")
        condition = same({name: column(name, "t") for name in unit}, nulls)
        query = of_units(self._query, unit, nulls, units)
        return [
            self._dialect.delete(self._table, units, condition),
            self._dialect.written(exp.insert(query, self._table.copy(), columns=self._columns())),
            self._dialect.written(condition),
        ]

    def differences(self) -> list[str]:
        columns = [column(name) for name in self._report.columns]
        table = exp.select(*columns).from_(self._table.copy())
        made = exp.select(*columns).from_(self._query.copy().subquery("q"))
        found: set[str] = set()
        for one, other in ((table, made), (made, table)):
            rows = self._session.rows(self._dialect.written(exp.except_(one.copy(), other.copy())))
            found.update(self._hash_of(row) for row in rows)
        return sorted(found)[:10]

    def _hash_of(self, row: Sequence[Any]) -> str:
        key = [row[self._report.columns.index(name)] for name in self._report.key]
        return sha256(repr(key).encode()).hexdigest()[:16]

    # Both

    def _columns(self) -> list[exp.Identifier]:
        return [exp.to_identifier(name, quoted=True) for name in self._report.columns]

    def _temporary(self, kind: str, entity: str) -> exp.Table:
        return self._dialect.temporary(f"{kind}_{entity}" if entity else kind)

    def _keep(self, kind: str, entity: str, query: exp.Query) -> int:
        name = f"{kind}_{entity}" if entity else kind
        for statement in self._dialect.keep(name, query):
            self._session.run(statement)
        return self._count(self._dialect.temporary(name))

    def _count(self, table: exp.Table) -> int:
        counted = exp.select("COUNT(*)").from_(table.copy())
        count: int = self._session.rows(self._dialect.written(counted))[0][0]
        return count

    def _write(self, tree: Expression) -> int:
        return self._session.changed(self._dialect.written(tree))

    def _pending(self, entity: str) -> exp.Table:
        return self._dialect.pending(self._report, self._number, entity)

    def _remove_taken(self) -> None:
        """Exactly those: rows with lesser numbers may have come since."""
        for entity in self._images:
            taken = exp.select(column(ID)).from_(self._temporary("taken", entity))
            is_taken = exp.In(this=column(ID), query=taken.subquery())
            self._write(exp.delete(self._pending(entity)).where(is_taken))

    def _newest(self, rows: exp.Table) -> str | None:
        query = exp.select(exp.Max(this=column("_occurred_at"))).from_(rows.copy())
        newest = self._session.rows(self._dialect.written(query))[0][0]
        return None if newest is None else str(newest)

    def _end(self, rows: int, event_time: str | None) -> None:
        checkpoints = json.dumps(self._session.checkpoints())
        self._session.registry.refreshed(self._report.name, self._number, rows, event_time, checkpoints)
        self._forget_all()

    def _forget_all(self) -> None:
        kinds = ("taken", "before", "changed", "own", "now")
        names = [f"{kind}_{entity}" for kind in kinds for entity in self._images]
        for name in [*names, "found", "units"]:
            self._session.run(self._dialect.forget(name))

    def _check_key(self, only: str = "") -> None:
        """Raises ConfigurationError that tells clashing keys by hashes alone (INV-7)."""
        clashes = self._session.rows(self._dialect.clashes(self._report, self._table, only))
        if clashes:
            hashes = ", ".join(sorted(sha256(repr(each).encode()).hexdigest()[:16] for each in clashes))
            raise ConfigurationError(
                f"report {self._report.name}: its key {', '.join(self._report.key)} is not unique; hashes of "
                f"keys that have several rows: {hashes}"
            )
