"""The T-SQL that the SQL Server engine sends. Its tables and views, and the guard."""

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
    # What a sweep says holds for rows that come later, too: hence kept.
    "floors": f"""CREATE TABLE [headwater].[floors] (
        entity VARCHAR(128) {_ASCII}, revision INT NOT NULL, source NVARCHAR({MAX_SOURCE}) {_ASCII},
        bucket INT NOT NULL, position VARCHAR({MAX_RANK}) {_ASCII},
        PRIMARY KEY (entity, revision, source, bucket))""",
    # Every sweep of an entity with history, and not the greatest alone. Its key has 1,144 bytes: within the
    # 1,700 of an index, beyond the 900 of one that the table lies in.
    "sweeps": f"""CREATE TABLE [headwater].[sweeps] (
        entity VARCHAR(128) {_ASCII}, revision INT NOT NULL, source NVARCHAR({MAX_SOURCE}) {_ASCII},
        bucket INT NOT NULL, position VARCHAR({MAX_RANK}) {_ASCII}, occurred_at DATETIME2(6) NOT NULL,
        event_id UNIQUEIDENTIFIER NOT NULL,
        CONSTRAINT [sweeps_key] PRIMARY KEY NONCLUSTERED
        (entity, revision, source, bucket, position, occurred_at))""",
    "checkpoints": f"""CREATE TABLE [headwater].[checkpoints] (
        reader VARCHAR(128) {_ASCII}, stream VARCHAR(400) {_ASCII}, shard VARCHAR(128) {_ASCII},
        sequence VARCHAR(129) {_ASCII}, PRIMARY KEY (reader, stream, shard))""",
    # What a view was made of: SQL Server's own text of it needs a right that a writer has not.
    "views": f"""CREATE TABLE [headwater].[views] (
        name VARCHAR(256) {_ASCII} PRIMARY KEY, definition NVARCHAR(MAX) NOT NULL)""",
    # After `views`, which remembers its view.
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
"""What readers see of dead letters: in the schema that no entity's name can clash with."""
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
    """An identifier, with its schema where it has one: names of fields may be words of SQL."""
    return ".".join(f"[{part.replace(']', ']]')}]" for part in name.split("."))


_CONTINUED = re.compile(r"\\(?=\r?\n)")


def text(value: str) -> str:
    """A text literal. T-SQL doubles the quote, and takes a backslash at the end of a line out of it, and the
    line's end with it: there another character stands for the backslash. One call and one literal, whatever
    the text: SQL Server limits how deep an expression is, and plans a sum of thousands of parts for minutes.
    MAX, as REPLACE cuts off other types at 8,000 bytes; a binary collation, as others ignore some characters.

    https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
    https://learn.microsoft.com/sql/t-sql/functions/replace-transact-sql
    """
    if not _CONTINUED.search(value):
        return _literal(value)
    used = set(value)  # no text of an event is long enough to use every character
    characters = map(chr, chain(range(0x61, 0xD800), range(0x10000, 0x110000)))
    stand_in = next(each for each in characters if each not in used)
    held = f"CAST({_literal(_CONTINUED.sub(stand_in, value))} AS NVARCHAR(MAX)) COLLATE {BINARY_COLLATION}"
    return f"REPLACE({held}, {_literal(stand_in)}, N'\\')"


def _literal(value: str) -> str:
    return "N'" + value.replace("'", "''") + "'"


def listed(names: Iterable[str], alias: str = "") -> str:
    return ", ".join(f"{alias}{quoted(name)}" for name in names)


def create_table(table: StagingTable, revision: int) -> str:
    """Clustered by its key, as SQL Server does unless it is told otherwise: a sweep reads its bucket, and a
    comparison all rows, in this order."""
    key_hash, *others = columns_of(table)
    columns = ", ".join([f"{key_hash} PRIMARY KEY", *others])
    return f"CREATE TABLE {quoted(table.physical(revision))} ({columns})"


def columns_of(table: StagingTable) -> list[str]:
    """Each with its type."""
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
    """A default in the rows that are there, tombstones too: as a rebuild would make them (INV-3). No batch
    may both add a column and name it."""
    return f"UPDATE {quoted(table.physical(revision))} SET {quoted(name)} = {literal}"


def alter_column(table: StagingTable, name: str, revision: int) -> str:
    """Without COLLATE the column would take the database's collation."""
    return (
        f"ALTER TABLE {quoted(table.physical(revision))} ALTER COLUMN {quoted(name)} "
        f"{_column(name, table)} NULL"
    )


def _column(name: str, table: StagingTable) -> str:
    sql_type = types_of(table)[name]
    return f"{sql_type} COLLATE {BINARY_COLLATION}" if name in collated(table) else sql_type


