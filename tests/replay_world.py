"""A whole pipe in memory but for the warehouse, which is a real file: source events, stream, Firehose's
objects, the live consumer, and replay beside it."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from consumers_world import ITEM

from consumers.consume import Consumer
from consumers.warehouse.mssql import warehouse as mssql
from consumers.warehouse.port import (
    LIVE_READER,
    Batch,
    Checkpoint,
    Counts,
    RefusedRowError,
    Row,
    Transaction,
    TransactionLostError,
    Warehouse,
    padded,
)
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from replay.fold import FOREVER
from replay.log.in_memory import InMemoryLog, InMemoryStream
from replay.ports import Ports
from replay.rebuild import plan_rebuild
from replay.retry_policy import RetryPolicy
from replay.run import RunResult, run
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import TransientError
from schemas.event import Event, bucket_of, decode_event, encode_event, key_hash, rank
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry
from schemas.payload.fields import NO_DEFAULT

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def quick_folder() -> TemporaryDirectory[str]:
    """In memory where the machine has such a place: property tests make many warehouses."""
    memory = Path("/dev/shm")
    return TemporaryDirectory(dir=memory if memory.is_dir() else None)


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, **units: float) -> None:
        self.moment += timedelta(**units)


class Pipe:
    """`publish` puts events on the stream; `flush` is Firehose; `consume` the live consumer; `ports`
    replay's."""

    def __init__(
        self, folder: Path | str, entities: Sequence[Entity] = (ITEM,), url: str | None = None
    ) -> None:
        """`url`: of a warehouse on SQL Server, in place of the SQLite file of this folder."""
        self.clock = Clock()
        self.folder = Path(folder)
        self.entities = {each.name: each for each in entities}
        versions = [schema for each in entities for schema in each.versions]
        self.catalog = Catalog(self.entities, SchemaRegistry(versions))
        self.stream = InMemoryStream(now=self.clock)
        self.log = InMemoryLog()
        for schema in versions:
            self.log.put_schema(schema)
        self.letters = InMemoryLetters()
        opened: Any = mssql.open_warehouse(url, entities, clock=self.clock) if url else None
        self.warehouse: SqliteWarehouse = opened or open_warehouse(self.url, entities, clock=self.clock)
        self.warehouse.ensure()
        self.consumer = Consumer(self.catalog, self.warehouse, self.letters)
        self.consumed: dict[str, int] = {}
        self.flushed = 0
        self.published: list[bytes] = []

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'warehouse.db'}"

    def publish(self, *events: Event, shard: str = "shard-0") -> None:
        for each in events:
            frame = encode_event(each)
            self.stream.put(frame, shard)
            self.published.append(frame)

    def flush(self, *, compressed: bool = False) -> None:
        """What was published since the last time becomes an object of the log."""
        frames = b"".join(self.published[self.flushed :])
        if frames:
            key = f"log/{self.clock():%Y/%m/%d/%H}/{len(self.log.contents):06}"
            self.log.put(key, gzip.compress(frames) if compressed else frames)
        self.flushed = len(self.published)

    def consume(self, most: int = 1_000_000) -> Counts:
        """The live consumer reads what it has not read yet, shard by shard."""
        counts = Counts()
        for shard, records in self.stream.records.items():
            done = self.consumed.get(shard, 0)
            new = [record for record in records if int(record.sequence) > done][:most]
            if new:
                place = Checkpoint(LIVE_READER, self.stream.name, shard, padded(new[-1].sequence))
                counts += self.consumer.consume([record.payload for record in new], [place])
                self.consumed[shard] = int(new[-1].sequence)
        return counts

    def ports(self, **more: Any) -> Ports:
        given: dict[str, Any] = {
            "warehouse": self.warehouse,
            "log": self.log,
            "stream": self.stream,
            "registry": self.catalog.registry,
            "now": self.clock,
            "retry": RetryPolicy(attempts=3, sleep=lambda _seconds: None, random=lambda: 0.0),
        }
        return Ports(**{**given, **more})

    def rebuild(self, of: Entity = ITEM, *, accept_differences: bool = False, **more: Any) -> RunResult:
        ports = self.ports(**more)
        return run(plan_rebuild(ports, of, accept_differences=accept_differences), ports)

    def live(self, of: Entity = ITEM) -> int:
        return next(each.number for each in self.warehouse.revisions(of.name) if each.state == "live")

    def table(self, of: Entity = ITEM, revision: int | None = None) -> list[Row]:
        return list(self.warehouse.rows(of.name, self.live(of) if revision is None else revision))


