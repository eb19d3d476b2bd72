"""From the pending rows of a report to its units, in tables of a session."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlglot import exp

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.definition.flatten import Expression
from consumers.reporting.definition.report import Report
from consumers.reporting.definition.sql_types import TEXT, with_type
from consumers.reporting.refresh.dialect import EXISTED, KEY_HASH, Dialect, column, typed
from consumers.reporting.refresh.freshness import Sources
from consumers.reporting.refresh.statements import newest_of, null_patterns, union_all
from consumers.reporting.refresh.unit_walk import UnitWalk

FOUND = "found"


class Changes:
    """Statements for one revision of a report, which stands on these revisions of staging."""

    def __init__(self, dialect: Dialect, report: Report, number: int, sources: Sources) -> None:
        self._dialect = dialect
        self._report = report
        self._number = number
        self._sources = sources
        self.entities = tuple(report.images)

    def waiting(self) -> str:
        """A query: of each entity its place, how many rows are pending, and how many replaced a row."""
        replaced = exp.func("COALESCE", exp.func("SUM", exp.case().when(f"{EXISTED} = 1", "1")), "0")
        selects = [
            exp.select(f"{place} AS place", "COUNT(*) AS pending", exp.alias_(replaced, "replaced")).from_(
                self._pending(entity)
            )
            for place, entity in enumerate(self.entities)
        ]
        return self._dialect.to_sql(union_all(selects))

    def take(self, entities: Collection[str]) -> list[str]:
        """Keeps what is pending."""
        return [
            self._dialect.keep(f"taken_{entity}", exp.select("*").from_(self._pending(entity)))
            for entity in entities
        ]

    def find(self, taken: Collection[str], replaced: Collection[str]) -> list[str]:
        """Keeps the units that the rows taken lead to. `replaced`: entities of which one replaced a row."""
        made = [*self.take(taken), *self._now(taken)]
        before: dict[str, Expression] = {name: self._temporary("before", name) for name in replaced}
        for entity in taken:
            was = self._was(entity)
            if entity in before:
                made.append(self._keep("before", entity, was))
            now = exp.select(*self._images(entity)).from_(self._temporary("now", entity))
            either = exp.union(was, now.where("_deleted = 0"), distinct=True)
            made.append(self._keep("changed", entity, either))
        unit, of_report = self._report.unit, self._dialect.report(self._report.name, self._number)
        no_unit = exp.select(*map(column, unit)).from_(of_report).where("1 = 0")
        made.append(self._dialect.keep(FOUND, no_unit))
        made += dict.fromkeys(self._ways(taken, before))
        columns = [typed(self._report, name) for name in unit]
        units = exp.select(*columns).distinct().from_(self._dialect.temporary(FOUND))
        return [*made, self._dialect.keep(UNITS, units)]

    def _ways(self, taken: Collection[str], before: Mapping[str, Expression]) -> Iterator[str]:
        live = {
            name: self._dialect.live(name, self._sources[name][0], images)
            for name, images in self._report.images.items()
        }
        changed = {name: self._temporary("changed", name) for name in taken}
        found = self._dialect.temporary(FOUND)
        for number, route in enumerate(self._report.derivation.routes if self._report.derivation else ()):
            entity = route.refs[route.changed]
            if entity in taken:
                walk = UnitWalk(self._dialect, route, number, before, live)
                yield from walk.statements(changed[entity], self._report.unit, found)

    def _was(self, entity: str) -> exp.Select:
        rows = exp.select(*self._images(entity)).distinct().from_(self._temporary("taken", entity))
        return rows.where(f"{EXISTED} = 1")

    def _images(self, entity: str) -> list[Expression]:
        return [column(name) for name in self._report.images[entity]] or [exp.alias_("1", "_none")]

    def _now(self, taken: Collection[str]) -> Iterator[str]:
        """Keeps the rows whose keys were taken, as they are, deleted ones too."""
        for entity in taken:
            shared = self._report.derivation.shared_keys.get(entity) if self._report.derivation else None
            keys = exp.select(column(KEY_HASH)).distinct().from_(self._temporary("taken", entity))
            own = self._rows_with(entity, {KEY_HASH: KEY_HASH}, keys)
            if shared:
                yield self._keep("own", entity, own)
                own = self._rows_of(entity, shared)
            yield self._keep("now", entity, own)

    def _rows_of(self, entity: str, shared: Sequence[str]) -> exp.Select:
        """Rows of staging with the keys of rows taken, whatever their source."""
        now, was = (
            exp.select(*map(column, shared)).from_(self._temporary(kind, entity)) for kind in ("own", "taken")
        )
        keys = exp.union(now, was.where(f"{EXISTED} = 1"), distinct=True)
        own = dict(zip(shared, self._dialect.stored(entity, shared), strict=True))
        return self._rows_with(entity, own, keys)

    def _rows_with(self, entity: str, key: Mapping[str, str], keys: exp.Query) -> exp.Select:
        """Rows of staging with these keys. `key`: its columns' names there, by those in `keys`."""
        rows = exp.alias_(self._dialect.physical(entity, self._sources[entity][0]), "t", table=True)
        images = self._dialect.images(entity, self._report.images[entity], "t")
        same_key = exp.and_(*(self._same_key(entity, own, name) for name, own in key.items()))
        query = exp.select(*images, column("_deleted", "t"), column("_occurred_at", "t"))
        return query.from_(keys.subquery("k")).join(rows, join_type="cross").where(same_key)

    def _same_key(self, entity: str, own: str, name: str) -> Expression:
        """Text by the index of reports: rows too many lead to units too many, which are right."""
        made = exp.EQ(this=column(own, "t"), expression=column(name, "k"))
        is_text = own in self._dialect.tables[entity].texts
        for each in (made.this, made.expression) if is_text else ():
            with_type(each, TEXT)
        return made

    def units(self) -> str:
        """A query: how many units there are of each pattern of NULL."""
        return self._dialect.to_sql(null_patterns(self._report.unit, self._dialect.temporary(UNITS)))

    def newest(self, taken: Collection[str]) -> str:
        """A query for the newest moment of what the rows taken are now."""
        return self._dialect.to_sql(newest_of([self._temporary("now", entity) for entity in taken]))

    def ended(self, taken: Collection[str]) -> list[str]:
        """Removes exactly what was taken: rows with lesser numbers may have come since."""
        return [*self._removed(taken), *self.forgotten(taken)]

    def _removed(self, taken: Collection[str]) -> Iterator[str]:
        for entity in taken:
            yield self._dialect.remove(self._pending(entity), self._temporary("taken", entity))

    def forgotten(self, taken: Collection[str]) -> Iterator[str]:
        """Drops the tables of the session."""
        for kind in ("taken", "own", "now", "before", "changed"):
            yield from (self._dialect.forget(f"{kind}_{entity}") for entity in taken)
        yield from (self._dialect.forget(name) for name in (FOUND, UNITS))

    def _pending(self, entity: str) -> exp.Table:
        return self._dialect.pending(self._report, self._number, entity)

    def _keep(self, kind: str, entity: str, query: exp.Query) -> str:
        return self._dialect.keep(f"{kind}_{entity}", query)

    def _temporary(self, kind: str, entity: str) -> exp.Table:
        return self._dialect.temporary(f"{kind}_{entity}")
