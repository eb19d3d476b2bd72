"""From a DynamoDB stream record handed to the producer to its row visible in SQL, at 1,000 changes/s.

As in AWS: producer and consumer are processes of their own, each calling the very handler that Lambda calls,
with Kinesis between them (the embedded AWS). The consumer's records are read by the stream poller of
`headwater up`, at its pace. The records are generated: for a minute a batch of 100 every 100 ms, as an event
source gives them; half of them change a row that is there. The pump to Firehose that `up` has is left out: in
AWS that is Firehose itself.

Measured from the moment when a batch is due, so that a producer that is late is no excuse, to the moment when
a reader on a connection of its own has an answer that holds it. Each batch ends with a change of one probe
row for each shard; a shard's part of a batch is one Kinesis record, hence applied by one transaction:
who sees the probe sees all of it. In the end every row of the view is compared with its key's last change.

The share is that of what nobody can leave out: PutRecords, GetRecords and a read of the probes, nothing else
being under way.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from benchmarks.latency_changes import BATCHES, ENTITY, WARM, all_keys, hash_of, probes, record, shard_of
from consumers.handler import handler as consumer_handler
from consumers.kinesis import StreamReader
from headwater.aws import connect
from headwater.embedded.aws import EmbeddedAws
from headwater.installation import Installation, load
from headwater.local.assembly import EMBEDDED_PACE
from headwater.local.provision import make_flow, make_stores
from headwater.polling.runtime import Runtime
from headwater.polling.stream_poller import consumer_poller
from producers.dynamodb.handler import handler as producer_handler

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from babelfish import close_kept
from mssql_server import VARIABLE, bare, new_database, url_of

EVERY = 0.1
"""Seconds from one batch to the next."""
READ_PAUSE = 0.005
PATIENCE = 60.0
FLOOR_ROUNDS = 50

Read = Callable[[], list[int]]
"""Of each shard the newest batch that a reader sees; -1 before the first."""
Reader = Callable[[], AbstractContextManager[Read]]


class Found(NamedTuple):
    """`floor` and `changes` in milliseconds. In seconds `behind`: from when the last batch was due until all
    was visible; `late`: how late the producer handed over a batch, at most."""

    floor: float
    changes: list[float]
    behind: float
    late: float


def run() -> Iterator[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warehouse.db"
        yield from figures("SQLite", measure(f"sqlite:///{file}", sqlite_reader(file)))
    if not os.environ.get(VARIABLE):
        print(f"   ({VARIABLE} is not set: no SQL Server to measure)")
        return
    with new_database() as database:
        found = measure(url_of(database), mssql_reader(database))
        close_kept()
    yield from figures("SQL Server", found)


def figures(engine: str, found: Found) -> Iterator[tuple[str, float, float, str]]:
    print(
        f"   ({engine}: all visible {found.behind:.2f} s after the last batch was due; "
        f"the producer at most {found.late:.2f} s late)"
    )
    centiles = statistics.quantiles(found.changes, n=100)
    for name, figure in (("p50", centiles[49]), ("p99", centiles[98]), ("max", max(found.changes))):
        yield f"{engine}: record handed over to row visible, {name}", figure, found.floor / figure, "ms"
    yield f"{engine}: bare PutRecords, GetRecords and one read, p50", found.floor, 1.0, "ms"


# Three processes: this one reads.


def measure(url: str, reader: Reader) -> Found:
    with EmbeddedAws() as server, environment({**server.environment(), "HEADWATER_WAREHOUSE": url}):
        here, aws = load(), connect()
        make_stores(aws, here.settings, here.catalog)
        make_flow(aws, here.settings, here.catalog, pumped=True)
        with started(consume), started(produce) as producer, reader() as read:
            bare_seconds = floor(aws.kinesis, f"{here.settings.stream}-bare", read)
            begin = time.monotonic() + 0.5  # one clock for all processes of a machine
            producer.send(begin)
            seen = watch(read, begin)
            late = told_by(producer)
        check(here)
    return Found(bare_seconds * 1_000, list(latencies(seen, begin)), behind(seen, begin), late)


@contextmanager
def started(work: Callable[[Connection], None]) -> Iterator[Connection]:
    """A process that is ready to work; it ends when this connection to it is closed, or by itself."""
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    process = processes.Process(target=work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        told_by(ours)
        yield ours
    finally:
        ours.close()
        process.join(PATIENCE)


def told_by(process: Connection) -> float:
    if not process.poll(PATIENCE):
        raise AssertionError("a process does not answer")
    return float(process.recv())


@contextmanager
def environment(exports: dict[str, str]) -> Iterator[None]:
    foreign = [name for name in os.environ if name.startswith(("AWS_", "HEADWATER_")) and name != VARIABLE]
    with mock.patch.dict(os.environ, exports):
        for name in set(foreign) - exports.keys():
            del os.environ[name]
        yield


def consume(told: Connection) -> None:
    here, aws = load(), connect()
    with here.new_warehouse() as warehouse:
        warehouse.ensure()
    consumer_handler({"Records": []}, None)
    stream = StreamReader(aws.kinesis, here.settings.stream)
    with here.warehouse() as warehouse:
        poller = consumer_poller(stream, warehouse, consumer_handler)
    with tempfile.TemporaryDirectory() as folder, Runtime([poller], Path(folder), EMBEDDED_PACE) as runtime:
        told.send(0)
        while not told.poll(0.2):  # it ends with its parent
            runtime.check()


def produce(told: Connection) -> None:
    entity = load().catalog.entity(ENTITY)
    batches = [
        [record(entity, batch, place, key) for place, key in enumerate(keys)]
        for batch, keys in enumerate(all_keys())
    ]
    producer_handler({"Records": []}, None)
    told.send(0)
    begin, late = told.recv(), 0.0
    for batch, records in enumerate(batches):
        due = begin + batch * EVERY
        time.sleep(max(0, due - time.monotonic()))
        late = max(late, time.monotonic() - due)
        if producer_handler({"Records": records}, None)["batchItemFailures"]:
            raise AssertionError("a batch was not published")
    told.send(late)


# The reader.


def sqlite_reader(file: Path) -> Reader:
    select = "SELECT _key_hash, seats FROM staging_subscription__r1 WHERE _key_hash IN (?, ?)"
    hashes = [hash_of(probe) for probe in probes()]

    @contextmanager
    def reader() -> Iterator[Read]:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            yield lambda: of_shards(connection.execute(select, hashes).fetchall())

    return reader


def mssql_reader(database: str) -> Reader:
    either = " OR ".join(f"_key_hash = CAST(0x{hash_of(probe).hex()} AS BINARY(16))" for probe in probes())
    select = f"SELECT _key_hash, seats FROM staging.subscription__r1 WHERE {either}"

    @contextmanager
    def reader() -> Iterator[Read]:
        with bare(database) as connection, connection.cursor() as cursor:

            def read() -> list[int]:
                cursor.execute(select)
                return of_shards(cursor.fetchall())

            yield read

    return reader


def of_shards(rows: Sequence[tuple[bytes, int]]) -> list[int]:
    newest = {bytes(each): batch for each, batch in rows}
    return [newest.get(hash_of(probe), -1) for probe in probes()]


def watch(read: Read, begin: float) -> list[list[float]]:
    """Of each shard, when each batch was seen. Waits for all."""
    seen: list[list[float]] = [[], []]
    give_up = begin + (WARM + BATCHES) * EVERY + PATIENCE
    while min(map(len, seen)) < WARM + BATCHES:
        newest, now = read(), time.monotonic()
        for times, batch in zip(seen, newest, strict=True):
            times += [now] * (batch + 1 - len(times))
        if now > give_up:
            raise AssertionError(f"the rate was not held: {PATIENCE:g} s after the end seen up to {newest}")
        time.sleep(READ_PAUSE)
    return seen


def latencies(seen: list[list[float]], begin: float) -> Iterator[float]:
    """Milliseconds, one for each change."""
    for batch in range(WARM, WARM + BATCHES):
        for shard, changes in Counter(map(shard_of, all_keys()[batch])).items():
            yield from [(seen[shard][batch] - begin - batch * EVERY) * 1_000] * changes


def behind(seen: list[list[float]], begin: float) -> float:
    return max(times[-1] for times in seen) - begin - (WARM + BATCHES - 1) * EVERY


def check(here: Installation) -> None:
    """Each row as its last change left it, and no other."""
    last = {key: batch for batch, keys in enumerate(all_keys()) for key in keys}
    with here.warehouse() as warehouse:
        columns, rows = warehouse.select(ENTITY)
    key, seats = columns.index("subscription_id"), columns.index("seats")
    if {row[key]: row[seats] for row in rows} != last:
        raise AssertionError("the table is not what the changes say")


def floor(kinesis: Any, stream: str, read: Read) -> float:
    """The median of one round of what can't be left out, on a stream of its own."""
    kinesis.create_stream(StreamName=stream, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    shards = kinesis.list_shards(StreamName=stream)["Shards"]
    iterators = [
        kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for shard in shards
    ]
    starts = [shard["HashKeyRange"]["StartingHashKey"] for shard in shards]
    entries = [{"Data": bytes(25_000), "PartitionKey": "bare", "ExplicitHashKey": start} for start in starts]
    rounds = []
    for _ in range(FLOOR_ROUNDS):
        begun = time.perf_counter()
        kinesis.put_records(StreamName=stream, Records=entries)
        answers = [kinesis.get_records(ShardIterator=iterator) for iterator in iterators]
        read()
        rounds.append(time.perf_counter() - begun)
        iterators = [each["NextShardIterator"] for each in answers]
    return statistics.median(rounds)
