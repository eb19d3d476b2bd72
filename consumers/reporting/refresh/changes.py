"""Statements that lead from the pending rows of a report to its units, through temporary tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlglot import exp

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.definition.report import Report
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.definition.sql_types import TEXT, with_type
from consumers.reporting.refresh.dialect import EXISTED, KEY_HASH, Dialect, column, typed
from consumers.reporting.refresh.freshness import Sources
from consumers.reporting.refresh.statements import newest_of, null_patterns, union_all
from consumers.reporting.refresh.unit_walk import UnitWalk

FOUND = "found"


class Changes:
    """Statements for one revision of a report, which reads these revisions of staging."""

    def __init__(self, dialect: Dialect, report: Report, number: int, sources: Sources) -> None:
        self._dialect = dialect
        self._report = report
        self._number = number
        self._sources = sources
        self.entities = tuple(report.images)

    def waiting(self) -> str:
        """Return a query for the index of each entity, how many rows are pending, and how many replaced a
        row."""
        replaced = exp.func("COALESCE", exp.func("SUM", exp.case().when(f"{EXISTED} = 1", "1")), "0")
        selects = [
            exp.select(f"{index} AS place", "COUNT(*) AS pending", exp.alias_(replaced, "replaced")).from_(
                self._pending(entity)
            )
            for index, entity in enumerate(self.entities)
        ]
        return self._dialect.to_sql(union_all(selects))

    def take(self, entities: Collection[str]) -> list[str]:
        """Return statements that copy the pending rows into temporary tables."""
        return [
            self._dialect.create_temporary(f"taken_{entity}", exp.select("*").from_(self._pending(entity)))
            for entity in entities
        ]

    def find_units(self, taken: Collection[str], replaced: Collection[str]) -> list[str]:
        """Return statements that find the units which the taken rows lead to.

        `replaced`: entities of which a pending row replaced a row of staging.
        """
        statements = [*self.take(taken), *self._keep_now(taken)]
        # Only where a row was replaced can rows before a change differ from rows now: inserts have none.
        before: dict[str, Expression] = {name: self._temporary("before", name) for name in replaced}
        for entity in taken:
            was = self._rows_before(entity)
            if entity in before:
                statements.append(self._keep("before", entity, was))
            # A row deleted by now leads to no unit as it is; as it was it still does.
            now = exp.select(*self._image_columns(entity)).from_(self._temporary("now", entity))
            either = exp.union(was, now.where("_deleted = 0"), distinct=True)
            statements.append(self._keep("changed", entity, either))
        unit, of_report = self._report.unit, self._dialect.report(self._report.name, self._number)
        # An empty SELECT over the report gives the temporary table the columns' types.
        no_unit = exp.select(*map(column, unit)).from_(of_report).where("1 = 0")
        statements.append(self._dialect.create_temporary(FOUND, no_unit))
        # Routes may yield equal statements: the dict drops repetitions and keeps the order.
        statements += dict.fromkeys(self._walk_routes(taken, before))
        # DISTINCT compares text as T-SQL does, by the type of the column.
        columns = [typed(self._report, name) for name in unit]
        units = exp.select(*columns).distinct().from_(self._dialect.temporary(FOUND))
        return [*statements, self._dialect.create_temporary(UNITS, units)]

    def _walk_routes(self, taken: Collection[str], before: Mapping[str, Expression]) -> Iterator[str]:
        """Yield the statements of every route that starts at an entity with taken rows."""
        # Joins to entities that did not change, and to current rows of those that did.
        live = {
            name: self._dialect.live_rows(name, self._sources[name][0], images)
            for name, images in self._report.images.items()
        }
        changed = {name: self._temporary("changed", name) for name in taken}
        target = self._dialect.temporary(FOUND)
        for number, route in enumerate(self._report.derivation.routes if self._report.derivation else ()):
            entity = route.refs[route.changed]
            # A route whose starting entity did not change finds nothing.
            if entity in taken:
                walk = UnitWalk(self._dialect, route, number, before, live)
                yield from walk.statements(changed[entity], self._report.unit, target)

    def _rows_before(self, entity: str) -> exp.Select:
        """Return the query for the rows before their changes."""
        rows = exp.select(*self._image_columns(entity)).distinct().from_(self._temporary("taken", entity))
        return rows.where(f"{EXISTED} = 1")

    def _image_columns(self, entity: str) -> list[Expression]:
        """Return the columns of a row's image; a constant where the report reads none."""
        return [column(name) for name in self._report.images[entity]] or [exp.alias_("1", "_none")]

    def _keep_now(self, taken: Collection[str]) -> Iterator[str]:
        """Yield statements that keep the current rows with the taken keys, deleted ones included."""
        for entity in taken:
            # With a shared key, a change in one source may uncover or hide the row of another source.
            shared = self._report.derivation.shared_keys.get(entity) if self._report.derivation else None
            # By the key hash, which is the primary key of a staging table.
            keys = exp.select(column(KEY_HASH)).distinct().from_(self._temporary("taken", entity))
            rows = self._rows_with(entity, {KEY_HASH: KEY_HASH}, keys)
            if shared:
                yield self._keep("own", entity, rows)
                rows = self._rows_of(entity, shared)
            yield self._keep("now", entity, rows)

    def _rows_of(self, entity: str, shared: Sequence[str]) -> exp.Select:
        """Return the query for rows of staging that have the key of a taken row, whatever their source."""
        now, was = (
            exp.select(*map(column, shared)).from_(self._temporary(kind, entity)) for kind in ("own", "taken")
        )
        keys = exp.union(now, was.where(f"{EXISTED} = 1"), distinct=True)
        key = dict(zip(shared, self._dialect.stored_names(entity, shared), strict=True))
        return self._rows_with(entity, key, keys)

    def _rows_with(self, entity: str, key: Mapping[str, str], keys: exp.Query) -> exp.Select:
        """Return the query for rows of staging with these keys.

        `key`: names of the key's columns in staging, with their names in `keys`.
        """
        rows = exp.alias_(self._dialect.physical(entity, self._sources[entity][0]), "t", table=True)
        images = self._dialect.images(entity, self._report.images[entity], "t")
        same_key = exp.and_(
            *(self._same_key(entity, staging_name, name) for name, staging_name in key.items())
        )
        query = exp.select(*images, column("_deleted", "t"), column("_occurred_at", "t"))
        return query.from_(keys.subquery("k")).join(rows, join_type="cross").where(same_key)

    def _same_key(self, entity: str, staging_name: str, name: str) -> Expression:
        """Return the condition that a key column is equal.

        Text compares as in the index of reports: extra rows lead to extra units, whose recomputation changes
        nothing.
        """
        condition = exp.EQ(this=column(staging_name, "t"), expression=column(name, "k"))
        # The annotation makes SQLite compare with COLLATE RTRIM, as the index does.
        is_text = staging_name in self._dialect.tables[entity].texts
        for side in (condition.this, condition.expression) if is_text else ():
            with_type(side, TEXT)
        return condition

    def units(self) -> str:
        """Return a query for the number of units with each combination of NULL columns."""
        return self._dialect.to_sql(null_patterns(self._report.unit, self._dialect.temporary(UNITS)))

    def newest(self, taken: Collection[str]) -> str:
        """Return a query for the newest event time among the current rows of the taken keys."""
        return self._dialect.to_sql(newest_of([self._temporary("now", entity) for entity in taken]))

    def finish(self, taken: Collection[str]) -> list[str]:
        """Return statements that delete exactly the taken pending rows, and the temporary tables.

        A condition on the row number would not do: rows with lower numbers may have been committed since.
        """
        return [*self._removed(taken), *self.drop_temporaries(taken)]

    def _removed(self, taken: Collection[str]) -> Iterator[str]:
        for entity in taken:
            yield self._dialect.delete_taken(self._pending(entity), self._temporary("taken", entity))

    def drop_temporaries(self, taken: Collection[str]) -> Iterator[str]:
        """Yield statements that drop the temporary tables."""
        # FOUND and UNITS exist once; the others exist for each entity with taken rows.
        for kind in ("taken", "own", "now", "before", "changed"):
            yield from (self._dialect.drop_temporary(f"{kind}_{entity}") for entity in taken)
        yield from (self._dialect.drop_temporary(name) for name in (FOUND, UNITS))

    def _pending(self, entity: str) -> exp.Table:
        return self._dialect.pending(self._report, self._number, entity)

    def _keep(self, kind: str, entity: str, query: exp.Query) -> str:
        return self._dialect.create_temporary(f"{kind}_{entity}", query)

    def _temporary(self, kind: str, entity: str) -> exp.Table:
        return self._dialect.temporary(f"{kind}_{entity}")