def business(rows: Iterable[Row]) -> list[tuple[object, ...]]:
    """What INV-3 speaks of: of every row, tombstones too, the columns, the tombstone, the source."""
    return sorted((each.key_hash, each.deleted, each.source, each.values) for each in rows)


def oracle(of: Entity, frames: Iterable[bytes], until: int = FOREVER) -> list[tuple[object, ...]]:
    """The table in ten lines: of each key the event of greatest rank, buried by a sweep of greater
    position."""
    won: dict[bytes, Event] = {}
    floors: dict[tuple[str, int], str] = {}
    events = {frame: decode_event(frame) for frame in frames}
    for frame in sorted(events, key=lambda each: rank(events[each].position, 1, each)):
        made, hashed = events[frame], key_hash(events[frame].source, events[frame].key)
        if made.entity == of.name and made.occurred_at <= until:
            if made.operation == "sweep":
                floors[made.source, bucket_of(made, hashed)] = made.position
            else:
                won[hashed] = made
    return sorted((hashed, *_content(of, hashed, made, floors)) for hashed, made in won.items())


def _content(
    of: Entity, hashed: bytes, made: Event, floors: dict[tuple[str, int], str]
) -> tuple[bool, str, tuple[object, ...]]:
    deleted = made.after is None or made.position < floors.get((made.source, hashed[0]), "")
    if made.after is not None:
        return deleted, made.source, tuple(of.schema.decode(made.after).values())
    known = dict(zip(of.key, json.loads(made.key), strict=True))
    blank = {each.name: None if each.default is NO_DEFAULT else each.default for each in of.schema.fields}
    return deleted, made.source, tuple({**blank, **known}.values())


class Watched:
    """A warehouse with something to do before a transaction, rows that it refuses, answers that get lost.

    `lose` is asked at each `apply`, with whether the transaction is exclusive: it undoes the transaction as a
    deadlock does. All is rolled back, the application locks are released, and the connection goes on.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self.before: Callable[[Collection[str]], None] = lambda _exclusive: None
        self.refused_ranks: set[str] = set()
        self.lose_answer_of_exclusive = False
        self.lose: Callable[[bool], bool] = lambda _exclusive: False
        self.locked = self.locked_exclusively = False
        self.begun: Counter[bool] = Counter()
        """Transactions, by whether they are exclusive."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    @contextmanager
    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> Iterator[Transaction]:
        self.before(exclusive)
        self.begun[bool(exclusive)] += 1
        with self._warehouse.transaction(shared, exclusive) as transaction:
            self.locked, self.locked_exclusively = True, bool(exclusive)
            watched = _Watched(transaction, self.refused_ranks, lambda: self.lose(bool(exclusive)))
            try:
                yield watched  # type: ignore[misc]
            finally:
                self.locked = self.locked_exclusively = False
            assert not watched.doomed, "committed after a refusal"
        if exclusive and self.lose_answer_of_exclusive:
            raise TransientError("the answer to the commit was lost")


class _Watched:
    def __init__(self, transaction: Transaction, refused_ranks: set[str], lose: Callable[[], bool]) -> None:
        self._transaction, self._refused_ranks, self._lose = transaction, refused_ranks, lose
        self.doomed = False

    def __getattr__(self, name: str) -> Any:
        assert not self.doomed, "used after it was refused or lost"
        return getattr(self._transaction, name)

    def apply(self, batch: Batch, revisions: Mapping[str, int]) -> Counts:
        assert not self.doomed, "used after it was refused or lost"
        if self._lose():
            self.doomed = True
            self._transaction._connection.exec_driver_sql("ROLLBACK")  # type: ignore[attr-defined]
            raise TransactionLostError("a deadlock, in this test")
        for entity, rows in batch.rows.items():
            for row in rows:
                if row.rank in self._refused_ranks:
                    self.doomed = True
                    raise RefusedRowError(entity, row, "refused in this test")
        return self._transaction.apply(batch, revisions)
