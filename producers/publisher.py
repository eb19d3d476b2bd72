"""Publishing of events to Kinesis: one aggregate per shard, one PutRecords call at a time.

The buffer always fits one call, with at most one aggregate of each shard, and the next call begins when every
entry of this one is acknowledged. So the events of a key keep the order of `add`, retries included.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from hashlib import md5
from random import random as uniform
from typing import Any, NamedTuple

from producers.aggregator import Aggregate
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
from schemas.deadline import SecondsLeft, unlimited
from schemas.errors import TransientError
from schemas.event import Event, bucket_of, fitting_frame, key_hash, partition_key
from schemas.payload.codec import Schema

# Upper bound of the bytes that an event adds to its call, beside its frame and twice its partition key (once
# in its aggregate's table and once in the entry): the overheads of the frame, the key and the aggregate.
EVENT_OVERHEAD = 80


class PublishError(TransientError):
    """Kinesis did not acknowledge the events with these `tags`.

    They are no longer buffered: the caller has to add them again.
    """

    def __init__(self, tags: Sequence[Any]) -> None:
        super().__init__(f"Kinesis did not acknowledge {len(tags)} events")
        self.tags = tags


class Publisher:
    """Publishes events at least once. Not safe for use by several threads.

    An event is durable when a `flush` after its `add` has returned, and not before (INV-1).

    A failing call is tried `max_attempts` times. Throttling is no failure: a throttled entry is sent again
    until its shard takes it or the caller's time is up. `left` returns that time; a handler sets it for each
    invocation. `sleep` takes seconds; `random` returns numbers in [0, 1) for the jitter of the pauses.
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
        self.acknowledged = 0  # payload bytes that Kinesis has acknowledged so far
        self.events = 0  # and how many events they contain
        self._logged: set[bytes] = set()  # fingerprints of the schemas that are in the schema log
        self._shards: list[OpenShard] = []  # empty until it is read, and again after a reshard
        self._routes: dict[tuple[str, int], _Route] = {}
        self._filling: dict[str, _Filling] = {}  # by shard
        self._size = 0  # upper bound of the bytes of the next call

    def add(self, event: Event, schema: Schema, tag: Hashable = None) -> bytes:
        """Buffer the event, after sending the buffer if the event does not fit.

        Returns the hash of the event's key, which the caller may need as well. Leaves out a before image
        that does not fit.

        Raises PoisonEventError for an event that is too large even without it; the buffer is kept. Raises
        PublishError and ConfigurationError; the buffer is emptied.
        """
        return self.add_frame(event, fitting_frame(event), schema, tag)

    def add_frame(self, event: Event, frame: bytes, schema: Schema, tag: Hashable = None) -> bytes:
        """Buffer the frame of an event, as `add` does."""
        hashed = key_hash(event.source, event.key)
        partition = event.entity, bucket_of(event, hashed)
        try:
            if schema.fingerprint not in self._logged:
                self._log(schema)
            while not self._buffer(partition, frame, tag):
                self.flush()
        except TransientError as error:
            # All have to be added again: the failed call, what is still buffered, and this event.
            sent = error.tags if isinstance(error, PublishError) else ()
            raise PublishError([*sent, *self.forget(), tag]) from error
        except BaseException:
            self.forget()  # the next batch must not send the rest of this one
            raise
        return hashed

    def flush(self) -> None:
        """Send the buffer. When this returns, Kinesis has acknowledged all of it (INV-1).

        Raises PublishError and ConfigurationError as `add` does.
        """
        waiting = [filling.sealed() for filling in self._filling.values()]
        self.forget()
        backoff = self._backoff()
        cause: TransientError | None = None
        while waiting:
            try:
                waiting, broken = self._send(waiting)
            except TransientError as error:
                # Without a response the entries may be stored already: the same bytes are sent again (INV-5).
                cause, broken = error, True
            if waiting and not backoff.pause(throttled=not broken):
                raise PublishError([tag for sealed in waiting for tag in sealed.tags]) from cause

    def forget(self) -> list[Hashable]:
        """Empty the buffer, for a caller that gives up. Returns the tags of its events."""
        dropped, self._filling, self._size = self._filling, {}, 0
        return [tag for filling in dropped.values() for tag in filling.tags]

    def _log(self, schema: Schema) -> None:
        self._schema_log.ensure(schema)  # before the first event that uses it (INV-6)
        self._logged.add(schema.fingerprint)

    def _send(self, waiting: list[_Sealed]) -> tuple[list[_Sealed], bool]:
        """Make one call. Returns the entries left, and whether any failed other than by throttling."""
        results = self._writer.put([sealed.entry for sealed in waiting])
        left = []
        for sealed, result in zip(waiting, results, strict=True):
            if result is None or result == BROKEN:
                left.append(sealed)
                continue
            self.acknowledged += len(sealed.entry.payload)
            self.events += len(sealed.tags)
            # Another shard took the entry: the stream was resharded. The buffer is empty during a call, so no
            # aggregate was built with the old routes, and they can be dropped.
            if result != sealed.shard:
                self._shards, self._routes = [], {}
        return left, BROKEN in results

    def _buffer(self, partition: tuple[str, int], frame: bytes, tag: Hashable) -> bool:
        """Add the frame to its shard's aggregate. Returns False, and adds nothing, if it does not fit."""
        # Routes are cached: a partition is one of 256 buckets of an entity, and MD5 of each event is slow.
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
        # As Kinesis routes a record: by the MD5 of its partition key, into the shards' ranges of hash keys.
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
            # During a reshard, ListShards may lack the children of a shard that is closed already.
            failure = TransientError("the open shards do not cover all hash keys")
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
    """The shard that takes the events of one partition."""

    key: str
    shard: str
    hash_key: str  # the first of the shard's range, so that the aggregate is stored in this shard
    cost: int  # upper bound of the bytes that an event adds to a call beside its frame


class _Sealed(NamedTuple):
    """An aggregate that is complete and being sent."""

    entry: Entry
    shard: str
    tags: Sequence[Hashable]


class _Filling:
    """An aggregate under construction, and the tags of its events."""

    __slots__ = ("aggregate", "route", "tags")

    def __init__(self, route: _Route) -> None:
        self.route = route  # of its first event; all have the same shard
        self.aggregate = Aggregate(route.hash_key)
        self.tags: list[Hashable] = []

    def sealed(self) -> _Sealed:
        route = self.route
        entry = Entry(self.aggregate.contents(), route.key, route.hash_key)
        return _Sealed(entry, route.shard, self.tags)


def _cover_everything(shards: Sequence[OpenShard]) -> bool:
    """Return whether these shards, in order of their ranges, cover every hash key exactly once."""
    expected = 0
    for shard in shards:
        if shard.start != expected:
            return False
        expected = shard.end + 1
    return expected == HASH_KEYS
