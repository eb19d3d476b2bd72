"""A dropped CSV file to its rows in the table through the runtime of `headwater up`, beside its parts alone.

Everything runs on the embedded AWS, as in `up`: the producer alone takes the file from S3 and publishes it
to Kinesis, then the consumer alone applies what is there, then a fresh `up` does the same with all its
pollers, from the drop until the drain returns, so that every event is in the log as well. The rows are
generated. The share of `up` is that of the slower part's rate. Peak memory is that of the process itself,
without the embedded AWS and the process that reads files.

Another size: HEADWATER_BENCH_ROWS=1000000 python -m benchmarks up
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench_csv_producer import COLUMNS, _cell, _values
from consumers import handler as consumer_handler
from consumers.kinesis import StreamReader
from headwater.local.assembly import Local, embedded
from headwater.polling.runtime import Poller
from headwater.polling.stream_poller import consumer_poller
from headwater.sources.csv.poller import QueuePoller
from headwater.sources.csv.provision import find_queue
from headwater.sources.dropping import drop
from producers.csv import handler as csv_handler
from producers.wiring import wire
from schemas.settings import Settings

ROWS = int(os.environ.get("HEADWATER_BENCH_ROWS", "50000"))
ENTITY = "school"
PATIENCE = 3_600.0
KIB_OF_MAXRSS = 1 if sys.platform != "darwin" else 1 / 1024


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "schools.csv"
        _write(file)
        producer, consumer, apart = _in_own_process(parts_alone, file)
        whole, together = _in_own_process(through_up, file)
    slower = max(producer, consumer)
    return [
        ("up: CSV rows, dropped to in the table and the log", ROWS / whole, slower / whole, "rows/s"),
        ("  the producer alone", ROWS / producer, slower / producer, "rows/s"),
        ("  the consumer alone", ROWS / consumer, slower / consumer, "rows/s"),
        ("up: peak memory", together, apart / together, "MB"),
        ("  producer and consumer, one after the other", apart, 1.0, "MB"),
    ]


def _in_own_process(measure: Callable[[Path], tuple[float, ...]], file: Path) -> tuple[float, ...]:
    """The handlers build themselves once in a process, and peak memory is that of a process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, file).result()


def _write(file: Path) -> None:
    with file.open("w", encoding="cp1252", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows([_cell(value) for value in _values(number).values()] for number in range(ROWS))


def parts_alone(file: Path) -> tuple[float, float, float]:
    """Seconds of the producer and of the consumer, and peak memory in MB."""
    with embedded(Settings()) as local:
        here, aws = local.here, local.aws
        stream = StreamReader(aws.kinesis, here.settings.stream)
        batches = consumer_handler.build(here.settings, aws.client)
        files = csv_handler.build(wire(here.settings, aws.client))
        with here.warehouse() as warehouse:
            consumer = consumer_poller(stream, warehouse, lambda event, _context: batches.handle(event))
        producer = QueuePoller(
            aws.sqs, *find_queue(aws, here.settings), lambda event, _context: files.handle(event)
        )
        _drop(local, file)
        seconds = _until_level(producer), _until_level(consumer)
        _check(local)
    return *seconds, _peak()


def through_up(file: Path) -> tuple[float, float]:
    """Seconds of all of it, and peak memory in MB."""
    with _quiet(), embedded(Settings()) as local, local.runtime as runtime:
        start = time.perf_counter()
        _drop(local, file)
        runtime.drain(PATIENCE)
        seconds = time.perf_counter() - start
        _check(local)
    return seconds, _peak()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that say what a drain waits for."""
    with Path(os.devnull).open("w") as nowhere:
        before, sys.stderr = sys.stderr, nowhere
        try:
            yield
        finally:
            sys.stderr = before


def _drop(local: Local, file: Path) -> None:
    drop(local.aws, local.here.settings, local.here.catalog.entity(ENTITY), file)


def _until_level(poller: Poller) -> float:
    since, start = time.time(), time.perf_counter()
    while (found := poller.poll(since)).records or not found.level:
        pass
    return time.perf_counter() - start


def _check(local: Local) -> None:
    with local.here.warehouse() as warehouse:
        (live,) = (table.live for table in warehouse.status() if table.entity == ENTITY)
    if live != ROWS:
        raise AssertionError(f"{live} of {ROWS} rows are in the table")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_OF_MAXRSS / 1024
