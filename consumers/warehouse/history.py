"""History: every fact of an entity beside its staging revision, and the view that makes versions of them.

Rows are only ever added, one for each key hash and rank, so that any order of arrival and any number of
copies make the same table (INV-2). What held when is computed by the view: one statement for every engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from consumers.warehouse.tables import KEY_HASH, SYSTEM_COLUMNS, StagingTable
from schemas.catalog.entity import HISTORY_COLUMNS

OPERATION = "_operation"


@dataclass(frozen=True, slots=True)
class HistoryTable(StagingTable):
    """Names and columns of an entity's history: the staging table's, and the operation."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (KEY_HASH, *self.business_columns, *SYSTEM_COLUMNS[:-1], OPERATION, SYSTEM_COLUMNS[-1])

    @property
    def at(self) -> str:
        """The function of the rows at a moment, where the engine has functions."""
        return f"{self.view}_at"


def history_table(table: StagingTable) -> HistoryTable:
    """The one beside a staging table."""
    return HistoryTable(table.entity, table.prefix.replace("staging", "history"))


class Speech(NamedTuple):
    """How an engine says what the view's statement needs."""

    quoted: Callable[[str], str]
    """An identifier."""
    null: Callable[[str], str]
    """NULL of this column's type."""
    equal: Callable[[Sequence[str], str], str]
    """Whether these columns, and the same with a prefix, hold the same, NULL being like NULL."""
    sweeps: str
    """The keys `k`, for which `{keys}` stands, joined with the revision's sweeps `s` of their buckets."""
    forever: str
    """The end of what holds still, as a literal."""


WAS = "_was_"


def select_versions(table: HistoryTable, revision: int, speech: Speech) -> str:
    """What was live from when to when.

    An event or sweep holds from its moment to the least moment of any of the same key whose position is
    greater; what is empty vanishes, and what changes nothing is no version. That is the fold as of every
    moment: at T the greatest position of those up to T holds. Every window has the key's columns among its
    partitions, so that a condition on them reaches the index.
    """
    quoted = speech.quoted
    shown = ", ".join(
        quoted(column) + ("" if column == name else f" AS {quoted(name)}") for column, name in table.shown
    )
    return (
        f"SELECT {', '.join(HISTORY_COLUMNS)}, {shown} "
        f"FROM ({_versions(table, revision, speech)}) AS versions WHERE _gone = 0"
    )


def _versions(table: HistoryTable, revision: int, speech: Speech) -> str:
    """Changes alone, each with the next one, which ends it."""
    over = _over(table, speech)
    columns = ", ".join(map(speech.quoted, (*table.business_columns, "_source")))
    changed = f"NOT ({speech.equal(_others(table), WAS)})" if _others(table) else "1 = 0"
    return (
        f"SELECT {columns}, _gone, _occurred_at AS valid_from, "
        f"LAG(_occurred_at, 1, {speech.forever}) {over} AS valid_to, "
        "_operation AS operation, _event_id AS event_id, "
        f"LAG(_operation) {over} AS ended_by, LAG(_event_id) {over} AS ended_by_event_id "
        f"FROM ({_held(table, revision, speech)}) AS held "
        f"WHERE _gone <> _before OR (_gone = 0 AND {changed})"
    )


def _held(table: HistoryTable, revision: int, speech: Speech) -> str:
    """What holds for some time, each with what held before: at first the row is not there."""
    over, quoted = _over(table, speech), speech.quoted
    before = "".join(f", LEAD({quoted(name)}) {over} AS {quoted(WAS + name)}" for name in _others(table))
    ends = f"MIN(_occurred_at) {over[:-1]} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    ended = f"SELECT facts.*, {ends} AS _ends FROM ({_facts(table, revision, speech)}) AS facts"
    return (
        f"SELECT ended.*, LEAD(_gone, 1, 1) {over} AS _before{before} FROM ({ended}) AS ended "
        "WHERE _ends IS NULL OR _ends > _occurred_at"
    )


def _facts(table: HistoryTable, revision: int, speech: Speech) -> str:
    """The events, and the sweeps once for each key in their buckets."""
    physical, quoted = speech.quoted(table.physical(revision)), speech.quoted
    keys = [*map(quoted, table.key_columns), KEY_HASH, "_source"]
    others = _others(table)
    events = [*keys, *map(quoted, others), "_rank", "_occurred_at", "_operation", "_event_id"]
    swept = [
        *(f"k.{name}" for name in keys),
        *(f"{speech.null(name)} AS {quoted(name)}" for name in others),
        *("s.position", "s.occurred_at", "'sweep'", "s.event_id"),
    ]
    return (
        f"SELECT {', '.join(events)}, CASE WHEN _deleted = 1 THEN 1 ELSE 0 END AS _gone FROM {physical} "
        f"UNION ALL SELECT {', '.join(swept)}, 1 FROM "
        + speech.sweeps.format(keys=f"(SELECT DISTINCT {', '.join(keys)} FROM {physical})")
    )


def _over(table: HistoryTable, speech: Speech) -> str:
    """From the greatest rank down; the position of a sweep is a rank's prefix. Text of a key may be equal to
    other text for an engine: the hash is not."""
    key = ", ".join(map(speech.quoted, (*table.key_columns, KEY_HASH)))
    return f"OVER (PARTITION BY {key} ORDER BY _rank DESC)"


def _others(table: HistoryTable) -> list[str]:
    """The business columns that are not of the key."""
    key = set(table.key_columns)
    return [name for name in table.business_columns if name not in key]
