"""History in SQLite: its tables, its view, and the statements that add to it."""

from collections.abc import Sequence

from consumers.warehouse.history import HistoryDialect, HistoryTable, select_versions
from consumers.warehouse.port import HistorySweep
from consumers.warehouse.sqlite.sql import columns_of, listed, quoted
from consumers.warehouse.sqlite.values import instant_text

FOREVER = "9999-12-31T23:59:59.999999+00:00"


def create_history(table: HistoryTable, revision: int) -> list[str]:
    """The table of a revision, and the index by which a key is found."""
    physical = table.physical(revision)
    made = [
        f"CREATE TABLE {quoted(physical)} ({', '.join(columns_of(table))}, PRIMARY KEY (_key_hash, _rank))"
    ]
    if table.key_columns:
        made.append(
            f"CREATE INDEX {quoted(f'{physical}_key')} ON {quoted(physical)} ({listed(table.key_columns)})"
        )
    return made


def add_facts(table: HistoryTable, revision: int) -> str:
    """Those that are there stay as they are."""
    columns = table.columns
    return (
        f"INSERT INTO {quoted(table.physical(revision))} ({listed(columns)}) "
        f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING"
    )


ADD_SWEEP = "INSERT INTO headwater_sweeps VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def swept(entity: str, revision: int, sweep: HistorySweep) -> tuple[object, ...]:
    """Parameters of `ADD_SWEEP`. The bucket as the byte that a key hash begins with."""
    source, bucket, position, occurred_at, event_id = sweep
    return entity, revision, source, bytes([bucket]), position, instant_text(occurred_at), event_id


def create_view(table: HistoryTable, revision: int) -> str:
    sweeps = (
        "{keys} AS k INNER JOIN headwater_sweeps AS s "
        f"ON s.entity = '{table.entity.name}' AND s.revision = {revision} "
        "AND s.source = k._source AND s.bucket = substr(k._key_hash, 1, 1)"
    )
    dialect = HistoryDialect(quoted, lambda _name: "NULL", _equal, sweeps, f"'{FOREVER}'")
    return f"CREATE VIEW {quoted(table.view)} AS {select_versions(table, revision, dialect)}"


def _equal(names: Sequence[str], prefix: str) -> str:
    return " AND ".join(f"{quoted(name)} IS {quoted(prefix + name)}" for name in names)
