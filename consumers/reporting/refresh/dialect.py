"""Names, and the few statements in which engines differ: what a refresh needs from an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from sqlglot import exp

from consumers.reporting.definition.outputs import Output
from consumers.reporting.definition.report import Report
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.definition.sql_types import is_text, with_type
from consumers.reporting.refresh.freshness import ReportRevision
from consumers.warehouse.system import pending_table
from consumers.warehouse.tables import StagingTables

T = TypeVar("T")

ID, EXISTED, KEY_HASH = "_id", "_existed", "_key_hash"
"""Columns of a pending row, beside the image of the row before the change."""
ANY_MOMENT = "2000-01-01T00:00:00.000000"
"""A value for @as_of where only the columns of a query matter."""
CACHE_SIZE = 1_000
"""Entries of `Dialect.cached`."""
FRESHNESS = "_freshness"
"""The view that shows readers how fresh each report is."""


def quoted(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def column(name: str, table: str = "") -> exp.Column:
    return exp.column(quoted(name), table=quoted(table) if table else None)


def typed(report: Report, name: str, table: str = "") -> exp.Column:
    """Return a column of the report with the type that its SELECT gives it."""
    typed_column = column(name, table)
    with_type(typed_column, report.column_types.get(name))
    return typed_column


class Dialect(ABC):
    """SQL of an engine: statements as text; queries, tables and columns as trees."""

    sql: ClassVar[str]
    """sqlglot's name of the engine's dialect."""
    prefixes: ClassVar[dict[str, str]]
    """Prefix of names in `staging`, `reporting` and `headwater`: a schema and a dot, or plain letters."""

    def __init__(self, tables: StagingTables) -> None:
        self.tables = tables
        self._cache: dict[tuple[object, ...], Any] = {}

    def cached(self, key: tuple[object, ...], build: Callable[[], T]) -> T:
        """Return a value that is built once for each key: rendering the trees takes longer than running the
        SQL."""
        if key not in self._cache:
            # Keys contain definitions and revisions: old ones are never asked for again, so that a full cache
            # starts over.
            # Keys contain definitions and revision numbers, so that most entries of a full cache are
            # outdated.
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = build()
        value: T = self._cache[key]
        return value

    def definition(self, report: Report) -> str:
        """Return what a table of the report is defined by; a table with another definition is rebuilt."""
        return report.definition

    def to_sql(self, tree: Expression) -> str:
        """Return the tree in the engine's SQL. Raises NeedsSqlServerError where it has no equivalent."""
        return tree.sql(self.sql, comments=False)

    def table(self, room: str, name: str) -> exp.Table:
        # "staging." is a schema, "staging_" the beginning of a table's name.
        schema, dot, prefix = self.prefixes[room].rpartition(".")
        return exp.Table(this=quoted(prefix + name), db=quoted(schema) if dot else None)

    def report(self, name: str, number: int) -> exp.Table:
        """Return the table of a report's revision."""
        # Readers use the view, so that a rebuild can fill the next table beside this one.
        return self.table("reporting", f"{name}__r{number}")

    def view(self, name: str) -> exp.Table:
        """Return the view through which readers see a report."""
        return self.table("reporting", name)

    def pending(self, report: Report, number: int, entity: str) -> exp.Table:
        """Return the table of an entity's pending rows for a report's revision."""
        return self.pending_at(report.name, number, report.entities.index(entity))

    def pending_at(self, report: str, number: int, index: int) -> exp.Table:
        return self.table("headwater", pending_table(report, number, index))

    def physical(self, entity: str, revision: int) -> exp.Table:
        """Return the table of an entity's revision."""
        return self.table("staging", f"{entity}__r{revision}")

    def live_rows(self, entity: str, revision: int, images: Sequence[str]) -> exp.Select:
        """Return these columns of the rows that are not deleted."""
        is_there = exp.EQ(this=column("_deleted", "t"), expression=exp.Literal.number(0))
        rows = exp.alias_(self.physical(entity, revision), "t", table=True)
        return exp.select(*self.images(entity, images, "t")).from_(rows).where(is_there)

    def stored_names(self, entity: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names of columns in the table, from their names in the view."""
        names = {shown: name for name, shown in self.tables[entity].shown}
        return tuple(names[name] for name in columns)

    def images(self, entity: str, images: Sequence[str], table: str) -> list[Expression]:
        """Return columns of a staging table under their names in the view; a constant where there are
        none."""
        named = zip(self.stored_names(entity, images), images, strict=True)
        return [exp.alias_(column(stored, table), shown, quoted=True) for stored, shown in named] or [
            exp.alias_(exp.Literal.number(1), "_none", quoted=True)
        ]

    @abstractmethod
    def temporary(self, name: str) -> exp.Table:
        """Return a table that only this session sees."""

    @abstractmethod
    def create_temporary(self, name: str, query: exp.Query) -> str:
        """Return the statement that creates the temporary table from a query."""

    @abstractmethod
    def delete(self, table: exp.Table, others: exp.Table, condition: Expression) -> str:
        """Return the statement that deletes rows of the table that match a row of the others.

        `condition` refers to them as `t.` and `units.`.
        """

    @abstractmethod
    def delete_taken(self, pending: exp.Table, taken: exp.Table) -> str:
        """Return the statement that deletes exactly the taken pending rows."""

    @abstractmethod
    def drop_temporary(self, name: str) -> str:
        """Return the statement that drops the temporary table if it exists."""

    @abstractmethod
    def duplicate_keys(self, report: Report, table: exp.Table, only: str) -> str:
        """Return a query for at most five keys that have several rows.

        `only`: a condition on `t.` and `units.`.
        """

    def length_columns(self, report: Report) -> list[Expression]:
        """Return columns that distinguish text which T-SQL compares as equal: 'a' and 'a '.

        Only for columns that come from staging unchanged: where T-SQL groups both, it may return either.
        """
        query = report.query
        # UNION, GROUP BY and DISTINCT merge values that compare as equal.
        if not isinstance(query, exp.Select) or query.args.get("group") or query.args.get("distinct"):
            return []
        tables = [table for table in query.find_all(exp.Table) if table.parent_select is query and table.db]
        aliases = {table.alias_or_name for table in tables}
        outputs = [(output.alias_or_name, output.unalias()) for output in query.selects]
        return [
            exp.alias_(exp.func("DATALENGTH", column(name)), f"_{index}")
            for index, (name, output) in enumerate(outputs)
            if isinstance(output, exp.Column) and output.table in aliases and is_text(output)
        ]

    @abstractmethod
    def create_report(self, report: Report, number: int) -> list[str]:
        """Return statements that create the report's table, empty, with the types of its query."""

    @abstractmethod
    def columns_query(self, report: Report, number: int) -> str:
        """Return a query for the columns of the report's table, as `outputs.of_table` reads them."""

    @abstractmethod
    def create_unit_index(self, report: Report, number: int, outputs: Sequence[Output]) -> list[str]:
        """Return statements for an index that leads from units to rows.

        `outputs`: the table's columns.
        """

    @abstractmethod
    def indexable(self, entity: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the first of these columns of a staging table, as many as an index can hold."""

    @abstractmethod
    def create_pending(self, report: Report, number: int, entity: str, revision: int) -> list[str]:
        """Return statements that create the table of pending rows and the triggers that fill it.

        For each changed row of a revision of staging they append its key hash, whether it existed, and its
        columns before.
        """

    @abstractmethod
    def drop(self, report: str, number: int, entities: int) -> list[str]:
        """Return statements that drop what exists of a report's revision. `entities`: how many it reads."""

    @abstractmethod
    def drop_view(self, report: str) -> str:
        """Return the statement that drops the view if it exists."""

    @abstractmethod
    def point_view(self, report: str, number: int) -> list[str]:
        """Return statements that point the view at this revision."""

    @abstractmethod
    def freshness_view(self, revisions: Sequence[ReportRevision]) -> list[str]:
        """Return statements that create the view FRESHNESS of these revisions."""

    def waiting_query(self, revisions: Sequence[ReportRevision]) -> str:
        """Return a query for the name and the number of pending changes of each live report that is kept
        change by change."""
        counts = [
            f"SELECT '{revision.name}' AS name, COUNT(*) AS waiting FROM "
            f"{self.pending_at(revision.name, revision.number, index).sql(self.sql)}"
            for revision in revisions
            # A report with full refreshes has no pending tables.
            if revision.state == "live" and revision.minutes is None
            for index in range(len(revision.sources))
        ]
        # The view needs a row source even if there are no reports.
        counted = " UNION ALL ".join(counts) or "SELECT '' AS name, 0 AS waiting"
        return f"SELECT name, SUM(waiting) AS waiting FROM ({counted}) AS counted GROUP BY name"
