"""Statements of reports in SQL Server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sqlglot import exp

from consumers.reporting.definition.outputs import Output
from consumers.reporting.definition.report import Report
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.refresh.dialect import ANY_MOMENT, EXISTED, FRESHNESS, ID, KEY_HASH, Dialect, quoted
from consumers.reporting.refresh.freshness import ReportRevision
from consumers.reporting.refresh.statements import at_time
from consumers.warehouse.mssql.indexes import INDEX_BYTES, bytes_of, indexable
from consumers.warehouse.mssql.sql import collated, grant_insert, grant_view, text, types_of
from consumers.warehouse.mssql.sql import quoted as bracketed
from consumers.warehouse.mssql.values import BINARY_COLLATION


class MssqlDialect(Dialect):
    """Dialect of SQL Server.

    A snapshot transaction can't create an index: the tables that it fills are created before.
    """

    sql = "tsql"
    prefixes: ClassVar = {"staging": "staging.", "reporting": "reporting.", "headwater": "headwater."}

    def to_sql(self, tree: Expression) -> str:
        return tree.sql("tsql", comments=False, identify=True)

    def temporary(self, name: str) -> exp.Table:
        return exp.Table(this=quoted(f"#report_{name}"))

    def drop_temporary(self, name: str) -> str:
        return f"DROP TABLE IF EXISTS {self.to_sql(self.temporary(name))}"

    def create_temporary(self, name: str, query: exp.Query) -> str:
        return self._into(self.temporary(name), query)

    def _into(self, table: exp.Table, query: exp.Query, rows: int | None = None) -> str:
        select_into = exp.select("*").from_(query.copy().subquery("q"))
        select_into.set("into", exp.Into(this=table))
        return self.to_sql(select_into if rows is None else select_into.limit(rows))

    def delete(self, table: exp.Table, others: exp.Table, condition: Expression) -> str:
        return (
            f"DELETE t FROM {self.to_sql(table)} AS t INNER JOIN {self.to_sql(others)} AS [units] "
            f"ON {self.to_sql(condition)}"
        )

    def delete_taken(self, pending: exp.Table, taken: exp.Table) -> str:
        """Return a DELETE with a join hint.

        The statistics of a table that is mostly empty are wrong when it is not: a nested loop over 5,000 by
        5,000 rows took 0.7 s.
        """
        return (
            f"DELETE t FROM {self.to_sql(pending)} AS t INNER HASH JOIN {self.to_sql(taken)} AS k "
            f"ON k.[{ID}] = t.[{ID}]"
        )

    def duplicate_keys(self, report: Report, table: exp.Table, only: str) -> str:
        """Return the query, which also groups text by its bytes: `=` treats 'a' and 'a ' as equal."""
        key = ", ".join(f"t.{bracketed(name)}" for name in report.key)
        exact = ", ".join(f"DATALENGTH(t.{bracketed(name)})" for name in report.key)
        units = f" INNER JOIN {self.to_sql(self.temporary('units'))} AS [units] ON {only}" if only else ""
        return (
            f"SELECT TOP 5 {key} FROM {self.to_sql(table)} AS t{units} GROUP BY {key}, {exact} "
            "HAVING COUNT(*) > 1"
        )

    def create_report(self, report: Report, number: int) -> list[str]:
        # SELECT INTO of no rows creates the table with the types that the server derives.
        return [self._into(self.report(report.name, number), at_time(report.query, ANY_MOMENT), 0)]

    def columns_query(self, report: Report, number: int) -> str:
        return (
            "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, "
            "DATETIME_PRECISION FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = N'reporting' "
            f"AND TABLE_NAME = {text(self.report(report.name, number).name)} ORDER BY ORDINAL_POSITION"
        )

    def describe(self, report: Report) -> str:
        """Return a statement for the columns of the SELECT, which does not run it."""
        query = self.to_sql(at_time(report.query, ANY_MOMENT))
        return f"EXEC sp_describe_first_result_set {text(query)}"

    def create_unit_index(self, report: Report, number: int, outputs: Sequence[Output]) -> list[str]:
        """Return the statement for an index on as many columns of the unit as an index can hold."""
        columns, left, types = [], INDEX_BYTES, {output.name: output.type for output in outputs}
        for name in report.unit:
            if (size := bytes_of(types[name])) <= left:
                columns.append(bracketed(name))
                left -= size
        table = self.to_sql(self.report(report.name, number))
        # Without a column that fits there is no index: each refresh then reads the whole table.
        return [f"CREATE INDEX [unit] ON {table} ({', '.join(columns)})"] if columns else []

    def indexable(self, entity: str, columns: Sequence[str]) -> tuple[str, ...]:
        return indexable(self.tables[entity], columns)

    def create_pending(self, report: Report, number: int, entity: str, revision: int) -> list[str]:
        table, images = self.tables[entity], report.images[entity]
        stored = self.stored_names(entity, images)
        types, texts = types_of(table), collated(table)
        # Explicit, since tempdb or the database may have another default collation.
        collations = dict.fromkeys(texts, f" COLLATE {BINARY_COLLATION}")
        columns = "".join(
            f", {bracketed(shown)} {types[name]}{collations.get(name, '')} NULL"
            for name, shown in zip(stored, images, strict=True)
        )
        pending = self.pending(report, number, entity)
        return [
            f"CREATE TABLE {self.to_sql(pending)} ([{ID}] BIGINT IDENTITY NOT NULL PRIMARY KEY, "
            f"[{KEY_HASH}] BINARY(16) NOT NULL, [{EXISTED}] BIT NOT NULL{columns})",
            *self._triggers(pending, self.physical(entity, revision), stored, images),
            grant_insert(f"headwater.{pending.name}"),
        ]

    def _triggers(
        self, pending: exp.Table, staging: exp.Table, columns: Sequence[str], images: Sequence[str]
    ) -> list[str]:
        """Return two triggers, each of which reads one set of rows.

        A join of `inserted` and `deleted`, which have no index, took ten times as long as the write itself.
        """
        insert = f"SET NOCOUNT ON; INSERT INTO {self.to_sql(pending)} ([{KEY_HASH}], [{EXISTED}]"
        into = "".join(f", {bracketed(name)}" for name in images)
        was = "".join(f", {bracketed(name)}" for name in columns)
        existed = "CASE WHEN [_deleted] = 0 THEN 1 ELSE 0 END"
        bodies = {
            "INSERT": f"{insert}) SELECT [{KEY_HASH}], 0 FROM inserted WHERE [_deleted] = 0",
            # Headwater never deletes rows of staging: a deleted key is an UPDATE of `_deleted`.
            "UPDATE": f"{insert}{into}) SELECT [{KEY_HASH}], {existed}{was} FROM deleted",
        }
        return [
            f"CREATE TRIGGER {bracketed(f'staging.{pending.name}_{kind.lower()}')} "
            f"ON {self.to_sql(staging)} AFTER {kind} AS BEGIN {body}; END"
            for kind, body in bodies.items()
        ]

    def drop(self, report: str, number: int, entities: int) -> list[str]:
        statements = []
        for index in range(entities):
            pending = self.pending_at(report, number, index)
            statements += [
                *(
                    self._dropped("TRIGGER", f"staging.{pending.name}_{kind}")
                    for kind in ("insert", "update")
                ),
                self._dropped("TABLE", f"headwater.{pending.name}"),
            ]
        return [*statements, self._dropped("TABLE", f"reporting.{self.report(report, number).name}")]

    def _dropped(self, kind: str, name: str) -> str:
        return f"IF OBJECT_ID({text(name)}) IS NOT NULL DROP {kind} {bracketed(name)}"

    def drop_view(self, report: str) -> str:
        return self._dropped("VIEW", f"reporting.{report}")

    def point_view(self, report: str, number: int) -> list[str]:
        view = f"reporting.{report}"
        select = f"SELECT * FROM {self.to_sql(self.report(report, number))}"
        return [f"CREATE OR ALTER VIEW {bracketed(view)} AS {select}", grant_view(view)]

    def freshness_view(self, revisions: Sequence[ReportRevision]) -> list[str]:
        view = f"reporting.{FRESHNESS}"
        return [
            f"CREATE OR ALTER VIEW {bracketed(view)} AS SELECT r.name AS report, r.event_time, "
            "r.checkpoints, r.row_count AS rows, r.refreshed_at, COALESCE(w.waiting, 0) AS waiting, "
            "CASE WHEN w.waiting > 0 THEN DATEDIFF(SECOND, r.refreshed_at, SYSUTCDATETIME()) ELSE 0 END "
            "AS lag_seconds, r.problem FROM [headwater].[reports] AS r "
            f"LEFT JOIN ({self.waiting_query(revisions)}) AS w "
            f"ON w.name = r.name COLLATE {BINARY_COLLATION} WHERE r.state = 'live'",
            grant_view(view),
        ]