def types_of(table: StagingTable) -> dict[str, str]:
    """SQL type of each column but the key hash, in the order of `StagingTable.columns`."""
    business = {field.name: storage_of(field).sql_type for field in table.fields}
    return {**business, **SYSTEM_TYPES, OPERATION: "VARCHAR(8)"}


def collated(table: StagingTable) -> set[str]:
    """The columns of text."""
    return {field.name for field in table.fields if storage_of(field).collated}.union(COLLATED)


def create_view(table: StagingTable, view: str, revision: int) -> str:
    """What readers see: the business columns and the source of the live rows (INV-8). Keeps the grants of a
    view that is there."""
    shown, physical = _shown(table), quoted(table.physical(revision))
    rows = f"SELECT {shown} FROM {physical} WHERE [_deleted] = 0"
    if table.entity.prefer and table.entity.key:
        columns = listed((*table.business_columns, "_source"))
        ranked = f"SELECT {columns}, ROW_NUMBER() OVER ({_best_source(table)}) AS [_place]"
        live = f"{ranked} FROM {physical} WHERE [_deleted] = 0"
        rows = f"SELECT {shown} FROM ({live}) AS ranked WHERE [_place] = 1"
    return f"CREATE OR ALTER VIEW {quoted(view)} AS {rows}"


def preferred(table: StagingTable, rows: str) -> str:
    """What the view shows of live rows that a SELECT of the business columns and the source gives."""
    if not (table.entity.prefer and table.entity.key):
        return f"SELECT {_shown(table)} FROM ({rows}) AS live"
    ranked = f"SELECT live.*, ROW_NUMBER() OVER ({_best_source(table)}) AS [_place] FROM ({rows}) AS live"
    return f"SELECT {_shown(table)} FROM ({ranked}) AS ranked WHERE [_place] = 1"


def _shown(table: StagingTable) -> str:
    return ", ".join(
        quoted(column) + ("" if column == name else f" AS {quoted(name)}") for column, name in table.shown
    )


def _best_source(table: StagingTable) -> str:
    places = [f"WHEN {text(source)} THEN {place}" for place, source in enumerate(table.entity.prefer)]
    order = f"CASE [_source] {' '.join(places)} ELSE {len(places)} END, [_source]"
    return f"PARTITION BY {', '.join(_exact_key(table))} ORDER BY {order}"


def _exact_key(table: StagingTable) -> Iterable[str]:
    """Text keys with their lengths: `=` and PARTITION BY take 'a' and 'a ' for one."""
    texts = collated(table)
    for name in table.key_columns:
        yield quoted(name)
        if name in texts:
            yield f"DATALENGTH({quoted(name)})"


def grant_view(view: str) -> str:
    """Readers see views, and views alone. The role may not be there: `headwater warehouse init` makes it."""
    return (
        f"IF DATABASE_PRINCIPAL_ID(N'{READER_ROLE}') IS NOT NULL "
        f"GRANT SELECT ON {quoted(view)} TO [{READER_ROLE}]"
    )


def grant_insert(table: str) -> str:
    """What a trigger appends, the writer appends, on a server that does not chain the rights of owners. SQL
    Server does, so that who may not grant leaves it."""
    return (
        f"IF DATABASE_PRINCIPAL_ID(N'{WRITER_ROLE}') IS NOT NULL "
        f"AND HAS_PERMS_BY_NAME({text(table)}, N'OBJECT', N'CONTROL') = 1 "
        f"GRANT INSERT ON {quoted(table)} TO [{WRITER_ROLE}]"
    )


# One transaction.

LOCK_MILLISECONDS = 30_000
LOCK_TIMED_OUT = 50_001
LOCK_VICTIM = 50_003


def begin(shared: Collection[str], exclusive: Collection[str]) -> str:
    """Open a transaction and take the application locks in name order; they end with it.

    XACT_ABORT: after any error nothing of the transaction is left.
    """
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
"""What it reads is of the moment of its first statement; who changed since what it writes ends it (3960)."""


def hold_report(report: str, wait_seconds: float = 0) -> str:
    """0 or more where the connection has the report now, to itself; it waits so long for its turn. Before a
    transaction, so that a snapshot is of no earlier moment."""
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
    """As `Revisions.selected` does, to go with `begin`."""
    names = ", ".join(text(entity) for entity in sorted(entities))
    return (
        "SELECT number, state, created_at, schema_version, as_of, schema_fingerprint, entity "
        f"FROM [headwater].[revisions] WHERE entity IN ({names}) AND state <> N'dropped'"
    )


COMMIT = "COMMIT TRANSACTION"
ROLLBACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"


def insert_absent(table: StagingTable, revision: int) -> str:
    """The first half of the guard. The hints make a second writer wait; without them it would meet the
    primary key, and its transaction is made again."""
    columns = table.columns
    return (
        f"INSERT INTO {quoted(table.physical(revision))} ({listed(columns)}) "
        f"SELECT {listed(columns[:-1], 's.')}, @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM "
        f"{quoted(table.physical(revision))} AS t WITH (UPDLOCK, HOLDLOCK) "
        "WHERE t.[_key_hash] = s.[_key_hash])"
    )


