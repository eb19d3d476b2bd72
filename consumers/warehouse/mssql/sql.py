"""T-SQL statements of the SQL Server engine: tables, views, transactions, locks and checkpoints."""

import re
from collections.abc import Collection, Iterable
from itertools import chain

from consumers.warehouse.history import OPERATION
from consumers.warehouse.mssql.values import BINARY_COLLATION, storage_of
from consumers.warehouse.port import MAX_POSITION, MAX_SOURCE
from consumers.warehouse.tables import KEY_HASH, SYSTEM_COLUMNS, StagingTable

MAX_RANK = MAX_POSITION + 22

WRITER_ROLE = "headwater_writer"
READER_ROLE = "headwater_reader"
REFRESHER_ROLE = "headwater_refresher"

_ASCII = f"COLLATE {BINARY_COLLATION} NOT NULL"
SYSTEM_TABLES = {
    "revisions": f"""CREATE TABLE [headwater].[revisions] (
        entity VARCHAR(128) {_ASCII}, number INT NOT NULL, state VARCHAR(16) {_ASCII},
        schema_version INT NOT NULL, schema_fingerprint BINARY(8) NOT NULL, created_at VARCHAR(40) {_ASCII},
        as_of VARCHAR(128) COLLATE {BINARY_COLLATION} NULL, PRIMARY KEY (entity, number))""",
    # Kept for good: a sweep also applies to rows that arrive later.
    "floors": f"""CREATE TABLE [headwater].[floors] (
        entity VARCHAR(128) {_ASCII}, revision INT NOT NULL, source NVARCHAR({MAX_SOURCE}) {_ASCII},
        bucket INT NOT NULL, position VARCHAR({MAX_RANK}) {_ASCII},
        PRIMARY KEY (entity, revision, source, bucket))""",
    # Every sweep of an entity with history, not only the highest. The key has 1,144 bytes: it exceeds the 900
    # of a clustered index, but not the 1,700 of a nonclustered one.
    "sweeps": f"""CREATE TABLE [headwater].[sweeps] (
        entity VARCHAR(128) {_ASCII}, revision INT NOT NULL, source NVARCHAR({MAX_SOURCE}) {_ASCII},
        bucket INT NOT NULL, position VARCHAR({MAX_RANK}) {_ASCII}, occurred_at DATETIME2(6) NOT NULL,
        event_id UNIQUEIDENTIFIER NOT NULL,
        CONSTRAINT [sweeps_key] PRIMARY KEY NONCLUSTERED
        (entity, revision, source, bucket, position, occurred_at))""",
    "checkpoints": f"""CREATE TABLE [headwater].[checkpoints] (
        reader VARCHAR(128) {_ASCII}, stream VARCHAR(400) {_ASCII}, shard VARCHAR(128) {_ASCII},
        sequence VARCHAR(129) {_ASCII}, PRIMARY KEY (reader, stream, shard))""",
    # Definitions of the views. SQL Server's own copy is visible only with a right that writers do not have.
    "views": f"""CREATE TABLE [headwater].[views] (
        name VARCHAR(256) {_ASCII} PRIMARY KEY, definition NVARCHAR(MAX) NOT NULL)""",
    # After `views`, in which the definition of its view is recorded.
    "dead_letters": f"""CREATE TABLE [headwater].[dead_letters] (
        entity VARCHAR(128) {_ASCII}, stage VARCHAR(16) {_ASCII}, cause VARCHAR(16) {_ASCII},
        state VARCHAR(16) {_ASCII}, letters INT NOT NULL, oldest DATETIME2(6) NOT NULL,
        newest DATETIME2(6) NOT NULL, refreshed_at DATETIME2(6) NOT NULL,
        PRIMARY KEY (entity, stage, cause, state))""",
    "reports": f"""CREATE TABLE [headwater].[reports] (
        name VARCHAR(128) {_ASCII}, number INT NOT NULL, state VARCHAR(16) {_ASCII},
        definition NVARCHAR(MAX) NOT NULL, sources NVARCHAR(MAX) NOT NULL, minutes INT NULL,
        row_count BIGINT NOT NULL,
        event_time VARCHAR(40) NULL, checkpoints NVARCHAR(MAX) NOT NULL, refreshed_at DATETIME2(6) NULL,
        problem NVARCHAR(MAX) NULL, PRIMARY KEY (name, number))""",
}

