"""SQL statements for history in SQLite: tables, view, and insertion."""

from collections.abc import Sequence

from consumers.warehouse.history import HistoryDialect, HistoryTable, select_versions
from consumers.warehouse.port import HistorySweep
from consumers.warehouse.sqlite.sql import columns_of, listed, quoted
from consumers.warehouse.sqlite.values import instant_text

FOREVER = "9999-12-31T23:59:59.999999+00:00"


def create_history(table: HistoryTable, revision: int) -> list[str]:
    """Return the statements that create the table of a revision, and an index on the key."""
    physical = table.physical(revision)
    statements = [
        f"CREATE TABLE {quoted(physical)} ({', '.join(columns_of(table))}, PRIMARY KEY (_key_hash, _rank))"
    ]
    if table.key_columns:
        statements.append(
            f"CREATE INDEX {quoted(f'{physical}_key')} ON {quoted(physical)} ({listed(table.key_columns)})"
        )
    return statements


def add_facts(table: HistoryTable, revision: int) -> str:
    """Return the INSERT of facts; existing ones stay unchanged."""
    columns = table.columns
    return (
        f"INSERT INTO {quoted(table.physical(revision))} ({listed(columns)}) "
        f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING"
    )


ADD_SWEEP = "INSERT INTO headwater_sweeps VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def swept(entity: str, revision: int, sweep: HistorySweep) -> tuple[object, ...]:
    """Return the parameters of `ADD_SWEEP`."""
    # The bucket is stored as one byte, which the view compares with the first byte of the key hash.
    source, bucket, position, occurred_at, event_id = sweep
    return entity, revision, source, bytes([bucket]), position, instant_text(occurred_at), event_id


def create_view(table: HistoryTable, revision: int) -> str:
    """Return the view of the versions in this revision."""
    sweeps = (
        "{keys} AS k INNER JOIN headwater_sweeps AS s "
        f"ON s.entity = '{table.entity.name}' AND s.revision = {revision} "
        "AND s.source = k._source AND s.bucket = substr(k._key_hash, 1, 1)"
    )
    dialect = HistoryDialect(
        quoted=quoted,
        null=lambda _name: "NULL",  # needs no type: SQLite types values, not columns
        equal=_equal,
        sweeps=sweeps,
        forever=f"'{FOREVER}'",
    )
    return f"CREATE VIEW {quoted(table.view)} AS {select_versions(table, revision, dialect)}"


def _equal(names: Sequence[str], prefix: str) -> str:
    # IS compares NULLs as equal.
    return " AND ".join(f"{quoted(name)} IS {quoted(prefix + name)}" for name in names)
