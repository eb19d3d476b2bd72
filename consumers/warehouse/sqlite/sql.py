"""SQL statements of the SQLite engine."""

from collections.abc import Iterable

from consumers.warehouse.history import OPERATION
from consumers.warehouse.port import Sweep
from consumers.warehouse.sqlite.values import storage_of
from consumers.warehouse.tables import KEY_HASH, SYSTEM_COLUMNS, StagingTable
from schemas.payload.fields import Field

SYSTEM_TABLES = (
    """CREATE TABLE IF NOT EXISTS headwater_revisions (
        entity TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, schema_version INTEGER NOT NULL,
        schema_fingerprint BLOB NOT NULL, created_at TEXT NOT NULL, as_of TEXT,
        PRIMARY KEY (entity, number)) WITHOUT ROWID""",
    # Kept for good: a sweep also applies to rows that arrive later.
    """CREATE TABLE IF NOT EXISTS headwater_floors (
        entity TEXT NOT NULL, revision INTEGER NOT NULL, source TEXT NOT NULL, bucket INTEGER NOT NULL,
        position TEXT NOT NULL, PRIMARY KEY (entity, revision, source, bucket)) WITHOUT ROWID""",
    # Every sweep of an entity with history, not only the highest.
    """CREATE TABLE IF NOT EXISTS headwater_sweeps (
        entity TEXT NOT NULL, revision INTEGER NOT NULL, source TEXT NOT NULL, bucket BLOB NOT NULL,
        position TEXT NOT NULL, occurred_at TEXT NOT NULL, event_id BLOB NOT NULL,
        PRIMARY KEY (entity, revision, source, bucket, position, occurred_at)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS headwater_checkpoints (
        reader TEXT NOT NULL, stream TEXT NOT NULL, shard TEXT NOT NULL, sequence TEXT NOT NULL,
        PRIMARY KEY (reader, stream, shard)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS headwater_dead_letters (
        entity TEXT NOT NULL, stage TEXT NOT NULL, cause TEXT NOT NULL, state TEXT NOT NULL,
        letters INTEGER NOT NULL, oldest TEXT NOT NULL, newest TEXT NOT NULL, refreshed_at TEXT NOT NULL,
        PRIMARY KEY (entity, stage, cause, state)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS headwater_reports (
        name TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, definition TEXT NOT NULL,
        sources TEXT NOT NULL, minutes INTEGER, row_count INTEGER NOT NULL, event_time TEXT,
        checkpoints TEXT NOT NULL, refreshed_at TEXT, problem TEXT,
        PRIMARY KEY (name, number)) WITHOUT ROWID""",
)

SAVE_CHECKPOINT = """INSERT INTO headwater_checkpoints VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > sequence"""

RAISE_FLOOR = """INSERT INTO headwater_floors VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET position = excluded.position WHERE excluded.position > position"""

_SYSTEM_TYPES = dict(
    zip(
        (*SYSTEM_COLUMNS, OPERATION),
        ("TEXT", "BLOB", "INTEGER", "TEXT", "TEXT", "INTEGER", "TEXT", "TEXT"),
        strict=True,
    )
)


def quoted(name: str) -> str:
    """Quote an identifier. Field names may be SQL keywords."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))


def create_table(table: StagingTable, revision: int) -> str:
    """Return the CREATE TABLE of a revision."""
    # A rowid table with a separate index on the key hash. WITHOUT ROWID would keep the rows in the order of a
    # random key, which takes twice the time to write.
    key_hash, *others = columns_of(table)
    columns = ", ".join([f"{key_hash} PRIMARY KEY", *others])
    return f"CREATE TABLE {quoted(table.physical(revision))} ({columns})"


def columns_of(table: StagingTable) -> list[str]:
    """Return the column definitions."""
    types = {field.name: storage_of(field).sql_type for field in table.fields}
    system = {
        KEY_HASH: "BLOB NOT NULL",
        **{name: f"{sql_type} NOT NULL" for name, sql_type in _SYSTEM_TYPES.items()},
    }
    return [f"{quoted(name)} {system.get(name) or types[name]}" for name in table.columns]


def add_column(table: StagingTable, field: Field, revision: int) -> str:
    return (
        f"ALTER TABLE {quoted(table.physical(revision))} "
        f"ADD COLUMN {quoted(field.name)} {storage_of(field).sql_type}"
    )


def fill_column(table: StagingTable, field: Field, revision: int) -> str:
    """Return the UPDATE that fills a new column, in tombstones too, as a rebuild would (INV-3)."""
    return f"UPDATE {quoted(table.physical(revision))} SET {quoted(field.name)} = ?"


def upsert(table: StagingTable, revision: int) -> str:
    """Return the guard: a row changes only to a greater rank (INV-2)."""
    # One statement, where SQL Server needs an INSERT of absent keys and then an UPDATE of lesser ranks:
    # SQLite has one writer at a time, so nothing can happen between the two halves.
    columns = table.columns
    changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in columns if name != KEY_HASH)
    return (
        f"INSERT INTO {quoted(table.physical(revision))} ({listed(columns)}) "
        f"VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT ({KEY_HASH}) DO UPDATE SET {changes} WHERE excluded._rank > _rank"
    )


def bury(table: StagingTable, revision: int) -> str:
    """Return the UPDATE that deletes existing rows below a sweep."""
    # Sets `_deleted` alone, so that a row stays a function of its winning event and the floors (INV-3).
    return (
        f"UPDATE {quoted(table.physical(revision))} SET _deleted = 1 "
        f"WHERE {KEY_HASH} BETWEEN ? AND ? AND _source = ? AND _rank < ? AND _deleted = 0"
    )


def buried(sweep: Sweep) -> tuple[bytes, bytes, str, str]:
    """Return the parameters of `bury`."""
    # The bucket is the first byte of the key hash: a sweep covers one range of hashes.
    first = bytes([sweep.bucket])
    return first + bytes(15), first + b"\xff" * 15, sweep.source, sweep.position


def select_rows(table: StagingTable, revision: int) -> str:
    """Return the SELECT of all columns but `_applied_at`, which does not derive from the event."""
    return f"SELECT {listed(table.columns[:-1])} FROM {quoted(table.physical(revision))}"


def create_view(table: StagingTable, view: str, revision: int) -> str:
    """Return the view for readers: business columns and source of the rows that are not deleted (INV-8)."""
    shown = ", ".join(
        quoted(column) + ("" if column == name else f" AS {quoted(name)}") for column, name in table.shown
    )
    rows = f"SELECT {shown} FROM {quoted(table.physical(revision))} WHERE _deleted = 0"
    if table.entity.prefer and table.entity.key:
        columns = listed((*table.business_columns, "_source"))
        ranked = f"SELECT {columns}, ROW_NUMBER() OVER ({_best_source(table)}) AS _place"
        rows = (
            f"SELECT {shown} FROM ({ranked} FROM {quoted(table.physical(revision))} WHERE _deleted = 0) "
            "WHERE _place = 1"
        )
    return f"CREATE VIEW {quoted(view)} AS {rows}"


def _best_source(table: StagingTable) -> str:
    """Return the window that ranks the rows of one key by the preference of their sources."""
    cases = [f"WHEN {_text(source)} THEN {index}" for index, source in enumerate(table.entity.prefer)]
    order = f"CASE _source {' '.join(cases)} ELSE {len(cases)} END, _source"
    return f"PARTITION BY {listed(table.key_columns)} ORDER BY {order}"


def _text(value: str) -> str:
    """Return a text literal, for views, which take no parameters."""
    return "'" + value.replace("'", "''") + "'"