LETTER_VIEW = "headwater.dead_letter_summary"
"""The view of dead letters for readers, in the one schema where no entity name can collide."""
CREATE_LETTER_VIEW = (
    "CREATE OR ALTER VIEW [headwater].[dead_letter_summary] AS SELECT entity, stage, cause, state, letters, "
    "oldest, newest, refreshed_at FROM [headwater].[dead_letters]"
)

SYSTEM_TYPES = dict(
    zip(
        SYSTEM_COLUMNS,
        (
            f"VARCHAR({MAX_RANK})",
            "UNIQUEIDENTIFIER",
            "BIT",
            f"NVARCHAR({MAX_SOURCE})",
            "DATETIME2(6)",
            "INT",
            "DATETIME2(6)",
        ),
        strict=True,
    )
)
COLLATED = ("_rank", "_source", OPERATION)


def quoted(name: str) -> str:
    """Quote an identifier, which may have a schema before it. Field names may be SQL keywords."""
    return ".".join(f"[{part.replace(']', ']]')}]" for part in name.split("."))


# T-SQL removes a backslash at the end of a line from a literal, together with the line break.
# https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
_CONTINUED = re.compile(r"\\(?=\r?\n)")


def text(value: str) -> str:
    """Return a text literal, whatever characters the text has."""
    if not _CONTINUED.search(value):
        return _literal(value)
    # Another character takes the place of such a backslash, and one REPLACE restores it. Splitting the
    # literal would not do: SQL Server limits the depth of expressions and plans a long concatenation for
    # minutes.
    used = set(value)  # no text of an event is long enough to use every character
    characters = map(chr, chain(range(0x61, 0xD800), range(0x10000, 0x110000)))
    stand_in = next(character for character in characters if character not in used)
    # MAX, because REPLACE truncates other types at 8,000 bytes; a binary collation, because others ignore
    # some characters. https://learn.microsoft.com/sql/t-sql/functions/replace-transact-sql
    encoded = f"CAST({_literal(_CONTINUED.sub(stand_in, value))} AS NVARCHAR(MAX)) COLLATE {BINARY_COLLATION}"
    return f"REPLACE({encoded}, {_literal(stand_in)}, N'\\')"


def _literal(value: str) -> str:
    return "N'" + value.replace("'", "''") + "'"


def listed(names: Iterable[str], alias: str = "") -> str:
    """Return a comma-separated list of quoted columns; `alias` is a prefix such as `t.`."""
    return ", ".join(f"{alias}{quoted(name)}" for name in names)


def create_table(table: StagingTable, revision: int) -> str:
    """Return the CREATE TABLE of a revision."""
    # SQL Server clusters a table by its primary key by default. That suits: a sweep reads one bucket, and a
    # comparison reads all rows, in the order of the key hash.
    key_hash, *others = columns_of(table)
    columns = ", ".join([f"{key_hash} PRIMARY KEY", *others])
    return f"CREATE TABLE {quoted(table.physical(revision))} ({columns})"


def columns_of(table: StagingTable) -> list[str]:
    """Return the column definitions."""
    business = set(table.business_columns)
    return [
        f"{quoted(KEY_HASH)} BINARY(16) NOT NULL",
        *(
            f"{quoted(name)} {_column(name, table)} {'NULL' if name in business else 'NOT NULL'}"
            for name in table.columns[1:]
        ),
    ]


def add_column(table: StagingTable, name: str, revision: int) -> str:
    return f"ALTER TABLE {quoted(table.physical(revision))} ADD {quoted(name)} {_column(name, table)} NULL"


def fill_column(table: StagingTable, name: str, revision: int, literal: str) -> str:
    """Return the UPDATE that fills a new column, in tombstones too, as a rebuild would (INV-3)."""
    # Sent apart from the ALTER TABLE: a batch is compiled before it runs, when the column does not exist yet.
    return f"UPDATE {quoted(table.physical(revision))} SET {quoted(name)} = {literal}"


def alter_column(table: StagingTable, name: str, revision: int) -> str:
    """Return the ALTER TABLE that widens a column."""
    # Without COLLATE the column would change to the collation of the database.
    return (
        f"ALTER TABLE {quoted(table.physical(revision))} ALTER COLUMN {quoted(name)} "
        f"{_column(name, table)} NULL"
    )


def _column(name: str, table: StagingTable) -> str:
    sql_type = types_of(table)[name]
    return f"{sql_type} COLLATE {BINARY_COLLATION}" if name in collated(table) else sql_type


def types_of(table: StagingTable) -> dict[str, str]:
    """Return the SQL types of all columns but the key hash, in the order of `StagingTable.columns`."""
    business = {field.name: storage_of(field).sql_type for field in table.fields}
    return {**business, **SYSTEM_TYPES, OPERATION: "VARCHAR(8)"}


