"""Comparison of the table that a changed file defines with the one that readers see, on the columns of both.

It has counts and hashes of keys, no values (INV-7). A key identifies one row in each table. So the rows whose
key and column are not in the other table are those whose key is missing there, and those that differ in the
column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from sqlglot import exp

from consumers.reporting.definition.outputs import Output
from consumers.reporting.definition.report import Report, key_of
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.refresh.dialect import Dialect, column, typed
from consumers.reporting.refresh.freshness import ReportRevision
from consumers.reporting.refresh.statements import at_time
from consumers.reporting.refresh.transaction import Session, check_key

COMPARED = "compared"
HASHES = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences between the old table and the new one.

    `only_old`, `only_new` and `differing` count rows by their keys.
    """

    rows_old: int
    rows_new: int
    waiting: int
    """Changes that the old table has not taken yet; their effects are among the differences."""
    added: tuple[str, ...]
    gone: tuple[str, ...]
    retyped: tuple[str, ...]
    """Columns that are not compared, with both types."""
    old_key: tuple[str, ...] | None
    """The key of the old table if it is another one; rows are not compared then."""
    only_old: int = 0
    only_new: int = 0
    differing: int = 0
    by_column: tuple[tuple[str, int], ...] = ()
    """Columns of both tables that differ, with the number of rows."""
    hashes: tuple[str, ...] = ()
    """Hashes of keys of rows that are in one table only, or differ; at most five of each kind."""


def compare(
    session: Session,
    dialect: Dialect,
    report: Report,
    revision: ReportRevision,
    old: Sequence[Output],
    new: Sequence[Output],
) -> Comparison:
    """Compare in one transaction, which reads as of one moment and leaves nothing behind.

    Raises ConfigurationError where the new key is not unique.
    """
    session.run(dialect.drop_temporary(COMPARED))
    session.run(dialect.create_temporary(COMPARED, at_time(report.query, session.registry.now)))
    check_key(session, report, dialect.duplicate_keys(report, dialect.temporary(COMPARED), ""))
    comparer = _Comparer(session, dialect, report, revision, old=old, new=new)
    comparison = comparer.compare()
    session.run(dialect.drop_temporary(COMPARED))
    return comparison


class _Comparer:
    def __init__(
        self,
        session: Session,
        dialect: Dialect,
        report: Report,
        revision: ReportRevision,
        old: Sequence[Output],
        new: Sequence[Output],
    ) -> None:
        self._session = session
        self._dialect = dialect
        self._report = report
        self._revision = revision
        self._old_types = {output.name: output.type for output in old}
        self._new_types = {output.name: output.type for output in new}
        self._old = dialect.report(report.name, revision.number)
        self._new = dialect.temporary(COMPARED)

    def compare(self) -> Comparison:
        retyped = [
            f"{name} ({self._old_types[name]} to {kind})"
            for name, kind in self._new_types.items()
            if name in self._old_types and not is_comparable(self._old_types[name], kind)
        ]
        waiting = dict(self._session.rows(self._dialect.waiting_query([self._revision])))
        key = key_of(self._revision.definition)
        has_other_key = set(key) != set(self._report.key) or any(
            column.split()[0] in key for column in retyped
        )
        comparison = Comparison(
            rows_old=self._count(exp.select("*").from_(self._old.copy())),
            rows_new=self._count(exp.select("*").from_(self._new.copy())),
            waiting=waiting.get(self._report.name, 0),
            added=tuple(name for name in self._new_types if name not in self._old_types),
            gone=tuple(name for name in self._old_types if name not in self._new_types),
            retyped=tuple(retyped),
            old_key=key if has_other_key else None,
        )
        return comparison if has_other_key else self._by_rows(comparison)

    def _by_rows(self, comparison: Comparison) -> Comparison:
        shared = [
            name
            for name in self._report.columns
            if name in self._old_types and is_comparable(self._old_types[name], self._new_types[name])
        ]
        only_old = self._count(rows_gone := self._except(self._report.key, self._old, self._new))
        only_new = self._count(rows_added := self._except(self._report.key, self._new, self._old))
        rows_differing = self._except([*self._report.key, *self._outside_key(shared)], self._old, self._new)
        # EXCEPT also returns rows whose key is missing in the new table.
        differing = self._count(rows_differing) - only_old
        counts = [
            (name, self._count(self._except([*self._report.key, name], self._old, self._new)) - only_old)
            # One query for each column is worth it only where some row differs.
            for name in (self._outside_key(shared) if differing else ())
        ]
        return replace(
            comparison,
            only_old=only_old,
            only_new=only_new,
            differing=differing,
            by_column=tuple((name, count) for name, count in counts if count),
            hashes=tuple(
                sorted(
                    {
                        digest
                        for query in (rows_gone, rows_added, rows_differing)
                        for digest in self._hashes(query)
                    }
                )
            ),
        )

    def _outside_key(self, shared: Iterable[str]) -> list[str]:
        return [name for name in shared if name not in self._report.key]

    def _except(self, names: Sequence[str], left: exp.Table, right: exp.Table) -> exp.Query:
        """Return a query for rows of the left table that are not in the right one, on these columns."""
        lengths = [
            length for length in self._dialect.length_columns(self._report) if _column_name(length) in names
        ]
        columns = [*(typed(self._report, name) for name in names), *lengths]
        selects = [
            exp.select(*(column.copy() for column in columns)).from_(table.copy()) for table in (left, right)
        ]
        return exp.except_(selects[0], selects[1])

    def _count(self, query: exp.Query) -> int:
        counted = exp.select("COUNT(*)").from_(query.copy().subquery("d"))
        count: int = self._session.rows(self._dialect.to_sql(counted))[0][0]
        return count

    def _hashes(self, query: exp.Query) -> list[str]:
        size = len(self._report.key)
        few = exp.select(*map(column, self._report.key)).from_(query.copy().subquery("d")).limit(HASHES)
        rows = self._session.rows(self._dialect.to_sql(few))
        return [sha256(repr(list(row[:size])).encode()).hexdigest()[:16] for row in rows]


def _column_name(expression: Expression) -> str:
    first = expression.find(exp.Column)
    return first.name if first is not None else ""


_NUMBERS = {"BIT", "TINYINT", "SMALLINT", "INT", "BIGINT", "DECIMAL", "NUMERIC", "MONEY", "REAL", "FLOAT"}
_TEXTS = {"CHAR", "VARCHAR", "NCHAR", "NVARCHAR"}
_MOMENTS = {"DATE", "DATETIME", "DATETIME2", "SMALLDATETIME", "DATETIMEOFFSET"}


def is_comparable(left: str, right: str) -> bool:
    """Return whether every value of one type can be read as the other. An unknown type counts as
    comparable."""
    names = [sql_type.partition("(")[0] for sql_type in (left, right)]
    # SQLite's columns have no types; types that differ in size only can always be compared.
    if "" in names or names[0] == names[1]:
        return True
    return any(kind.issuperset(names) for kind in (_NUMBERS, _TEXTS, _MOMENTS))
