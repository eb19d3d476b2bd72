"""The processes of bench_report_latency: one calls the producer, one consumes and keeps the report.

`told` is a process's connection to the benchmark: it tells 0 once it is ready.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, TypeAlias

import benchmarks.bench_latency  # noqa: F401 - the tests' plugin of SQLAlchemy, in each process
from benchmarks.report_changes import EVERY, REPORT, Call, Changes, Load
from consumers.handler import handler as consumer_handler
from consumers.kinesis import KinesisRecord, StreamReader
from consumers.reporting.definition.report import Report
from consumers.reporting.engines import reports_in
from consumers.reporting.files import read_reports
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.address import warehouse_url
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Warehouse
from headwater.aws import connect
from headwater.installation import Installation, load
from headwater.local.assembly import EMBEDDED_PACE
from headwater.polling.lambda_events import kinesis_event
from headwater.polling.report_poller import report_pollers
from headwater.polling.runtime import Found, Poller, Runtime
from headwater.polling.runtime_report import Side
from headwater.polling.stream_poller import consumer_poller
from producers.dynamodb.handler import Producer
from producers.dynamodb.handler import handler as producer_handler
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.letters.letter import InMemoryLetters

Way: TypeAlias = Literal["changes", "whole", "indexed"]
"""How the report is kept: change by change, whole again and again, or by the server itself."""

INDEXED = (
    # Columns that may be NULL are not summed there, and both tables are named by two parts.
    "CREATE VIEW [reporting].[indexed_by_town] WITH SCHEMABINDING AS SELECT s.town, u.[plan], "
    "COUNT_BIG(*) AS subscriptions, SUM(ISNULL(u.seats, 0)) AS seats, SUM(ISNULL(u.price, 0)) AS price "
    "FROM [staging].[subscription__r1] AS u INNER JOIN [staging].[school__r1] AS s ON s.urn = u.urn "
    "WHERE u.active = 1 AND u._deleted = 0 AND s._deleted = 0 GROUP BY s.town, u.[plan]",
    "CREATE UNIQUE CLUSTERED INDEX [indexed_by_town_key] ON [reporting].[indexed_by_town] (town, [plan])",
)
"""https://learn.microsoft.com/sql/relational-databases/views/create-indexed-views"""

HandOver: TypeAlias = Callable[[Call], None]


def produce(of: Load, told: Connection) -> None:
    """Through the producer's own handler into Kinesis. Tells how late it was, at most, in seconds."""
    changes = Changes(load().catalog)
    for _ in changes.filling():
        pass
    producer_handler({"Records": []}, None)

    def hand_over(call: Call) -> None:
        if producer_handler({"Records": call}, None)["batchItemFailures"]:
            raise AssertionError("a batch was not published")

    pace(of, changes, hand_over, told)


def pace(of: Load, changes: Changes, hand_over: HandOver, told: Connection) -> None:
    size = round(of.rate * EVERY)
    batches = [changes.batch(number, size) for number in range(of.batches)]
    told.send(0)
    begin, late = told.recv(), 0.0
    for number, calls in enumerate(batches):
        due = begin + number * EVERY
        time.sleep(max(0, due - time.monotonic()))
        late = max(late, time.monotonic() - due)
        for call in calls:
            hand_over(call)
    told.send(late)


def keep(way: Way, of: Load, without_transport: bool, told: Connection) -> None:
    """Fills staging, then applies what comes and keeps the report. Once it is told to end, it compares the
    report with its SELECT and tells how long each refresh took that had something to do, in seconds."""
    here = load()
    with here.new_warehouse() as warehouse:
        warehouse.ensure()
    consumer_handler({"Records": []}, None)
    changes, hand_over = Changes(here.catalog), without_kinesis(here)
    for call in changes.filling():
        hand_over(call)
    report = read_reports(here.settings.home, here.catalog).right[REPORT]
    with closing(open_warehouse(warehouse_url(here.settings), here.catalog.entities.values())) as warehouse:
        refresher = Refresher(reports_in(warehouse))
        refresher.create_indexes(report)
        keepers = [Timed(each) for each in keepers_of(way, warehouse, refresher, report)]
        consumers = [] if without_transport else [consumer_of(here)]
        with (
            tempfile.TemporaryDirectory() as folder,
            Runtime([*consumers, *keepers], Path(folder), EMBEDDED_PACE) as runtime,
        ):
            if without_transport:
                pace(of, changes, hand_over, told)
            else:
                told.send(0)
            while not told.poll(0.2):
                runtime.check()
        try:
            told.recv()
        except EOFError:  # the rate was not held: nobody waits for the answer
            return
        if way != "indexed" and refresher.verify(report):
            raise AssertionError("the report is not what its SELECT gives")
    told.send([seconds for each in keepers for seconds in each.seconds])


