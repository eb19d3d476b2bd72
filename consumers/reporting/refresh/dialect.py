"""How an engine says what a refresh needs: names, and the few statements in which engines differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from sqlglot import exp

from consumers.reporting.definition.flatten import Expression
from consumers.reporting.definition.outputs import Output
from consumers.reporting.definition.report import Report
from consumers.reporting.definition.sql_types import is_text, with_type
from consumers.reporting.refresh.freshness import ReportRevision
from consumers.warehouse.system import PENDING
from consumers.warehouse.tables import StagingTables

T = TypeVar("T")

ID, EXISTED, KEY_HASH = "_id", "_existed", "_key_hash"
"""Columns of a pending row, beside the image of what was there."""
ANY_MOMENT = "2000-01-01T00:00:00.000000"
REMEMBERED = 1_000
FRESHNESS = "_freshness"
"""The view that tells report people how fresh each report is."""


def quoted(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def column(name: str, table: str = "") -> exp.Column:
    return exp.column(quoted(name), table=quoted(table) if table else None)


def typed(report: Report, name: str, table: str = "") -> exp.Column:
    """A column of the report, of the type that its SELECT gives it."""
    made = column(name, table)
    with_type(made, report.column_types.get(name))
    return made


class Dialect(ABC):
    """Statements as text; queries, tables and columns as trees."""

    sql: ClassVar[str]
    """sqlglot's name of it."""
    rooms: ClassVar[dict[str, str]]
    """What stands before a name of `staging`, `reporting`, `headwater`: a schema and a dot, or a prefix."""

    def __init__(self, tables: StagingTables) -> None:
        self.tables = tables
        self._once: dict[tuple[object, ...], Any] = {}

    def once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """Statements that are made once for a key: writing trees takes longer than what they say."""
        if key not in self._once:
            if len(self._once) >= REMEMBERED:
                self._once.clear()
            self._once[key] = make()
        made: T = self._once[key]
        return made

    def definition(self, report: Report) -> str:
        """What a table of the report is made of: one that was made of something else is made anew."""
        return report.definition

    def to_sql(self, tree: Expression) -> str:
        """In the engine's SQL. Raises NeedsSqlServerError where it has none for it."""
        return tree.sql(self.sql, comments=False)

    def table(self, room: str, name: str) -> exp.Table:
        schema, dot, prefix = self.rooms[room].rpartition(".")
        return exp.Table(this=quoted(prefix + name), db=quoted(schema) if dot else None)

    def report(self, name: str, number: int) -> exp.Table:
        """The table of a report's revision."""
        return self.table("reporting", f"{name}__r{number}")

    def view(self, name: str) -> exp.Table:
        """What readers of a report see."""
        return self.table("reporting", name)

    def pending(self, report: Report, number: int, entity: str) -> exp.Table:
        """Pending rows of an entity for a report's revision."""
        return self.pending_at(report.name, number, report.entities.index(entity))

    def pending_at(self, report: str, number: int, place: int) -> exp.Table:
        """By the place of the entity among those of the report: its name might make this one too long."""
        return self.table("headwater", f"{PENDING}{report}__r{number}__{place + 1}")

    def physical(self, entity: str, revision: int) -> exp.Table:
        """The table of an entity's revision."""
        return self.table("staging", f"{entity}__r{revision}")

    def live(self, entity: str, revision: int, images: Sequence[str]) -> exp.Select:
        """These columns of the rows that are there."""
        is_there = exp.EQ(this=column("_deleted", "t"), expression=exp.Literal.number(0))
        rows = exp.alias_(self.physical(entity, revision), "t", table=True)
        return exp.select(*self.images(entity, images, "t")).from_(rows).where(is_there)

    def stored(self, entity: str, columns: Sequence[str]) -> tuple[str, ...]:
        """What columns that readers know are called in the table."""
        names = {shown: name for name, shown in self.tables[entity].shown}
        return tuple(names[each] for each in columns)

    def images(self, entity: str, images: Sequence[str], table: str) -> list[Expression]:
        """Columns of a staging table, under the names that readers know; a constant where there are none."""
        named = zip(self.stored(entity, images), images, strict=True)
        return [exp.alias_(column(own, table), shown, quoted=True) for own, shown in named] or [
            exp.alias_(exp.Literal.number(1), "_none", quoted=True)
        ]

    @abstractmethod
    def temporary(self, name: str) -> exp.Table:
        """A table of this session alone."""

    @abstractmethod
    def keep(self, name: str, query: exp.Query) -> str:
        """Makes that temporary table, of a query."""

    @abstractmethod
    def delete(self, table: exp.Table, others: exp.Table, condition: Expression) -> str:
        """Deletes rows of the table for which there is one of the others; `table.` and `units.` in it."""

    @abstractmethod
    def remove(self, pending: exp.Table, taken: exp.Table) -> str:
        """Deletes exactly the pending rows that were taken."""

    @abstractmethod
    def forget(self, name: str) -> str:
        """Drops it, if it is there."""

    @abstractmethod
    def clashes(self, report: Report, table: exp.Table, only: str) -> str:
        """A query for keys that have several rows, five at most. `only`: a condition on `t.` and `units.`."""

    def exactly(self, report: Report) -> list[Expression]:
        """What tells apart, beside a report's columns, values that T-SQL takes for equal: 'a' is 'a ' to it.
        Where it groups both it may show either: staging's columns alone."""
        query = report.query
        if not isinstance(query, exp.Select) or query.args.get("group") or query.args.get("distinct"):
            return []
        tables = [each for each in query.find_all(exp.Table) if each.parent_select is query and each.db]
        own = {each.alias_or_name for each in tables}
        columns = [(each.alias_or_name, each.unalias()) for each in query.selects]
        return [
            exp.alias_(exp.func("DATALENGTH", column(name)), f"_{place}")
            for place, (name, each) in enumerate(columns)
            if isinstance(each, exp.Column) and each.table in own and is_text(each)
        ]

    @abstractmethod
    def make_report(self, report: Report, number: int) -> list[str]:
        """The report's table, empty, with the types of its query."""

    @abstractmethod
    def made(self, report: Report, number: int) -> str:
        """A query for the columns of the report's table as `outputs.of_table` reads them."""

    @abstractmethod
    def make_index(self, report: Report, number: int, outputs: Sequence[Output]) -> list[str]:
        """An index that leads from units to rows. `outputs`: the table's columns."""

    @abstractmethod
    def indexable(self, entity: str, columns: Sequence[str]) -> tuple[str, ...]:
        """The first of these columns of a staging table, as many as an index holds."""

    @abstractmethod
    def make_pending(self, report: Report, number: int, entity: str, revision: int) -> list[str]:
        """The table of pending rows, and the trigger that appends one for each row of a revision of staging
        that changes: its key hash, whether it was there, and the columns as they were."""

    @abstractmethod
    def drop(self, report: str, number: int, entities: int) -> list[str]:
        """Removes a revision of a report of so many entities, as far as it is there."""

    @abstractmethod
    def hide(self, report: str) -> str:
        """Drops the view, if it is there."""

    @abstractmethod
    def show(self, report: str, number: int) -> list[str]:
        """Points the view at this revision."""

    @abstractmethod
    def freshness(self, standings: Sequence[ReportRevision]) -> list[str]:
        """The view FRESHNESS of these revisions."""

    def waiting(self, standings: Sequence[ReportRevision]) -> str:
        """A query: name, and how many changes wait, of each live report that is kept change by change."""
        counts = [
            f"SELECT '{each.name}' AS name, COUNT(*) AS waiting FROM "
            f"{self.pending_at(each.name, each.number, place).sql(self.sql)}"
            for each in standings
            if each.state == "live" and each.minutes is None
            for place in range(len(each.sources))
        ]
        counted = " UNION ALL ".join(counts) or "SELECT '' AS name, 0 AS waiting"
        return f"SELECT name, SUM(waiting) AS waiting FROM ({counted}) AS counted GROUP BY name"
