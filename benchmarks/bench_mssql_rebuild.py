"""A fresh revision in SQL Server: how a rebuild fills it, beside other ways, and the raw limit.

The server is that of HEADWATER_TEST_MSSQL; without it there is nothing to measure. Rows that are all new, in
chunks of 100,000 sorted by key hash, a transaction each, as a chunk of the log is: through the guard, as
replay does; straight into the table with its clustered key; into a heap that gets the key afterwards; into
a heap without any key: the raw limit. All by the engine's own load path, in turn, chunk by chunk.
Below: replay's whole work, from the log's frames to the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from benchmarks.bench_consume import ENTITY, REGISTRY, frame_of
from benchmarks.bench_mssql_load import Figure, apply, on_a_new_warehouse, staged
from benchmarks.bench_replay import log_of
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.load import LoadStatement, loads
from consumers.warehouse.mssql.warehouse import MssqlWarehouse
from consumers.warehouse.port import Row
from consumers.warehouse.tables import StagingTable
from replay.fold import EventFilter
from replay.load import load
from replay.log.in_memory import InMemoryStream
from replay.ports import Ports
from replay.retry_policy import RetryPolicy
from replay.write import RevisionWriter

CHUNKS = 3
CHUNK = 100_000
ROWS = CHUNKS * CHUNK
CLUSTERED, HEAP, RAW = "[clustered]", "[heap]", "[raw]"
LIMIT = "raw: a heap without a key"
TABLE = StagingTable(ENTITY, "staging.")

Way = Callable[[Sequence[Row]], None]


def run() -> Iterator[Figure]:
    """Shares of the raw limit."""
    return on_a_new_warehouse(_figures)


def _figures(warehouse: MssqlWarehouse) -> Iterator[Figure]:
    apply(warehouse, [staged(n, 1) for n in range(5_000)])  # what is first is slow
    spent = _measured(warehouse)
    spent["replay: the log's frames into a revision"] = _replayed(warehouse)
    for words, seconds in spent.items():
        yield words, ROWS / seconds, spent[LIMIT] / seconds, "rows/s"


def _measured(warehouse: MssqlWarehouse) -> dict[str, float]:
    """Seconds of each way."""
    revision = warehouse.create_revision(ENTITY.name)
    with warehouse.engine.connect() as connection:
        for table, key in ((CLUSTERED, True), (HEAP, False), (RAW, False)):
            _make(connection, table, key=key)
        ways: dict[str, Way] = {
            "fresh revision through the guard": lambda rows: apply(warehouse, rows, revision),
            "  straight into the clustered key": lambda rows: _load(connection, CLUSTERED, rows),
            "  a heap, the key afterwards": lambda rows: _load(connection, HEAP, rows),
            LIMIT: lambda rows: _load(connection, RAW, rows),
        }
        spent = dict.fromkeys(ways, 0.0)
        for chunk in range(CHUNKS):
            rows = [staged(n, 1) for n in range(chunk * CHUNK, (chunk + 1) * CHUNK)]
            for words, way in ways.items():
                spent[words] += _seconds(lambda: way(rows))  # noqa: B023
        spent["  a heap, the key afterwards"] += _seconds(lambda: _add_key(connection, HEAP))
    return spent


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _make(connection: Connection, table: str, *, key: bool) -> None:
    """As the engine's own, but that `_applied_at`, which no load sends, may be NULL."""
    made = sql.create_table(TABLE, 1).replace(sql.quoted(TABLE.physical(1)), table)
    made = made.replace("[_applied_at] DATETIME2(6) NOT NULL", "[_applied_at] DATETIME2(6) NULL")
    _run(connection, made if key else made.replace(" PRIMARY KEY", ""))


def _add_key(connection: Connection, table: str) -> None:
    _run(connection, f"ALTER TABLE {table} ADD CONSTRAINT [heap_key] PRIMARY KEY ([_key_hash])")


def _load(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    _run(connection, "BEGIN TRANSACTION")
    for each in loads(TABLE, rows):
        connection.exec_driver_sql(_straight(each, table), each.parameters)
    _run(connection, "COMMIT")


def _straight(made: LoadStatement, table: str) -> str:
    """The engine's load into a table instead of #rows, which it makes."""
    columns = sql.listed(TABLE.columns[:-1])
    statement = made.statement.replace(" INTO #rows FROM", " FROM", 1)
    inserted = statement.replace("SELECT CAST(", f"INSERT INTO #rows ({columns}) SELECT CAST(", 1)
    return f"DECLARE @loaded INT; {inserted.replace('#rows', table)}"


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _replayed(warehouse: MssqlWarehouse) -> float:
    """Seconds from the log's frames to the table."""
    log = log_of(frame_of(f"subscription-{n:08}", n) for n in range(ROWS))
    revision = warehouse.create_revision(ENTITY.name)
    ports = Ports(warehouse, log, InMemoryStream(), REGISTRY)
    writer = RevisionWriter(
        warehouse, EventFilter(ENTITY), REGISTRY, revision=revision, live=1, retry=RetryPolicy()
    )
    seconds = _seconds(lambda: load(ports, writer))
    if writer.counts.applied != ROWS:
        raise AssertionError(f"not all events became rows: {writer.counts}")
    return seconds