def keepers_of(way: Way, warehouse: Warehouse, refresher: Refresher, report: Report) -> list[Poller]:
    if way == "indexed":
        with warehouse.engine.connect() as connection:  # type: ignore[attr-defined]
            for statement in INDEXED:
                connection.exec_driver_sql(statement)
        return []
    refresher.refresh(report)
    count_rows(warehouse)
    if way == "whole":
        return [Whole(refresher, report)]
    return [*report_pollers(refresher, [report], reports_in(warehouse).at_once)]


def count_rows(warehouse: Warehouse) -> None:
    """As of a table that has stood for a while. Babelfish does so by itself, but later: until then a refresh
    takes seconds there."""
    is_server = reports_in(warehouse).dialect.sql == "tsql"
    with warehouse.engine.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("EXEC sp_updatestats" if is_server else "ANALYZE")


def consumer_of(here: Installation) -> Poller:
    stream = StreamReader(connect().kinesis, here.settings.stream)
    with here.warehouse() as warehouse:
        return consumer_poller(stream, warehouse, consumer_handler)


class Whole:
    """`runtime.Poller` that makes a report whole at every other pass. The passes between find nothing, so
    that the runtime pauses: else this would keep SQLite's one lock from the consumer, and nothing would
    come."""

    name = "whole"
    side: Side = "table"

    def __init__(self, refresher: Refresher, report: Report) -> None:
        self._refresher = refresher
        self._report = report
        self._rests = True

    def poll(self, since: float) -> Found:  # noqa: ARG002
        self._rests = not self._rests
        if self._rests:
            return Found(0, level=True)
        self._refresher.refresh(self._report, whole=True)
        return Found(1, level=True)


class Timed:
    """Another poller, and the seconds of each pass that found something."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self.name = poller.name
        self.side = poller.side
        self.seconds: list[float] = []

    def poll(self, since: float) -> Found:
        begun = time.perf_counter()
        found = self._poller.poll(since)
        if found.records:
            self.seconds.append(time.perf_counter() - begun)
        return found


def without_kinesis(here: Installation) -> HandOver:
    """The producer's entries go to the consumer's handler at once, as a shard's records of their own."""
    stream, sequences = InMemoryStream(2), count(1)
    producer = Producer(here.catalog, Publisher(stream, InMemorySchemaLog()), InMemoryLetters())
    identity = StreamReader(connect().kinesis, here.settings.stream).identity()

    def hand_over(call: Call) -> None:
        if producer.publish(call).failed is not None:
            raise AssertionError("a batch was not published")
        for records in taken(stream, sequences):
            consumer_handler(kinesis_event(records, identity.partition("@")[0]), None)

    return hand_over


def taken(stream: InMemoryStream, sequences: Iterator[int]) -> Iterator[list[KinesisRecord]]:
    """What each shard took, which it then forgets."""
    stream.calls.clear()
    for shard, entries in stream.taken.items():
        now, name = datetime.now(UTC), f"direct-{shard}"
        records = [KinesisRecord(name, str(next(sequences)), each.payload, now) for each in entries]
        entries.clear()
        if records:
            yield records


def told_to_end(keeper: Connection, patience: float) -> list[float]:
    """What `keep` tells at its end."""
    keeper.send(0)
    if not keeper.poll(patience):
        raise AssertionError("the report was not compared")
    seconds: list[float] = keeper.recv()
    return seconds