def update_lesser(table: StagingTable, revision: int) -> str:
    """The second half: a row is changed only by a greater rank (INV-2). It must come after the first: the
    other way round, of two writers that both find a key absent the one that inserts last loses its event."""
    changes = ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in table.columns[1:-1])
    return (
        f"UPDATE t SET {changes}, t.[_applied_at] = @now FROM {quoted(table.physical(revision))} AS t "
        "WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] "
        "WHERE t.[_rank] < s.[_rank]"
    )


def write_rows(table: StagingTable, revision: int) -> str:
    """#rows into the table, and how many came, changed the table, and are there with their rank.

    Floors first: a row below the floor of its source and bucket is a tombstone. The bucket is the first byte
    of the key hash, and a position its rank's prefix. Where all rows were absent, as in a rebuild, the second
    half has nothing to do.
    """
    return (
        "UPDATE r SET [_deleted] = 1 FROM #rows AS r INNER JOIN [headwater].[floors] AS f "
        f"ON f.entity = {text(table.entity.name)} AND f.revision = {revision} AND f.source = r.[_source] "
        "AND f.bucket = CAST(SUBSTRING(r.[_key_hash], 1, 1) AS INT) WHERE r.[_rank] < f.position; "
        f"{insert_absent(table, revision)}; SET @changed = @@ROWCOUNT; SET @equal = @loaded; "
        f"IF @changed < @loaded BEGIN {update_lesser(table, revision)}; "
        "SET @changed = @changed + @@ROWCOUNT; "
        "IF @changed < @loaded SELECT @equal = COUNT(*) FROM #rows AS s INNER JOIN "
        f"{quoted(table.physical(revision))} AS t ON t.[_key_hash] = s.[_key_hash] "
        "WHERE t.[_rank] = s.[_rank]; END; "
        "DROP TABLE #rows; SELECT @loaded AS loaded, @changed AS changed, @equal AS equal"
    )


def raise_floors(table: StagingTable, revision: int) -> str:
    """Sweeps (one JSON parameter): raise their floors, and bury the rows below, which changes `_deleted`
    alone. Low and high are the bounds of the bucket: a range of the primary key."""
    entity = text(table.entity.name)
    same = f"f.entity = {entity} AND f.revision = {revision} AND f.source = s.source AND f.bucket = s.bucket"
    return (
        f"SELECT source COLLATE {BINARY_COLLATION} AS source, bucket, position COLLATE {BINARY_COLLATION} "
        "AS position, CAST(low AS BINARY(16)) AS low, CAST(high AS BINARY(16)) AS high "
        "INTO #sweeps FROM OPENJSON(%s) WITH ("
        f"source NVARCHAR({MAX_SOURCE}) '$[0]', bucket INT '$[1]', position VARCHAR({MAX_RANK}) '$[2]', "
        "low UNIQUEIDENTIFIER '$[3]', high UNIQUEIDENTIFIER '$[4]'); "
        "INSERT INTO [headwater].[floors] (entity, revision, source, bucket, position) "
        f"SELECT {entity}, {revision}, s.source, s.bucket, s.position FROM #sweeps AS s WHERE NOT EXISTS "
        f"(SELECT 1 FROM [headwater].[floors] AS f WHERE {same}); "
        f"UPDATE f SET position = s.position FROM [headwater].[floors] AS f INNER JOIN #sweeps AS s "
        f"ON {same} WHERE f.position < s.position; "
        f"UPDATE t SET [_deleted] = 1 FROM {quoted(table.physical(revision))} AS t INNER JOIN #sweeps AS s "
        "ON t.[_key_hash] >= s.low AND t.[_key_hash] <= s.high AND t.[_source] = s.source "
        "AND t.[_rank] < s.position WHERE t.[_deleted] = 0; DROP TABLE #sweeps"
    )


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
    """All of a row but `_applied_at`, which no event says."""
    return f"SELECT {listed(table.columns[:-1], 't.')} FROM {quoted(table.physical(revision))} AS t"


def select_some(table: StagingTable, revision: int) -> str:
    """The rows whose key hashes are in one JSON parameter."""
    return (
        f"{select_rows(table, revision)} INNER JOIN OPENJSON(%s) WITH (k UNIQUEIDENTIFIER '$[0]') AS wanted "
        "ON t.[_key_hash] = CAST(wanted.k AS BINARY(16))"
    )


def count(table: StagingTable, revision: int) -> str:
    """Rows, tombstones, and the newest moment."""
    return (
        "SELECT COUNT(*), COUNT(CASE WHEN [_deleted] = 1 THEN 1 END), MAX([_occurred_at]) "
        f"FROM {quoted(table.physical(revision))}"
    )
