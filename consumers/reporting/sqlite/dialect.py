"""Statements of reports in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sqlglot import exp

from consumers.reporting.definition.allowed import STAGING
from consumers.reporting.definition.outputs import Output
from consumers.reporting.definition.report import Report
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.definition.sql_types import is_text
from consumers.reporting.refresh.dialect import (
    ANY_MOMENT,
    EXISTED,
    FRESHNESS,
    ID,
    KEY_HASH,
    Dialect,
    quoted,
    typed,
)
from consumers.reporting.refresh.freshness import ReportRevision
from consumers.reporting.refresh.statements import at_time
from consumers.reporting.sqlite.translation import to_sqlite


class SqliteDialect(Dialect):
    """Dialect of SQLite, where DDL is part of a transaction."""

    sql = "sqlite"
    prefixes: ClassVar = {"staging": "staging_", "reporting": "reporting_", "headwater": "headwater_"}

    def definition(self, report: Report) -> str:
        """Return the definition with a version of the conversions.

        Tables built before values were converted as T-SQL does may have other rows, and are rebuilt.
        """
        return f"{report.definition}; converted as T-SQL"

    def to_sql(self, tree: Expression) -> str:
        translated = to_sqlite(tree)
        for table in list(translated.find_all(exp.Table)):
            # The reports read the views of staging, whose names have a prefix instead of a schema.
            if table.db == STAGING:
                physical = self.table("staging", table.name)
                physical.set("db", quoted("main"))  # a CTE may have the name of the view
                table.replace(exp.alias_(physical, table.alias, table=True) if table.alias else physical)
        return translated.sql("sqlite", comments=False, identify=True)

    def temporary(self, name: str) -> exp.Table:
        return exp.Table(this=quoted(f"report_{name}"), db=quoted("temp"))

    def drop_temporary(self, name: str) -> str:
        return f"DROP TABLE IF EXISTS {self.temporary(name).sql('sqlite')}"

    def create_temporary(self, name: str, query: exp.Query) -> str:
        return f"CREATE TABLE {self.temporary(name).sql('sqlite')} AS {self.to_sql(query)}"

    def delete(self, table: exp.Table, others: exp.Table, condition: Expression) -> str:
        """Return a DELETE that starts from the units, which lead to rows by the index.

        `_rowid_` and not `rowid` or `oid`: no report has a column of that name.
        """
        name, condition_ = self.to_sql(table), self.to_sql(condition)
        return (
            f"DELETE FROM {name} WHERE _rowid_ IN "
            f"(SELECT t._rowid_ FROM {self.to_sql(others)} AS units, {name} AS t WHERE {condition_})"
        )

    def delete_taken(self, pending: exp.Table, taken: exp.Table) -> str:
        return f"DELETE FROM {self.to_sql(pending)} WHERE {ID} IN (SELECT {ID} FROM {self.to_sql(taken)})"

    def duplicate_keys(self, report: Report, table: exp.Table, only: str) -> str:
        key = ", ".join(f"t.{quoted(name).sql('sqlite')}" for name in report.key)
        units = f", {self.to_sql(self.temporary('units'))} AS units WHERE {only}" if only else ""
        return (
            f"SELECT {key} FROM {self.to_sql(table)} AS t{units} GROUP BY {key} HAVING COUNT(*) > 1 LIMIT 5"
        )

    def create_report(self, report: Report, number: int) -> list[str]:
        table, query = self.report(report.name, number), at_time(report.query, ANY_MOMENT)
        return [f"CREATE TABLE {self.to_sql(table)} AS SELECT * FROM ({self.to_sql(query)}) WHERE 0"]

    def columns_query(self, report: Report, number: int) -> str:
        """Return the columns without types: a column holds any value, and any two values can be compared."""
        table = self.report(report.name, number).name
        return f"SELECT name, '', NULL, NULL, NULL, NULL FROM pragma_table_info('{table}')"

    def create_unit_index(self, report: Report, number: int, outputs: Sequence[Output]) -> list[str]:
        """Return the statement for an index on all columns of the unit."""
        table = self.report(report.name, number)
        unit = ", ".join(
            self._indexed(report, output.name) for output in outputs if output.name in report.unit
        )
        index = quoted(f"{table.name}__unit").sql("sqlite")
        return [f"CREATE INDEX {index} ON {self.to_sql(table)} ({unit})"] if unit else []

    def _indexed(self, report: Report, name: str) -> str:
        """Return a column of the index, with text collated as T-SQL compares it."""
        # Without the same collation SQLite would not use the index for a comparison of text.
        collation = " COLLATE RTRIM" if is_text(typed(report, name)) else ""
        return quoted(name).sql("sqlite") + collation

    def indexable(self, entity: str, columns: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002 - any
        return tuple(columns)

    def create_pending(self, report: Report, number: int, entity: str, revision: int) -> list[str]:
        pending, staging = self.to_sql(self.pending(report, number, entity)), self.physical(entity, revision)
        images = report.images[entity]
        columns = "".join(f", {quoted(name).sql('sqlite')}" for name in images)
        was = "".join(f", OLD.{quoted(name).sql('sqlite')}" for name in self.stored_names(entity, images))
        nothing = ", NULL" * len(images)
        into = f"INSERT INTO {pending} ({KEY_HASH}, {EXISTED}{columns})"
        on = f"ON {self.to_sql(staging)} BEGIN {into}"
        trigger = self.pending(report, number, entity).name
        return [
            # AUTOINCREMENT never reuses the number of a deleted row.
            f"CREATE TABLE {pending} ({ID} INTEGER PRIMARY KEY AUTOINCREMENT, {KEY_HASH} BLOB NOT NULL, "
            f"{EXISTED} INTEGER NOT NULL{columns})",
            f"CREATE TRIGGER {quoted(trigger + '__i').sql('sqlite')} AFTER INSERT {on} "
            f"SELECT NEW.{KEY_HASH}, 0{nothing} WHERE NEW._deleted = 0; END",
            f"CREATE TRIGGER {quoted(trigger + '__u').sql('sqlite')} AFTER UPDATE {on} "
            f"SELECT OLD.{KEY_HASH}, 1 - OLD._deleted{was} WHERE NEW._deleted = 0 OR OLD._deleted = 0; END",
        ]

    def drop(self, report: str, number: int, entities: int) -> list[str]:
        statements = []
        for index in range(entities):
            pending = self.pending_at(report, number, index).name
            statements += [
                f"DROP TRIGGER IF EXISTS {quoted(f'{pending}__i').sql('sqlite')}",
                f"DROP TRIGGER IF EXISTS {quoted(f'{pending}__u').sql('sqlite')}",
                f"DROP TABLE IF EXISTS {quoted(pending).sql('sqlite')}",
            ]
        return [*statements, f"DROP TABLE IF EXISTS {self.to_sql(self.report(report, number))}"]

    def drop_view(self, name: str) -> str:
        return f"DROP VIEW IF EXISTS {self.to_sql(self.view(name))}"

    def point_view(self, name: str, number: int) -> list[str]:
        view, table = self.to_sql(self.view(name)), self.to_sql(self.report(name, number))
        # SQLite has no CREATE OR REPLACE VIEW.
        return [self.drop_view(name), f"CREATE VIEW {view} AS SELECT * FROM {table}"]

    def freshness_view(self, revisions: Sequence[ReportRevision]) -> list[str]:
        view = self.to_sql(self.view(FRESHNESS))
        seconds = "CAST((julianday('now') - julianday(r.refreshed_at)) * 86400 AS INTEGER)"
        return [
            self.drop_view(FRESHNESS),
            f"CREATE VIEW {view} AS SELECT r.name AS report, r.event_time, r.checkpoints, "
            "r.row_count AS rows, r.refreshed_at, COALESCE(w.waiting, 0) AS waiting, "
            f"CASE WHEN w.waiting > 0 THEN {seconds} ELSE 0 END AS lag_seconds, r.problem "
            f"FROM headwater_reports AS r LEFT JOIN ({self.waiting_query(revisions)}) AS w "
            "ON w.name = r.name WHERE r.state = 'live'",
        ]