def collated(table: StagingTable) -> set[str]:
    """Return the text columns, which have the binary collation."""
    return {field.name for field in table.fields if storage_of(field).collated}.union(COLLATED)


def create_view(table: StagingTable, view: str, revision: int) -> str:
    """Return the view for readers: business columns and source of the rows that are not deleted (INV-8)."""
    # ALTER keeps the grants of an existing view; DROP and CREATE would lose them.
    shown, physical = _shown(table), quoted(table.physical(revision))
    rows = f"SELECT {shown} FROM {physical} WHERE [_deleted] = 0"
    if table.entity.prefer and table.entity.key:
        columns = listed((*table.business_columns, "_source"))
        ranked = f"SELECT {columns}, ROW_NUMBER() OVER ({_best_source(table)}) AS [_place]"
        live = f"{ranked} FROM {physical} WHERE [_deleted] = 0"
        rows = f"SELECT {shown} FROM ({live}) AS ranked WHERE [_place] = 1"
    return f"CREATE OR ALTER VIEW {quoted(view)} AS {rows}"


def preferred(table: StagingTable, rows: str) -> str:
    """Return the SELECT of what the view shows of `rows`, a SELECT of business columns and source."""
    if not (table.entity.prefer and table.entity.key):
        return f"SELECT {_shown(table)} FROM ({rows}) AS live"
    ranked = f"SELECT live.*, ROW_NUMBER() OVER ({_best_source(table)}) AS [_place] FROM ({rows}) AS live"
    return f"SELECT {_shown(table)} FROM ({ranked}) AS ranked WHERE [_place] = 1"


def _shown(table: StagingTable) -> str:
    return ", ".join(
        quoted(column) + ("" if column == name else f" AS {quoted(name)}") for column, name in table.shown
    )


def _best_source(table: StagingTable) -> str:
    cases = [f"WHEN {text(source)} THEN {index}" for index, source in enumerate(table.entity.prefer)]
    order = f"CASE [_source] {' '.join(cases)} ELSE {len(cases)} END, [_source]"
    return f"PARTITION BY {', '.join(_exact_key(table))} ORDER BY {order}"


def _exact_key(table: StagingTable) -> Iterable[str]:
    """Yield expressions that identify a key exactly."""
    # `=` and PARTITION BY ignore trailing blanks, so that 'a' equals 'a ': hence the length of each text.
    texts = collated(table)
    for name in table.key_columns:
        yield quoted(name)
        if name in texts:
            yield f"DATALENGTH({quoted(name)})"


def grant_view(view: str) -> str:
    """Return the GRANT of a view to readers, who see nothing but views."""
    # The role may be missing: `headwater warehouse init` creates it, and then grants all views.
    return (
        f"IF DATABASE_PRINCIPAL_ID(N'{READER_ROLE}') IS NOT NULL "
        f"GRANT SELECT ON {quoted(view)} TO [{READER_ROLE}]"
    )


def grant_insert(table: str) -> str:
    """Return the GRANT for writers to insert into a table that a trigger appends to."""
    # SQL Server needs no such grant, because trigger and table have one owner (ownership chaining). Other
    # servers that speak T-SQL do. A user who may not grant therefore skips it.
    return (
        f"IF DATABASE_PRINCIPAL_ID(N'{WRITER_ROLE}') IS NOT NULL "
        f"AND HAS_PERMS_BY_NAME({text(table)}, N'OBJECT', N'CONTROL') = 1 "
        f"GRANT INSERT ON {quoted(table)} TO [{WRITER_ROLE}]"
    )


LOCK_MILLISECONDS = 30_000
# User-defined error numbers start at 50,000.
LOCK_TIMED_OUT = 50_001
LOCK_VICTIM = 50_003


def begin(shared: Collection[str], exclusive: Collection[str]) -> str:
    """Return the batch that opens a transaction and takes its application locks, in name order."""
    # Locks with the owner Transaction are released at its end. XACT_ABORT rolls everything back on any error;
    # by default some errors would end only their statement.
    locks = "".join(_lock(name, name in exclusive) for name in sorted({*shared, *exclusive}))
    return (
        f"SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT {LOCK_MILLISECONDS}; BEGIN TRANSACTION; "
        f"DECLARE @locked INT = 0; {locks}"
    )


READ_COMMITTED = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
BEGIN_SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; SET XACT_ABORT ON; SET NOCOUNT ON; "
    f"SET LOCK_TIMEOUT {LOCK_MILLISECONDS}; BEGIN TRANSACTION"
)
"""All reads see the moment of the first statement.

Writing a row that has changed since fails (error 3960).
"""


