"""History tables, which keep every fact of an entity, and the view that derives versions from them.

A history table belongs to one staging revision. Rows are only ever added, one per key hash and rank, so the
table does not depend on order of arrival or duplicates (INV-2). The view computes the validity of each
version; its statement is the same for every engine but for the parts in `HistoryDialect`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from consumers.warehouse.tables import KEY_HASH, SYSTEM_COLUMNS, StagingTable
from schemas.catalog.entity import HISTORY_COLUMNS

OPERATION = "_operation"


@dataclass(frozen=True, slots=True)
class HistoryTable(StagingTable):
    """Names and columns of an entity's history: those of its staging table, and the operation."""

    @property
    def columns(self) -> tuple[str, ...]:
        # `_applied_at` stays last: the statements of both engines slice it off.
        return (KEY_HASH, *self.business_columns, *SYSTEM_COLUMNS[:-1], OPERATION, SYSTEM_COLUMNS[-1])

    @property
    def at(self) -> str:
        """Name of the function that returns the rows as of a moment, on engines that have functions."""
        return f"{self.view}_at"


def history_table(table: StagingTable) -> HistoryTable:
    """Return the history table of a staging table."""
    return HistoryTable(table.entity, table.prefix.replace("staging", "history"))


class HistoryDialect(NamedTuple):
    """The parts of the view's statement that differ between engines."""

    quoted: Callable[[str], str]
    """Quote an identifier."""
    null: Callable[[str], str]
    """NULL with the type of this column."""
    equal: Callable[[Sequence[str], str], str]
    """Condition that these columns equal those with the prefix before their names; NULL equals NULL."""
    sweeps: str
    """The keys `k`, inserted at `{keys}`, joined with the revision's sweeps `s` of their buckets."""
    forever: str
    """Literal for the end of a version that is still valid."""


WAS = "_was_"
"""Prefix of a column's value in the version before."""


def select_versions(table: HistoryTable, revision: int, dialect: HistoryDialect) -> str:
    """Return the SELECT of all versions: the values of each live row, and from when to when they were valid.

    An event or sweep is valid from its moment up to the earliest moment among the events and sweeps of the
    same key with a greater position. Empty intervals are dropped, and an interval that changes nothing is not
    a version. The result equals the fold as of every moment: at time T the greatest position up to T is
    valid.
    """
    quoted = dialect.quoted
    shown = ", ".join(
        quoted(column) + ("" if column == name else f" AS {quoted(name)}") for column, name in table.shown
    )
    return (
        f"SELECT {', '.join(HISTORY_COLUMNS)}, {shown} "
        f"FROM ({_versions(table, revision, dialect)}) AS versions WHERE _gone = 0"
    )


def _versions(table: HistoryTable, revision: int, dialect: HistoryDialect) -> str:
    """Return the SELECT of the changes, each with the event that ends it."""
    # Windows run from the greatest rank down, so LAG is the next change and LEAD the one before.
    over = _over(table, dialect)
    columns = ", ".join(map(dialect.quoted, (*table.business_columns, "_source")))
    changed = f"NOT ({dialect.equal(_others(table), WAS)})" if _others(table) else "1 = 0"
    return (
        f"SELECT {columns}, _gone, _occurred_at AS valid_from, "
        f"LAG(_occurred_at, 1, {dialect.forever}) {over} AS valid_to, "
        "_operation AS operation, _event_id AS event_id, "
        f"LAG(_operation) {over} AS ended_by, LAG(_event_id) {over} AS ended_by_event_id "
        f"FROM ({_valid(table, revision, dialect)}) AS held "
        f"WHERE _gone <> _before OR (_gone = 0 AND {changed})"
    )


def _valid(table: HistoryTable, revision: int, dialect: HistoryDialect) -> str:
    """Return the SELECT of the facts with a non-empty interval, each with the state before it.

    Before the first fact the row does not exist.
    """
    over, quoted = _over(table, dialect), dialect.quoted
    before = "".join(f", LEAD({quoted(name)}) {over} AS {quoted(WAS + name)}" for name in _others(table))
    # The end is the earliest moment of any greater position, not the moment of the next one: an event with a
    # greater position but an earlier moment empties every interval that begins after that moment.
    ends = f"MIN(_occurred_at) {over[:-1]} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    ended = f"SELECT facts.*, {ends} AS _ends FROM ({_facts(table, revision, dialect)}) AS facts"
    return (
        f"SELECT ended.*, LEAD(_gone, 1, 1) {over} AS _before{before} FROM ({ended}) AS ended "
        "WHERE _ends IS NULL OR _ends > _occurred_at"
    )


def _facts(table: HistoryTable, revision: int, dialect: HistoryDialect) -> str:
    """Return the SELECT of the events, and of each sweep once for every key in its bucket."""
    physical, quoted = dialect.quoted(table.physical(revision)), dialect.quoted
    keys = [*map(quoted, table.key_columns), KEY_HASH, "_source"]
    others = _others(table)
    events = [*keys, *map(quoted, others), "_rank", "_occurred_at", "_operation", "_event_id"]
    swept = [
        *(f"k.{name}" for name in keys),
        *(f"{dialect.null(name)} AS {quoted(name)}" for name in others),
        *("s.position", "s.occurred_at", "'sweep'", "s.event_id"),
    ]
    return (
        f"SELECT {', '.join(events)}, CASE WHEN _deleted = 1 THEN 1 ELSE 0 END AS _gone FROM {physical} "
        f"UNION ALL SELECT {', '.join(swept)}, 1 FROM "
        + dialect.sweeps.format(keys=f"(SELECT DISTINCT {', '.join(keys)} FROM {physical})")
    )


def _over(table: HistoryTable, dialect: HistoryDialect) -> str:
    """Return the window over the facts of one key, from the greatest rank down."""
    # A sweep has a position in place of a rank. A position is the prefix of its ranks and so sorts before
    # them. The key hash is part of the partition because an engine may compare different texts as equal; the
    # key's columns are part of it so that a condition on them can be pushed down to the index.
    key = ", ".join(map(dialect.quoted, (*table.key_columns, KEY_HASH)))
    return f"OVER (PARTITION BY {key} ORDER BY _rank DESC)"


def _others(table: HistoryTable) -> list[str]:
    """Return the business columns that are not part of the key."""
    key = set(table.key_columns)
    return [name for name in table.business_columns if name not in key]
