"""T-SQL statements for history: tables, indexes, view, function, and insertion."""

from collections.abc import Sequence

from consumers.warehouse.history import HistoryDialect, HistoryTable, select_versions
from consumers.warehouse.indexes import IndexColumns
from consumers.warehouse.mssql.indexes import indexable
from consumers.warehouse.mssql.sql import (
    MAX_RANK,
    collated,
    columns_of,
    listed,
    preferred,
    quoted,
    text,
    types_of,
)
from consumers.warehouse.mssql.values import BINARY_COLLATION
from consumers.warehouse.port import MAX_SOURCE

FOREVER = "CAST(N'9999-12-31T23:59:59.999999' AS DATETIME2(6))"


def create_history(table: HistoryTable, revision: int) -> list[str]:
    """Return the statements that create the table of a revision, and an index on the key if it fits."""
    physical, key = table.physical(revision), indexed(table)
    columns = ", ".join(columns_of(table))
    statements = [f"CREATE TABLE {quoted(physical)} ({columns}, PRIMARY KEY ([_key_hash], [_rank]))"]
    if key:
        statements.append(create_index(table, revision))
    return statements


def create_index(table: HistoryTable, revision: int) -> str:
    return f"CREATE INDEX [by_key] ON {quoted(table.physical(revision))} ({listed(indexed(table))})"


def drop_index(table: HistoryTable, revision: int) -> str:
    return f"DROP INDEX [by_key] ON {quoted(table.physical(revision))}"


def indexed(table: HistoryTable) -> IndexColumns:
    """Return the leading columns of the key that fit into an index; none if the first one is unbounded."""
    return indexable(table, table.key_columns)


def add_facts(table: HistoryTable, revision: int) -> str:
    """Return the batch that adds #rows to the table, and selects how many rows were loaded into #rows.

    Existing rows stay unchanged.
    """
    physical, columns = quoted(table.physical(revision)), table.columns
    return (
        f"INSERT INTO {physical} ({listed(columns)}) SELECT {listed(columns[:-1], 's.')}, @now "
        f"FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM {physical} AS t WITH (UPDLOCK, HOLDLOCK) "
        "WHERE t.[_key_hash] = s.[_key_hash] AND t.[_rank] = s.[_rank]); "
        "DROP TABLE #rows; SELECT @loaded AS loaded"
    )


def add_sweeps(entity: str, revision: int) -> str:
    """Return the batch that adds sweeps (one JSON parameter); existing ones stay unchanged."""
    return (
        f"SELECT source COLLATE {BINARY_COLLATION} AS source, bucket, position COLLATE {BINARY_COLLATION} "
        "AS position, occurred_at, event_id INTO #sweeps FROM OPENJSON(%s) WITH ("
        f"source NVARCHAR({MAX_SOURCE}) '$[0]', bucket INT '$[1]', position VARCHAR({MAX_RANK}) '$[2]', "
        "occurred_at DATETIME2(6) '$[3]', event_id UNIQUEIDENTIFIER '$[4]'); "
        "INSERT INTO [headwater].[sweeps] "
        "(entity, revision, source, bucket, position, occurred_at, event_id) "
        f"SELECT {text(entity)}, {revision}, s.source, s.bucket, s.position, s.occurred_at, s.event_id "
        "FROM #sweeps AS s WHERE NOT EXISTS "
        "(SELECT 1 FROM [headwater].[sweeps] AS t WITH (UPDLOCK, HOLDLOCK) "
        f"WHERE t.entity = {text(entity)} AND t.revision = {revision} AND t.source = s.source "
        "AND t.bucket = s.bucket AND t.position = s.position AND t.occurred_at = s.occurred_at); "
        "DROP TABLE #sweeps"
    )


def create_view(table: HistoryTable, revision: int) -> str:
    """Return the view of the versions in this revision."""
    types, texts = types_of(table), collated(table)

    # Typed, so that both sides of the UNION ALL have the same type and collation.
    def null(name: str) -> str:
        collation = f" COLLATE {BINARY_COLLATION}" if name in texts else ""
        return f"CAST(NULL AS {types[name]}){collation}"

    # INTERSECT compares NULLs as equal, which `=` does not.
    def equal(names: Sequence[str], prefix: str) -> str:
        now, before = list(_exact(table, names, "")), list(_exact(table, names, prefix))
        return f"EXISTS (SELECT {', '.join(now)} INTERSECT SELECT {', '.join(before)})"

    sweeps = f"{{keys}} AS k INNER JOIN [headwater].[sweeps] AS s ON {_same_bucket(table, revision, 'k')}"
    dialect = HistoryDialect(quoted=quoted, null=null, equal=equal, sweeps=sweeps, forever=FOREVER)
    return f"CREATE OR ALTER VIEW {quoted(table.view)} AS {select_versions(table, revision, dialect)}"


def _exact(table: HistoryTable, names: Sequence[str], prefix: str) -> list[str]:
    """Return expressions that compare these columns exactly."""
    # SQL Server compares 'a' and 'a ' as equal, and 0x01 and 0x0100 too: hence the lengths.
    types = types_of(table)
    sized = [name for name in names if "VAR" in types[name]]
    columns = [quoted(prefix + name) for name in names]
    return [*columns, *(f"DATALENGTH({quoted(prefix + name)})" for name in sized)]


def _same_bucket(table: HistoryTable, revision: int, row: str) -> str:
    """Return the condition that sweep `s` covers the bucket of `row`, an alias."""
    return (
        f"s.entity = {text(table.entity.name)} AND s.revision = {revision} AND s.source = {row}.[_source] "
        f"AND s.bucket = CAST(SUBSTRING({row}.[_key_hash], 1, 1) AS INT)"
    )


def create_function(table: HistoryTable, revision: int) -> str:
    """Return the function of the rows that were valid at a moment, by all that is known now.

    For each key that is the greatest rank up to the moment, unless a sweep up to the moment is greater.
    """
    # NOT EXISTS in place of window functions: a condition on the key is pushed down to the index, even when
    # it is a column of another table, as in a join.
    physical = quoted(table.physical(revision))
    columns = listed((*table.business_columns, "_source"), "e.")
    later = "n.[_key_hash] = e.[_key_hash] AND n.[_rank] > e.[_rank] AND n.[_occurred_at] <= @t"
    swept = f"{_same_bucket(table, revision, 'e')} AND s.position > e.[_rank] AND s.occurred_at <= @t"
    rows = (
        f"SELECT {columns} FROM {physical} AS e WHERE e.[_occurred_at] <= @t AND e.[_deleted] = 0 "
        f"AND NOT EXISTS (SELECT 1 FROM {physical} AS n WHERE {later}) "
        f"AND NOT EXISTS (SELECT 1 FROM [headwater].[sweeps] AS s WHERE {swept})"
    )
    return (
        f"CREATE OR ALTER FUNCTION {quoted(table.at)} (@t DATETIME2(6)) RETURNS TABLE AS RETURN "
        f"{preferred(table, rows)}"
    )
