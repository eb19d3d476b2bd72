"""How the table that a changed file describes differs from the one that readers see, on the columns of both.

Counts, and hashes of keys: no value (INV-7). A key tells one row in each table. So the rows whose key and
column are not in the other table are those whose key is not there, and those that differ in the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from sqlglot import exp

from consumers.reporting.definition.flatten import Expression
from consumers.reporting.definition.outputs import Output
from consumers.reporting.definition.report import Report, key_of
from consumers.reporting.refresh.dialect import Dialect, column, typed
from consumers.reporting.refresh.freshness import ReportRevision
from consumers.reporting.refresh.statements import at_time
from consumers.reporting.refresh.transaction import Session, check_key

COMPARED = "compared"
HASHES = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of the old table and the new one. `only_old`, `only_new`, `differing`: rows, by their keys."""

    rows_old: int
    rows_new: int
    waiting: int
    """Changes that the old table has not taken yet: what they bring is among the differences."""
    added: tuple[str, ...]
    gone: tuple[str, ...]
    retyped: tuple[str, ...]
    """Columns that are not compared, with both types."""
    old_key: tuple[str, ...] | None
    """Where the key is another one: rows are not compared then."""
    only_old: int = 0
    only_new: int = 0
    differing: int = 0
    by_column: tuple[tuple[str, int], ...] = ()
    """Columns of both that differ, and in how many rows."""
    hashes: tuple[str, ...] = ()
    """Of keys of rows that are in one table alone, or differ; five of each kind at most."""


def compare(
    session: Session,
    dialect: Dialect,
    report: Report,
    standing: ReportRevision,
    old: Sequence[Output],
    new: Sequence[Output],
) -> Comparison:
    """In one transaction, which reads as of one moment; leaves nothing. Raises ConfigurationError where the
    new key is not unique."""
    session.run(dialect.forget(COMPARED))
    session.run(dialect.keep(COMPARED, at_time(report.query, session.registry.now)))
    check_key(session, report, dialect.clashes(report, dialect.temporary(COMPARED), ""))
    made = _Comparing(session, dialect, report, standing, old, new).made()
    session.run(dialect.forget(COMPARED))
    return made


class _Comparing:
    def __init__(
        self,
        session: Session,
        dialect: Dialect,
        report: Report,
        standing: ReportRevision,
        old: Sequence[Output],
        new: Sequence[Output],
    ) -> None:
        self._session = session
        self._dialect = dialect
        self._report = report
        self._standing = standing
        self._was = {each.name: each.type for each in old}
        self._is = {each.name: each.type for each in new}
        self._old = dialect.report(report.name, standing.number)
        self._new = dialect.temporary(COMPARED)

    def made(self) -> Comparison:
        retyped = [
            f"{name} ({self._was[name]} to {kind})"
            for name, kind in self._is.items()
            if name in self._was and not is_comparable(self._was[name], kind)
        ]
        waiting = dict(self._session.rows(self._dialect.waiting([self._standing])))
        key = key_of(self._standing.definition)
        is_other = set(key) != set(self._report.key) or any(each.split()[0] in key for each in retyped)
        told = Comparison(
            self._count(exp.select("*").from_(self._old.copy())),
            self._count(exp.select("*").from_(self._new.copy())),
            waiting.get(self._report.name, 0),
            tuple(name for name in self._is if name not in self._was),
            tuple(name for name in self._was if name not in self._is),
            tuple(retyped),
            key if is_other else None,
        )
        return told if is_other else self._by_rows(told)

    def _by_rows(self, told: Comparison) -> Comparison:
        shared = [
            name
            for name in self._report.columns
            if name in self._was and is_comparable(self._was[name], self._is[name])
        ]
        only_old = self._count(gone := self._except(self._report.key, self._old, self._new))
        only_new = self._count(come := self._except(self._report.key, self._new, self._old))
        other = self._except([*self._report.key, *self._beside(shared)], self._old, self._new)
        differing = self._count(other) - only_old
        counts = [
            (name, self._count(self._except([*self._report.key, name], self._old, self._new)) - only_old)
            for name in (self._beside(shared) if differing else ())
        ]
        return replace(
            told,
            only_old=only_old,
            only_new=only_new,
            differing=differing,
            by_column=tuple((name, count) for name, count in counts if count),
            hashes=tuple(sorted({each for query in (gone, come, other) for each in self._hashes(query)})),
        )

    def _beside(self, shared: Iterable[str]) -> list[str]:
        return [name for name in shared if name not in self._report.key]

    def _except(self, names: Sequence[str], one: exp.Table, other: exp.Table) -> exp.Query:
        """Rows of one that are not in the other, on these columns."""
        exactly = [each for each in self._dialect.exactly(self._report) if _of(each) in names]
        columns = [*(typed(self._report, name) for name in names), *exactly]
        selects = [
            exp.select(*(each.copy() for each in columns)).from_(table.copy()) for table in (one, other)
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


def _of(expression: Expression) -> str:
    found = expression.find(exp.Column)
    return found.name if found is not None else ""


_NUMBERS = {"BIT", "TINYINT", "SMALLINT", "INT", "BIGINT", "DECIMAL", "NUMERIC", "MONEY", "REAL", "FLOAT"}
_TEXTS = {"CHAR", "VARCHAR", "NCHAR", "NVARCHAR"}
_MOMENTS = {"DATE", "DATETIME", "DATETIME2", "SMALLDATETIME", "DATETIMEOFFSET"}


def is_comparable(one: str, other: str) -> bool:
    """Whether no value of one type fails to be read as the other; a type that is not known is any."""
    names = [each.partition("(")[0] for each in (one, other)]
    if "" in names or names[0] == names[1]:
        return True
    return any(kind.issuperset(names) for kind in (_NUMBERS, _TEXTS, _MOMENTS))
