"""The guard in T-SQL: rows change only to a greater rank (INV-2), and sweeps raise floors."""

from consumers.warehouse.mssql.sql import MAX_RANK, listed, quoted, text
from consumers.warehouse.mssql.values import BINARY_COLLATION
from consumers.warehouse.port import MAX_SOURCE
from consumers.warehouse.tables import StagingTable


def insert_absent(table: StagingTable, revision: int) -> str:
    """Return the first half of the guard: insert the rows whose keys are absent."""
    # UPDLOCK, HOLDLOCK lock the range of the absent key, so a second writer waits. Without them it would
    # violate the primary key, and its whole transaction would have to be repeated.
    columns = table.columns
    return (
        f"INSERT INTO {quoted(table.physical(revision))} ({listed(columns)}) "
        f"SELECT {listed(columns[:-1], 's.')}, @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM "
        f"{quoted(table.physical(revision))} AS t WITH (UPDLOCK, HOLDLOCK) "
        "WHERE t.[_key_hash] = s.[_key_hash])"
    )


def update_lesser(table: StagingTable, revision: int) -> str:
    """Return the second half of the guard: update the rows with a lesser rank (INV-2)."""
    # Must follow the INSERT. In the other order, of two writers whose UPDATE finds the key absent, the INSERT
    # of the second finds it present and does nothing: its event would be lost.
    changes = ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in table.columns[1:-1])
    return (
        f"UPDATE t SET {changes}, t.[_applied_at] = @now FROM {quoted(table.physical(revision))} AS t "
        "WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] "
        "WHERE t.[_rank] < s.[_rank]"
    )


def write_rows(table: StagingTable, revision: int) -> str:
    """Return the batch that writes #rows through the guard.

    It selects three numbers of rows: loaded into #rows; changed in the table; in the table with equal rank.
    """
    # Floors first: a row below the floor of its source and bucket becomes a tombstone. The bucket is the
    # first byte of the key hash; a position is the prefix of its ranks, so that the two compare. If all rows
    # were absent, as is usual in a rebuild, the UPDATE and the COUNT are skipped.
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
    """Return the batch that raises floors by sweeps (one JSON parameter), and deletes the rows below them."""
    # Deleting sets `_deleted` alone, so that the row stays a function of its winning event and the floors
    # (INV-3). `low` and `high` bound the bucket: the UPDATE reads one range of the clustered primary key.
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
