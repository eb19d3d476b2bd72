"""From a DynamoDB stream record handed to the producer to its row of a report changed, at 500 changes/s.

Open loop: a record's clock starts when its batch is due, so a stall of anything counts. The producer is a
process of its own; Kinesis is the embedded AWS's; consumer and reports share a process and a runtime, with
the pollers and pauses of `headwater up`. A reader outside, on a connection of its own, asks the report's view
for the probes of each shard (see bench_latency and report_changes): who sees one sees all of its batch, for
the shard's part is one transaction of staging, and a refresh is one snapshot. The report joins and groups
20,000 subscriptions of 2,000 schools. At the end it is made from scratch beside the live one: no row may
differ.

Beside it, each with the same load: the report made whole again and again; an indexed view, where the server
takes one; and without transport, the producer's entries handed to the consumer in one process. SQLite always;
SQL Server where HEADWATER_TEST_MSSQL names one. HEADWATER_BENCH_SECONDS is how long each counts (default 60),
HEADWATER_BENCH_RATE the changes/s (default 500). The share is 2 s, the bar, by the figure: 100 % holds.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pymssql

from benchmarks.bench_latency import (
    Read,
    Reader,
    environment,
    mssql_reader,
    sqlite_reader,
    started,
    told_by,
)
from benchmarks.bench_mssql_load import VARIABLE, Figure, bare, close_kept, new_database, url_of
from benchmarks.report_changes import EVERY, PROBE_TOWNS, REPORT, Load, make_home
from benchmarks.report_processes import INDEXED, Way, keep, produce, told_to_end
from consumers.warehouse.engines import open_warehouse
from headwater.aws import connect
from headwater.embedded.aws import EmbeddedAws
from headwater.installation import load
from headwater.local.provision import make_flow, make_stores
from schemas.catalog.loader import load_catalog

RATE, SECONDS = "HEADWATER_BENCH_RATE", "HEADWATER_BENCH_SECONDS"
WARM = 10.0
READ_PAUSE = 0.005
PATIENCE = 60.0
BAR = 2_000.0
"""Milliseconds, of the 99th centile."""
FROM = {"changes": f"reporting.{REPORT}", "indexed": "reporting.indexed_by_town WITH (NOEXPAND)"}
FROM["whole"] = FROM["changes"]


class Readers(NamedTuple):
    """Of staging and of the report: the newest batch of each shard, counted from 1."""

    staging: Reader
    report: Reader


class Found(NamedTuple):
    """Milliseconds for each shard's part of a batch, and for each refresh. `late`, in seconds, how late the
    producer was called, at most."""

    staging: list[float]
    report: list[float]
    refreshes: list[float]
    late: float


def run() -> Iterator[Figure]:
    """Name, figure, share of the bar, unit."""
    of = Load(int(os.environ.get(RATE, "500")), WARM, float(os.environ.get(SECONDS, "60")))
    print(f"   ({of.rate} changes/s; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    yield from figures_of("SQLite", sqlite, of, "SQLite has no indexed views")
    if not os.environ.get(VARIABLE):
        print(f"   ({VARIABLE} is not set: no SQL Server to measure, and no indexed view)")
        return
    yield from figures_of("SQL Server", mssql, of, refusal())


Place = Callable[[Way], AbstractContextManager[tuple[str, Readers]]]
"""A warehouse of its own for one way: its URL, and its readers."""


def figures_of(engine: str, place: Place, of: Load, refused: str | None) -> Iterator[Figure]:
    yield from measured(f"{engine}: record to report row", place, "changes", of)
    yield from measured("  without transport", place, "changes", of, without_transport=True)
    yield from measured("  by full recompute", place, "whole", of)
    if refused is None:
        yield from measured("  by an indexed view", place, "indexed", of)
    else:
        print(f"   by an indexed view: not run: {refused}")


def measured(
    name: str, place: Place, way: Way, of: Load, *, without_transport: bool = False
) -> Iterator[Figure]:
    with place(way) as (url, readers):
        try:
            found = measure(url, readers, way, of, without_transport)
        except NotHeldError as error:
            print(f"   {name.strip()}: {error}")
            return
    for centile, figure in centiles(found.report).items():
        yield f"{name}, {centile}", figure, BAR / figure, "ms"
    staging = centiles(found.staging)
    print(f"     (to staging p50 {staging['p50']:.0f}, p99 {staging['p99']:.0f} ms;", end=" ")
    if found.refreshes:
        one = centiles(found.refreshes)
        print(f"{len(found.refreshes)} refreshes, p50 {one['p50']:.0f}, p99 {one['p99']:.0f} ms;", end=" ")
    print(f"producer at most {found.late * 1_000:.0f} ms late)")


def centiles(figures: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(figures, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "max": max(figures)}


def refusal() -> str | None:
    """What the server says against an indexed view, None where it makes one."""
    with new_database() as name, tempfile.TemporaryDirectory() as home:
        make_home(Path(home))
        entities = load_catalog(Path(home)).entities.values()
        with closing(open_warehouse(url_of(name), entities)) as warehouse:
            warehouse.init()
        close_kept()
        with bare(name) as connection, connection.cursor() as cursor:
            try:
                for statement in INDEXED:
                    cursor.execute(statement)
            except pymssql.Error as error:
                said = error.args[-1]
                words = said.decode() if isinstance(said, bytes) else str(said)
                return words.partition("DB-Lib")[0]
    return None


# This process reads; the others are in report_processes.


def measure(url: str, readers: Readers, way: Way, of: Load, without_transport: bool) -> Found:
    with (
        tempfile.TemporaryDirectory() as home,
        EmbeddedAws() as server,
        environment({**server.environment(), "HEADWATER_WAREHOUSE": url, "HEADWATER_HOME": home}),
    ):
        make_home(Path(home))
        here, aws = load(), connect()
        make_stores(aws, here.settings, here.catalog)
        make_flow(aws, here.settings, here.catalog, pumped=True)
        with started(partial(keep, way, of, without_transport)) as keeper:
            if without_transport:
                producing: AbstractContextManager[Connection] = nullcontext(keeper)
            else:
                producing = started(partial(produce, of))
            with producing as producer, readers.staging() as staging, readers.report() as report:
                begin = time.monotonic() + 0.5  # one clock for all processes of a machine
                producer.send(begin)
                seen = watch([staging, report], begin, of)
                late = told_by(producer)
            refreshes = [each * 1_000 for each in told_to_end(keeper, PATIENCE)]
    return Found(latencies(seen[:2], begin, of), latencies(seen[2:], begin, of), refreshes, late)


class NotHeldError(AssertionError):
    """The report fell behind so far that it was not waited for."""


def watch(reads: list[Read], begin: float, of: Load) -> list[list[float]]:
    """Of each shard, when each batch was seen, in what each read gives. Waits for all."""
    seen: list[list[float]] = [[] for _ in reads for _ in PROBE_TOWNS]
    give_up = begin + of.batches * EVERY + PATIENCE
    while min(map(len, seen)) < of.batches:
        place = 0
        for read in reads:
            newest, now = read(), time.monotonic()
            for batch in newest:
                seen[place] += [now] * (batch - len(seen[place]))
                place += 1
        if now > give_up:
            counts = [len(each) for each in seen]
            raise NotHeldError(
                f"the rate was not held: {PATIENCE:g} s after the end, of {of.batches} batches "
                f"{min(counts[:2])} were seen in staging, {min(counts[2:])} in the report"
            )
        time.sleep(READ_PAUSE)
    return seen


def latencies(seen: list[list[float]], begin: float, of: Load) -> list[float]:
    """Milliseconds, one for each shard's part of a batch that counts."""
    return [
        (times[batch] - begin - batch * EVERY) * 1_000
        for times in seen
        for batch in range(of.warm_batches, of.batches)
    ]


# Warehouses, and who reads them.


@contextmanager
def sqlite(_way: Way) -> Iterator[tuple[str, Readers]]:
    select = f"SELECT town, seats FROM reporting_{REPORT} WHERE town IN (?, ?)"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warehouse.db"

        @contextmanager
        def report() -> Iterator[Read]:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
                yield lambda: of_probes(connection.execute(select, PROBE_TOWNS).fetchall())

        yield f"sqlite:///{file}", Readers(sqlite_reader(file), report)


@contextmanager
def mssql(way: Way) -> Iterator[tuple[str, Readers]]:
    select = f"SELECT town, seats FROM {FROM[way]} WHERE town IN (%s, %s)"
    with new_database() as name:

        @contextmanager
        def report() -> Iterator[Read]:
            with bare(name) as connection, connection.cursor() as cursor:

                def read() -> list[int]:
                    cursor.execute(select, PROBE_TOWNS)
                    return of_probes(cursor.fetchall())

                yield read

        yield url_of(name), Readers(mssql_reader(name), report)
        close_kept()


def of_probes(rows: list[tuple[str, int]]) -> list[int]:
    newest = {town: int(seats) for town, seats in rows}
    return [newest.get(town, 0) for town in PROBE_TOWNS]
