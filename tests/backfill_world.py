"""A backfill with all ports in memory, which can be killed at any of its writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dynamodb_world import World, arn

from producers.dynamodb.backfill import Backfill, Filled, Ports, results_of, run_name, subject
from producers.dynamodb.scan import InMemoryItems, Table
from producers.kinesis import Entry, OpenShard
from producers.publisher import Publisher
from producers.runs.run import Run, Wanted, claim
from producers.runs.store import InMemoryRunStore, Stored
from schemas.letters.letter import DeadLetter
from schemas.payload.codec import Schema

ORDERS = Table("orders", arn(), ("id",), 10, 1_000, None)


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class Mortal:
    """All ports of a backfill. It is killed at a write: just before or just after it. 0: never."""

    def __init__(self, world: World, store: InMemoryRunStore, deadline: int = 0, after: bool = False) -> None:
        self._world = world
        self._store = store
        self._deadline = deadline
        self._after = after
        self.writes = 0

    def _write(self, work: Callable[[], Any]) -> Any:
        self.writes += 1
        if self.writes == self._deadline and not self._after:
            raise Killed
        done = work()
        if self.writes == self._deadline:
            raise Killed
        return done

    def shards(self) -> list[OpenShard]:
        return self._world.kinesis.shards()

    def put(self, given: Sequence[Any]) -> Any:
        if not given or isinstance(given[0], DeadLetter):
            return self._write(lambda: self._world.letters.put(given)) if given else None
        entries: Sequence[Entry] = given
        return self._write(lambda: self._world.kinesis.put(entries))

    def ensure(self, schema: Schema) -> None:
        self._write(lambda: self._world.schema_log.ensure(schema))

    def create(self, key: str, body: bytes) -> bytes:
        return self._write(lambda: self._store.create(key, body))

    def replace(self, key: str, body: bytes, etag: str | None) -> str:
        return self._write(lambda: self._store.replace(key, body, etag))

    def erase(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self._write(lambda key=key: self._store.erase([key]))

    def read(self, key: str) -> Stored | None:
        return self._store.read(key)

    def keys(self, prefix: str) -> list[str]:
        return self._store.keys(prefix)

    def ports(self) -> Ports:
        return Ports(Publisher(self, self, sleep=lambda _: None), self, self)


class Filler:
    """Starts backfills of one table in memory; all of them share its store and its world."""

    def __init__(self, *, table: Table = ORDERS, world: World | None = None, segments: int = 1) -> None:
        self.world = world or World()
        self.store = InMemoryRunStore()
        self.table = table
        self.segments = segments
        self.now = 1_000.0
        self._ids = iter(range(1, 1_000))

    def claim(self, ports: Ports, *, restart: bool = False, **more: Any) -> Run:
        number = next(self._ids)
        name = run_name(self.world.catalog, self.table.name, self.world.catalog)
        what = subject(self.table, self.world.catalog, "scan")
        wanted = Wanted(name, f"run-{number}", what, self.segments, "then", f"process-{number}", restart)
        return claim(ports.store, wanted, sleep=lambda _: None, **more)

    def start(self, items: Sequence[Any], mortal: Mortal | None = None, page: int = 3) -> Backfill:
        ports = (mortal or Mortal(self.world, self.store)).ports()
        source = InMemoryItems(items, self.segments, page, self._clock)
        return Backfill(self.table, self.world.catalog, source, self.claim(ports), ports)

    def fill(self, items: Sequence[Any], mortal: Mortal | None = None) -> list[Filled]:
        """Run a backfill to its end; raises Killed before."""
        backfill = self.start(items, mortal)
        for _ in backfill.advance():
            pass
        result = backfill._run.document.result
        assert result
        return results_of(result)

    def _clock(self) -> float:
        self.now += 1
        return self.now

    def chunks(self) -> Iterator[str]:
        return (key for key in self.store.objects if not key.endswith("run.json"))
