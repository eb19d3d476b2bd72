"""Events in, acknowledged Kinesis records out: one aggregate per shard, one PutRecords call at a time.

What is buffered always fits one call that holds at most one aggregate of each shard, and the next call begins
when every entry of this one is acknowledged. So a key's events keep the order of `add`, retries included.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from hashlib import md5
from random import random as uniform
from typing import Any, NamedTuple

from producers.aggregator import Aggregate
from producers.deadline import SecondsLeft, unlimited
from producers.kinesis import (
    BROKEN,
    HASH_KEYS,
    MAX_CALL_BYTES,
    MAX_CALL_ENTRIES,
    Entry,
    OpenShard,
    StreamWriter,
)
from producers.put_backoff import MAX_ATTEMPTS, PutBackoff
from producers.schema_log import SchemaLog
from schemas.errors import TransientError
from schemas.event import Event, bucket_of, fitting_frame, key_hash, partition_key
from schemas.payload.codec import Schema

# An event adds no more than this to its call, beside its frame and twice its partition key (in the table of
# its aggregate, and in the entry): what the aggregate takes for a frame, for a key and for itself.
EVENT_OVERHEAD = 80


class PublishError(TransientError):
    """Kinesis did not acknowledge the events of these tags. They are forgotten: add them again."""

    def __init__(self, tags: Sequence[Any]) -> None:
        super().__init__(f"Kinesis did not acknowledge {len(tags)} events")
        self.tags = tags


class Publisher:
    """Publishes events at least once. Not for use by several threads.

    An event is durable when a `flush` after its `add` has returned, and not before (INV-1). `sleep` takes
    seconds; `random` gives numbers in [0, 1) for the jitter of the pauses between attempts.

    A call that fails is tried `max_attempts` times. A throttled entry is not a failure: it is sent again
    until its shard has room for it or the caller's time is up.

    `left` is the caller's time; a handler sets it for each invocation.
    """

    def __init__(
        self,
        writer: StreamWriter,
        schema_log: SchemaLog,
        *,
        sleep: Callable[[float], object] = time.sleep,
        random: Callable[[], float] = uniform,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self._writer = writer
        self._schema_log = schema_log
        self._sleep = sleep
        self._random = random
        self._max_attempts = max_attempts
        self.left: SecondsLeft = unlimited
        self.acknowledged = 0  # bytes that Kinesis took so far
        self._logged: set[bytes] = set()  # fingerprints of the schemas that are in the schema log
        self._shards: list[OpenShard] = []  # none: to be read
        self._routes: dict[tuple[str, int], _Route] = {}
        self._filling: dict[str, _Filling] = {}  # by shard
        self._size = 0  # no less than the bytes of the call to come

    def add(self, event: Event, schema: Schema, tag: Hashable = None) -> bytes:
        """Buffers the event; sends what was buffered before it when that leaves it no room.

        Returns the hash of the event's key, for a caller that would compute it again.

        A before image that does not fit is left out. Raises PoisonEventError for an event that is too large
        even without it: then nothing else changes. Raises PublishError and ConfigurationError: then nothing
        is buffered any more.
        """
        frame = fitting_frame(event)
        hashed = key_hash(event.source, event.key)
        partition = event.entity, bucket_of(event, hashed)
        try:
            if schema.fingerprint not in self._logged:
                self._log(schema)
            while not self._buffer(partition, frame, tag):
                self.flush()
        except TransientError as error:
            sent = error.tags if isinstance(error, PublishError) else ()
            raise PublishError([*sent, *self.forget(), tag]) from error
        except BaseException:
            self.forget()  # the next batch must not meet what is left of this one
            raise
        return hashed

    def flush(self) -> None:
        """Kinesis has everything that was buffered when this returns (INV-1). Raises as `add` does."""
        waiting = [filling.sealed() for filling in self._filling.values()]
        self.forget()
        backoff = self._backoff()
        cause: TransientError | None = None
        while waiting:
            try:
                waiting, broken = self._send(waiting)
            except TransientError as error:
                cause, broken = error, True  # perhaps taken, perhaps not: the same bytes again (INV-5)
            if waiting and not backoff.pause(throttled=not broken):
                raise PublishError([tag for sealed in waiting for tag in sealed.tags]) from cause

    def forget(self) -> list[Hashable]:
        """Empties the buffer, for a caller that gives up. Returns the tags of what was in it."""
        filling, self._filling, self._size = self._filling, {}, 0
        return [tag for one in filling.values() for tag in one.tags]

    def _log(self, schema: Schema) -> None:
        self._schema_log.ensure(schema)  # INV-6: before the first event that needs it
        self._logged.add(schema.fingerprint)

    def _send(self, waiting: list[_Sealed]) -> tuple[list[_Sealed], bool]:
        """One call. Returns what was not acknowledged, and whether more than throttling was the reason."""
        takers = self._writer.put([sealed.entry for sealed in waiting])
        left = []
        for sealed, taker in zip(waiting, takers, strict=True):
            if taker is None or taker == BROKEN:
                left.append(sealed)
            elif taker != sealed.shard:  # resharded: nothing is buffered now, so that the map can change
                self._shards, self._routes = [], {}
        self.acknowledged += sum(len(one.entry.payload) for one in waiting) - sum(
            len(one.entry.payload) for one in left
        )
        return left, BROKEN in takers

    def _buffer(self, partition: tuple[str, int], frame: bytes, tag: Hashable) -> bool:
        """False if the call to come has no room for the frame."""
        route = self._routes.get(partition) or self._route(partition)
        filling = self._filling.get(route.shard) or _Filling(route)
        size = self._size + len(frame) + route.cost
        if size > MAX_CALL_BYTES or not filling.aggregate.add(route.key, frame):
            return False
        if not filling.tags:
            if len(self._filling) == MAX_CALL_ENTRIES:
                return False
            self._filling[route.shard] = filling
        filling.tags.append(tag)
        self._size = size
        return True

    def _route(self, partition: tuple[str, int]) -> _Route:
        if not self._shards:
            self._shards = self._read_shards()
        key = partition_key(*partition)
        hash_key = int.from_bytes(md5(key.encode(), usedforsecurity=False).digest())
        number = bisect_right(self._shards, hash_key, key=lambda shard: shard.start)
        shard = self._shards[number - 1]
        route = _Route(key, shard.id, str(shard.start), 2 * len(key) + EVENT_OVERHEAD)
        self._routes[partition] = route
        return route

    def _read_shards(self) -> list[OpenShard]:
        backoff = self._backoff()
        while True:
            failure = TransientError(
                "the open shards do not cover all hash keys"
            )  # seen while it is resharded
            try:
                shards = self._writer.shards()
                if _cover_everything(shards):
                    return shards
            except TransientError as error:
                failure = error
            if not backoff.pause(throttled=False):
                raise failure

    def _backoff(self) -> PutBackoff:
        return PutBackoff(self._sleep, self._random, self._max_attempts, self.left)


class _Route(NamedTuple):
    """Where the events of one partition go."""

    key: str
    shard: str
    hash_key: str  # the shard's first, so that the aggregate lands in it
    cost: int  # bytes that an event adds to a call beside its frame, at most


class _Sealed(NamedTuple):
    """An aggregate that is being sent."""

    entry: Entry
    shard: str
    tags: Sequence[Hashable]


class _Filling:
    """An aggregate that still takes events of its shard."""

    __slots__ = ("aggregate", "route", "tags")

    def __init__(self, route: _Route) -> None:
        self.route = route  # of its first event
        self.aggregate = Aggregate(route.hash_key)
        self.tags: list[Hashable] = []

    def sealed(self) -> _Sealed:
        route = self.route
        entry = Entry(self.aggregate.contents(), route.key, route.hash_key)
        return _Sealed(entry, route.shard, self.tags)


def _cover_everything(shards: Sequence[OpenShard]) -> bool:
    """Whether these shards, in order of their ranges, leave no hash key out and hold none twice."""
    expected = 0
    for shard in shards:
        if shard.start != expected:
            return False
        expected = shard.end + 1
    return expected == HASH_KEYS
