"""Cost of a batch into SQL Server as the staging table grows.

The server is that of HEADWATER_TEST_MSSQL; without it there is nothing to measure. A table of each size, from
10^4 rows on, filled inside the server; then batches of 5,000 rows, half new and half changed at random keys,
through the engine, one for each table in turn. The figure is the median in milliseconds, its share that of
the smallest table: above 100 % is slower. HEADWATER_BENCH_ROWS is the size of the largest table (default
1000000; 10000000 takes 6 GB of disk and 10 to 20 minutes).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from hashlib import md5
from statistics import median

from benchmarks.bench_consume import ENTITY
from benchmarks.bench_mssql_load import Figure, apply, on_a_new_warehouse, staged
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.warehouse import MssqlWarehouse
from consumers.warehouse.port import Counts, Row
from consumers.warehouse.tables import StagingTable

SIZES = [10**4, 10**5, 10**6, 10**7]
LARGEST = "HEADWATER_BENCH_ROWS"
BATCH = 5_000
ROUNDS = 9
WARM_UP = 3
FILLED = 250_000
"""Rows of a statement."""

TABLE = StagingTable(ENTITY, "staging.")
DIGITS = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"


def run() -> Iterator[Figure]:
    """Shares of the smallest table's."""
    return on_a_new_warehouse(_figures)


def _figures(warehouse: MssqlWarehouse) -> Iterator[Figure]:
    sizes = [size for size in SIZES if size <= int(os.environ.get(LARGEST, "1000000"))]
    medians = _measured(warehouse, sizes)
    for size, seconds in zip(sizes, medians, strict=True):
        yield f"batch of 5,000 into a table of {size:,} rows", seconds * 1_000, seconds / medians[0], "ms"


def _measured(warehouse: MssqlWarehouse, sizes: Sequence[int]) -> list[float]:
    """Median seconds of a batch, by size."""
    revisions = [_filled(warehouse, size) for size in sizes]
    taken: list[list[float]] = [[] for _ in sizes]
    dice = random.Random(3)
    for number in range(WARM_UP + ROUNDS):
        for size, revision, seconds in zip(sizes, revisions, taken, strict=True):
            rows = _rows(dice, size, number)
            begun = time.perf_counter()
            counts = apply(warehouse, rows, revision)
            seconds.append(time.perf_counter() - begun)
            if counts != Counts(applied=BATCH):
                raise AssertionError(f"not all rows changed the table: {counts}")
    return [median(seconds[WARM_UP:]) for seconds in taken]


def _rows(dice: random.Random, size: int, number: int) -> list[Row]:
    """Keys are numbers: those below the size are there."""
    old = dice.sample(range(size), BATCH // 2)
    new = range(size + number * BATCH // 2, size + (number + 1) * BATCH // 2)
    return [
        staged(key, number + 2)._replace(key_hash=md5(str(key).encode(), usedforsecurity=False).digest())
        for key in (*old, *new)
    ]


def _filled(warehouse: MssqlWarehouse, size: int) -> int:
    """A new revision with so many rows."""
    revision = warehouse.create_revision(ENTITY.name)
    with warehouse.engine.connect() as connection:
        for start in range(0, size, FILLED):
            statement = _fill(revision, start, min(start + FILLED, size))
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    return revision


def _fill(revision: int, start: int, end: int) -> str:
    """Rows like `staged`'s of the numbers from start on. In key order, which is faster."""
    number = " + ".join(f"d{place}.d * {10**place}" for place in range(6))
    digits = " CROSS JOIN ".join(f"{DIGITS} AS d{place} (d)" for place in range(6))
    columns = {
        "_key_hash": "HASHBYTES('MD5', CAST(n AS VARCHAR(20)))",
        "subscription_id": "'subscription-' + CAST(10000000 + n AS VARCHAR(20))",
        "urn": "100000 + n",
        "plan": "'premium'",
        "price": "n % 1000",
        "seats": "n % 500",
        "active": "CAST(n % 2 AS BIT)",
        "starts_on": "'2024-01-01'",
        "updated_at": "'2024-05-01T10:00:00.123456'",
        "_rank": f"'{staged(0, 1).rank}'",
        "_event_id": "NEWID()",
        "_deleted": "CAST(0 AS BIT)",
        "_source": f"'{staged(0, 1).source}'",
        "_occurred_at": "'2024-05-01T10:00:00.123456'",
        "_schema_version": "1",
        "_applied_at": "SYSUTCDATETIME()",
    }
    return (
        f"INSERT INTO {sql.quoted(TABLE.physical(revision))} ({sql.listed(columns)}) "
        f"SELECT {', '.join(columns.values())} FROM (SELECT {start} + {number} AS n FROM {digits}) AS source "
        f"WHERE n < {end} ORDER BY 1"
    )
