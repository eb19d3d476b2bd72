"""The peers' case: an upsert of 100,000 rows of 8 columns, half of them updates, on one SQL Server.

The server is that of HEADWATER_TEST_MSSQL. HEADWATER_BENCH_PEERS names a folder of the peers' environments,
outside this project; without it Headwater is measured alone. To make one:

    python3.11 -m venv peers/dlt && peers/dlt/bin/pip install 'dlt[mssql]'
    python3.11 -m venv peers/target-mssql && peers/target-mssql/bin/pip install <MeltanoLabs/target-mssql>

dlt wants a driver named "ODBC Driver 18 for SQL Server"; where it is not the system's, say where it is in
`peers/odbc/odbcinst.ini`. benchmarks/peers/ says what each of them sends, and what Babelfish refuses.

Two things are measured of each. "Whole", from what it is given: dlt dicts, target-mssql lines of Singer,
Headwater Kinesis records of Avro events. "Load", without what it does to its input: dlt's load step,
target-mssql's batches, Headwater's guarded apply of rows, in transactions of 5,000. The share is that of the
best peer.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bench_consume import ENTITY, REGISTRY, SCHEMA
from benchmarks.bench_mssql_load import apply, cut
from benchmarks.peers.rows import ROWS, THERE, rows
from consumers.consume import Consumer
from consumers.facts import read_fact
from consumers.rows import to_row
from consumers.warehouse.mssql.warehouse import MssqlWarehouse, open_warehouse
from consumers.warehouse.port import Row
from producers.aggregator import Aggregate
from schemas.catalog.entity import Catalog
from schemas.event import Operation, encode_event, make_event
from schemas.keys import canonical_key
from schemas.letters.letter import InMemoryLetters
from schemas.positions import dynamodb_position

# bench_mssql_load puts the tests' folder on the path.
from babelfish import close_kept  # isort: skip
from mssql_server import VARIABLE, bare, is_babelfish, new_database, server, url_of  # isort: skip

FOLDER = "HEADWATER_BENCH_PEERS"
ROUNDS = 2
BATCH = 5_000
AGGREGATE = 500
TABLE = "[staging].[subscription__r1]"
COUNT = "SELECT COUNT(*), COUNT(CASE WHEN price - FLOOR(price) = 0.02 THEN 1 END) FROM {}"
GENERATION = "2024-05-01T10:00:00.000000"

Lanes = list[list[bytes]]
"""Frames by shard."""


class Seconds(NamedTuple):
    """Of one upsert: all of it, and its load alone."""

    whole: float
    load: float


class Peer(NamedTuple):
    """Its environment, what runs in it, and settings beside its defaults."""

    folder: str
    script: str
    settings: Mapping[str, str] = {}


PEERS = {
    "dlt": Peer("dlt", "run_dlt.py"),
    "dlt, 4 files at once": Peer("dlt", "run_dlt.py", {"NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "25000"}),
    "target-mssql": Peer("target-mssql", "run_target_mssql.py"),
}

Way = Callable[[str], Seconds]
"""Upserts into a database."""


def run() -> Iterator[tuple[str, float, float, str]]:
    """Name, figure, share of the best peer, unit."""
    if not os.environ.get(VARIABLE):
        print(f"   ({VARIABLE} is not set: no SQL Server to measure)")
        return
    ways: dict[str, Way] = {
        "Headwater": partial(headwater, shards=1),
        "Headwater, 2 shards at once": partial(headwater, shards=2),
    }
    theirs = {name: partial(peer, name) for name in PEERS if python_of(name).exists()}
    for name in sorted(PEERS.keys() - theirs.keys()):
        print(f"   ({name} is absent: {FOLDER} does not name a folder with it)")
    best = measured({**ways, **theirs})
    for part in Seconds._fields:
        rates = {name: ROWS / getattr(seconds, part) for name, seconds in best.items()}
        limit = max((rates[name] for name in theirs), default=max(rates.values()))
        for name, rate in rates.items():
            yield f"upsert, {part}: {name}", rate, rate / limit, "rows/s"


def measured(ways: Mapping[str, Way]) -> dict[str, Seconds]:
    """The least of each, in turns, each time in a database of its own."""
    found: dict[str, list[Seconds]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            with new_database() as database:
                found[name].append(way(database))
                close_kept()
    return {name: Seconds(*map(min, zip(*each, strict=True))) for name, each in found.items()}


# Headwater.


def headwater(database: str, shards: int) -> Seconds:
    warehouse = open_warehouse(url_of(database), [ENTITY])
    warehouse.ensure()
    try:
        made = frames(ROWS, 2)
        lanes = [made[lane::shards] for lane in range(shards)]
        return Seconds(from_records(warehouse, lanes), from_rows(warehouse, lanes))
    finally:
        warehouse.close()


def from_records(warehouse: MssqlWarehouse, lanes: Lanes) -> float:
    consumer = Consumer(Catalog({ENTITY.name: ENTITY}, REGISTRY), warehouse, InMemoryLetters())
    batches = [[list(map(aggregate, cut(some, AGGREGATE))) for some in cut(lane, BATCH)] for lane in lanes]
    return upserted(warehouse, consumer.consume, batches)


def from_rows(warehouse: MssqlWarehouse, lanes: Lanes) -> float:
    batches = [list(cut(list(map(as_row, lane)), BATCH)) for lane in lanes]
    return upserted(warehouse, partial(apply, warehouse), batches)


def upserted(warehouse: MssqlWarehouse, take: Callable[[Any], object], batches: list[list[Any]]) -> float:
    """Seconds to take all batches, those of each shard one after another."""
    fill(warehouse)
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(batches)) as pool:
        list(pool.map(lambda lane: list(map(take, lane)), batches))
    seconds = time.perf_counter() - begun
    with warehouse.engine.connect() as connection:
        check("Headwater", tuple(connection.exec_driver_sql(COUNT.format(TABLE)).one()))
    return seconds


def fill(warehouse: MssqlWarehouse) -> None:
    """The table holds the earlier version of half of the rows, and nothing else."""
    with warehouse.engine.connect() as connection:
        connection.exec_driver_sql(f"TRUNCATE TABLE {TABLE}")
    for some in cut(list(map(as_row, frames(THERE, 1))), BATCH):
        apply(warehouse, some)


def frames(count: int, version: int) -> list[bytes]:
    return [frame(number, version, values) for number, values in enumerate(rows(count, version))]


def frame(number: int, version: int, values: dict[str, Any]) -> bytes:
    return encode_event(
        make_event(
            source=ENTITY.sources[0].name,
            entity=ENTITY.name,
            operation=Operation.UPDATE,
            key=canonical_key([values["subscription_id"]]),
            position=dynamodb_position(GENERATION, str(version * 10**20 + number)),
            occurred_at=(1_714_557_600 + number // 1_000) * 1_000_000,  # DynamoDB tells whole seconds
            schema_fingerprint=SCHEMA.fingerprint,
            after=SCHEMA.encode(values),
        )
    )


def as_row(frame: bytes) -> Row:
    return to_row(read_fact(frame, REGISTRY), ENTITY)


def aggregate(frames: Sequence[bytes]) -> bytes:
    made = Aggregate()
    for each in frames:
        made.add("subscription/17", each)
    return made.contents()


# The peers.


def python_of(name: str) -> Path:
    return Path(os.environ.get(FOLDER) or "/nowhere").absolute() / PEERS[name].folder / "bin" / "python"


def peer(name: str, database: str) -> Seconds:
    """Its own process, which prints its figures as its last line."""
    python = python_of(name)
    script = Path(__file__).parent / "peers" / PEERS[name].script
    drivers = python.parents[2] / "odbc"
    environ = {
        **os.environ,
        **PEERS[name].settings,
        "HEADWATER_BENCH_DATABASE": server().set(database=database, query={}).render_as_string(False),
        "HEADWATER_BENCH_BABELFISH": "yes" if is_babelfish() else "",
        **({"ODBCSYSINI": str(drivers)} if drivers.exists() else {}),
    }
    ended = subprocess.run([python, script], env=environ, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{name} failed:\n{ended.stderr[-2_000:]}")
    told = json.loads(ended.stdout.splitlines()[-1])
    print(
        f"   ({name}: {told['load']:.1f} s to load, of them {told['staging']:.1f} s into its staging table)"
    )
    with bare(database) as connection:
        cursor = connection.cursor()
        cursor.execute(COUNT.format(told["table"]))
        check(name, cursor.fetchone())
    return Seconds(told["whole"], told["load"])


def check(name: str, counted: tuple[int, ...]) -> None:
    """Every row is there once, and in its second version, which the cents of its price tell."""
    if counted != (ROWS, ROWS):
        raise AssertionError(f"{name} left other rows than it was given: {counted}")