def hold_report(report: str, wait_seconds: float = 0) -> str:
    """Return the batch that locks a report for this connection; it selects a negative number on failure."""
    # Taken before the transaction begins, so that its snapshot is not older than the lock. Hence the owner
    # Session, which needs an explicit release.
    return (
        "SET NOCOUNT ON; DECLARE @held INT; EXEC @held = sp_getapplock "
        f"@Resource = {text(f'headwater/report/{report}')}, @LockMode = 'Exclusive', "
        f"@LockOwner = 'Session', @LockTimeout = {round(wait_seconds * 1_000)}; SELECT @held"
    )


def release_report(report: str) -> str:
    return f"EXEC sp_releaseapplock @Resource = {text(f'headwater/report/{report}')}, @LockOwner = 'Session'"


def _lock(name: str, exclusive: bool) -> str:
    mode = "Exclusive" if exclusive else "Shared"
    return (
        f"EXEC @locked = sp_getapplock @Resource = {text(f'headwater/{name}')}, @LockMode = '{mode}', "
        f"@LockOwner = 'Transaction', @LockTimeout = {LOCK_MILLISECONDS}; "
        f"IF @locked = -3 BEGIN THROW {LOCK_VICTIM}, N'headwater: deadlock over a lock', 1; END; "
        f"IF @locked < 0 BEGIN THROW {LOCK_TIMED_OUT}, N'headwater: a lock is not free', 1; END; "
    )


def select_revisions(entities: Iterable[str]) -> str:
    """Return the SELECT of `Revisions.selected` as text, to be sent in one batch with `begin`."""
    names = ", ".join(text(entity) for entity in sorted(entities))
    return (
        "SELECT number, state, created_at, schema_version, as_of, schema_fingerprint, entity "
        f"FROM [headwater].[revisions] WHERE entity IN ({names}) AND state <> N'dropped'"
    )


COMMIT = "COMMIT TRANSACTION"
ROLLBACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"


SELECT_CHECKPOINTS = (
    "SELECT reader, stream, shard, sequence FROM [headwater].[checkpoints] WHERE reader = %s "
    "ORDER BY stream, shard"
)
_POINTS = (
    "OPENJSON(@points) WITH (reader VARCHAR(128) '$[0]', stream VARCHAR(400) '$[1]', "
    "shard VARCHAR(128) '$[2]', sequence VARCHAR(129) '$[3]')"
)
_SAME_POINT = " AND ".join(
    f"c.{name} = p.{name} COLLATE {BINARY_COLLATION}" for name in ("reader", "stream", "shard")
)
SAVE_CHECKPOINTS = (
    "DECLARE @points NVARCHAR(MAX) = %s; "
    "INSERT INTO [headwater].[checkpoints] (reader, stream, shard, sequence) "
    f"SELECT p.reader, p.stream, p.shard, p.sequence FROM {_POINTS} AS p WHERE NOT EXISTS "
    f"(SELECT 1 FROM [headwater].[checkpoints] AS c WITH (UPDLOCK, HOLDLOCK) WHERE {_SAME_POINT}); "
    "UPDATE c SET sequence = p.sequence FROM [headwater].[checkpoints] AS c INNER JOIN "
    f"{_POINTS} AS p ON {_SAME_POINT} WHERE c.sequence < p.sequence COLLATE {BINARY_COLLATION}"
)


def select_rows(table: StagingTable, revision: int) -> str:
    """Return the SELECT of all columns but `_applied_at`, which does not derive from the event."""
    return f"SELECT {listed(table.columns[:-1], 't.')} FROM {quoted(table.physical(revision))} AS t"


def select_some(table: StagingTable, revision: int) -> str:
    """Return the SELECT of the rows whose key hashes are in one JSON parameter."""
    return (
        f"{select_rows(table, revision)} INNER JOIN OPENJSON(%s) WITH (k UNIQUEIDENTIFIER '$[0]') AS wanted "
        "ON t.[_key_hash] = CAST(wanted.k AS BINARY(16))"
    )


def count(table: StagingTable, revision: int) -> str:
    """Return the SELECT of the numbers of rows and tombstones, and the newest `_occurred_at`."""
    return (
        "SELECT COUNT(*), COUNT(CASE WHEN [_deleted] = 1 THEN 1 END), MAX([_occurred_at]) "
        f"FROM {quoted(table.physical(revision))}"
    )
