"""History of one key, and what keeping it costs.

A table of so many facts, ten of each key, filled inside the database: HEADWATER_BENCH_ROWS (default
1000000). The figure is the median in milliseconds of reading one key's versions, or its row at a moment; its
share is that of reading the same facts bare by their index: above 100 % is slower. Then the live consumer's
rate into SQLite with history, beside the rate without in the same run. SQL Server is that
of HEADWATER_TEST_MSSQL, where it is set. Babelfish makes all rows of a function before it looks at the key:
the function's own statement, written out as SQL Server does it by itself, stands beside.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bench_consume import BATCH, ENTITY, REGISTRY, cut, frames
from benchmarks.bench_mssql_load import VARIABLE, close_kept, new_database, url_of
from consumers.consume import Consumer
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.history import HistoryTable
from consumers.warehouse.mssql import sql as mssql_sql
from consumers.warehouse.mssql.history import create_function
from schemas.catalog.entity import Catalog, Entity
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import make_schema

Figure = tuple[str, float, float, str]

ROWS = int(os.environ.get("HEADWATER_BENCH_ROWS", "1000000"))
VERSIONS = 10
MOMENT = "CAST('2024-01-05T12:00:00' AS DATETIME2(6))"
KEYS = 41
WARM_UP = 3
FILLED = 250_000
ROUNDS = 3
EVENTS = 50_000
SOURCE = "csv:school"

SCHOOL = Entity(
    "school",
    ("urn",),
    (),
    make_schema(
        "school",
        1,
        ["urn"],
        {
            "type": "record",
            "name": "School",
            "fields": [
                {"name": "urn", "type": "int"},
                {"name": "name", "type": "string", "maxLength": 100},
                {"name": "pupils", "type": "int"},
            ],
        },
    ),
    history=True,
)


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        yield from _reads(f"sqlite:///{Path(folder) / 'history.db'}", "SQLite", _sqlite_fill)
    if os.environ.get(VARIABLE):
        with new_database() as name:
            yield from _reads(url_of(name), "SQL Server", _mssql_fill)
            close_kept()
    yield from _rates()


def _reads(url: str, engine: str, fill: Callable[[Any, int, int], None]) -> Iterator[Figure]:
    warehouse: Any = open_warehouse(url, [SCHOOL])
    warehouse.ensure()
    with warehouse.engine.connect() as connection:
        for start in range(0, ROWS // VERSIONS, FILLED // VERSIONS):
            fill(connection, start, min(start + FILLED // VERSIONS, ROWS // VERSIONS))
        prefix = "history." if engine == "SQL Server" else "history_"
        if engine == "SQLite":
            connection.exec_driver_sql("COMMIT")
        bare = _median(connection, f"SELECT * FROM {prefix}school__r1 WHERE urn = {{urn}}", VERSIONS)
        versions = _median(connection, f"SELECT * FROM {prefix}school WHERE urn = {{urn}}", VERSIONS)
        yield f"one key's history among {ROWS:,} facts, {engine}", versions, versions / bare, "ms"
        if engine == "SQL Server":
            yield from _moments(connection, bare)
    warehouse.close()


def _moments(connection: Any, bare: float) -> Iterator[Figure]:
    made = create_function(HistoryTable(SCHOOL, "history."), 1).split(" RETURN ", 1)[1]
    body = made.replace("@t", MOMENT)
    written = _median(connection, f"SELECT * FROM ({body}) AS at_t WHERE urn = {{urn}}", 1)
    yield "one key at a moment, the function written out", written, written / bare, "ms"
    called = f"SELECT * FROM history.school_at({MOMENT}) WHERE urn = {{urn}}"
    moment = _median(connection, called, 1, keys=1)
    yield "one key at a moment, the function called", moment, moment / bare, "ms"


def _median(connection: Any, statement: str, rows: int, keys: int = KEYS) -> float:
    taken, dice = [], random.Random(7)
    for _ in range(keys + WARM_UP):
        asked = statement.format(urn=dice.randrange(ROWS // VERSIONS))
        begun = time.perf_counter()
        found = connection.exec_driver_sql(asked).all()
        taken.append((time.perf_counter() - begun) * 1_000)
        if len(found) != rows:
            raise AssertionError(f"{len(found)} rows where there are {rows}")
    return median(taken[WARM_UP:])


def _sqlite_fill(connection: Any, start: int, end: int) -> None:
    """Ten facts a day apart of each key."""
    if start == 0:
        connection.exec_driver_sql("BEGIN")
    values = (
        "CAST(printf('%016d', k) AS BLOB), k, 'School ' || k, k + v, "
        "printf('2024-%06d 0001 0123456789abcdef', v), "
        f"randomblob(16), 0, '{SOURCE}', printf('2024-01-%02dT00:00:00.000000+00:00', v), 1, 'upsert', ''"
    )
    connection.exec_driver_sql(
        f"WITH RECURSIVE ks (k) AS (SELECT {start} UNION ALL SELECT k + 1 FROM ks WHERE k + 1 < {end}), "
        f"vs (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM vs WHERE v < {VERSIONS}) "
        f"INSERT INTO history_school__r1 SELECT {values} FROM ks, vs"
    )


def _mssql_fill(connection: Any, start: int, end: int) -> None:
    digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
    number = " + ".join(f"d{place}.d * {10**place}" for place in range(5))
    crossed = " CROSS JOIN ".join(f"{digits} AS d{place} (d)" for place in range(5))
    values = (
        "CAST(HASHBYTES('MD5', CAST(k AS VARCHAR(20))) AS BINARY(16)), k, "
        "'School ' + CAST(k AS VARCHAR(20)), k + v, "
        "'2024-' + CAST(100000 + v AS VARCHAR(20)) + ' 0001 0123456789abcdef', NEWID(), CAST(0 AS BIT), "
        f"'{SOURCE}', DATEADD(DAY, v, CAST('2024-01-01' AS DATETIME2(6))), 1, 'upsert', SYSUTCDATETIME()"
    )
    columns = mssql_sql.listed(HistoryTable(SCHOOL, "history.").columns)
    connection.exec_driver_sql(
        f"INSERT INTO history.school__r1 ({columns}) SELECT {values} "
        f"FROM (SELECT {start} + {number} AS k FROM {crossed}) AS ks "
        f"CROSS JOIN (SELECT d AS v FROM {digits} AS vs (d)) AS versions WHERE k < {end}",
        execution_options={"no_parameters": True},
    )


def _rates() -> Iterator[Figure]:
    """The least seconds of each, in turns."""
    batches = list(cut(islice(frames(), EVENTS), BATCH))
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for history, seconds in spent.items():
            seconds.append(_consumed(replace(ENTITY, history=history), batches))
    without, kept = min(spent[False]), min(spent[True])
    yield "consuming into SQLite without history", EVENTS / without, 1.0, "events/s"
    yield "  the same with history", EVENTS / kept, without / kept, "events/s"


def _consumed(entity: Entity, batches: list[list[bytes]]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_warehouse(f"sqlite:///{Path(folder) / 'consumed.db'}", [entity])
        warehouse.ensure()
        consumer = Consumer(Catalog({entity.name: entity}, REGISTRY), warehouse, InMemoryLetters())
        begun = time.perf_counter()
        accepted = sum(consumer.consume(batch).accepted for batch in batches)
        seconds = time.perf_counter() - begun
        warehouse.close()
    if accepted != EVENTS:
        raise AssertionError(f"{accepted} of {EVENTS} events were accepted")
    return seconds
