"""A rate of events through a number of shards: the load on every part, from the source to the warehouse.

Each figure follows the code: the publisher keeps one aggregate for each shard and makes one call at a time, a
producer flushes at the end of its batch, and the consumer takes one batch of a shard at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from headwater.capacity.assumptions import Assumptions
from headwater.capacity.routing import bucket_share, fullest_share
from producers.aggregator import MAX_AGGREGATE_BYTES, RECORD_OVERHEAD
from producers.kinesis import MAX_CALL_BYTES
from producers.publisher import EVENT_OVERHEAD

YEAR_SECONDS = 365.25 * 86_400
DAY_SECONDS = 86_400
_KEY_BYTES = 64
"""Bytes of a partition key in a call, twice: longer than those of most entities."""


@dataclass(frozen=True, slots=True)
class Flow:
    """`events` a second of `size` bytes, framed, through `shards` shards of which the fullest has `share`."""

    events: float
    size: int
    shards: int
    share: float
    given: Assumptions

    # Kinesis

    @property
    def event_bytes(self) -> float:
        """Bytes of an event in a record of Kinesis."""
        return self.size + RECORD_OVERHEAD

    @property
    def call_events(self) -> float:
        """Events of one call of PutRecords: those of a producer's batch, as far as they fit into a call."""
        rate = min(self.events, self.given.source_shard_events)
        batch = min(self.given.source_batch, rate * self.given.source_window)
        return max(1.0, min(batch, MAX_CALL_BYTES / (self.size + EVENT_OVERHEAD + _KEY_BYTES)))

    @property
    def aggregate_events(self) -> int:
        """Events that fit into one record."""
        return max(1, MAX_AGGREGATE_BYTES // (self.size + RECORD_OVERHEAD))

    @property
    def fullest_records(self) -> float:
        """Records a second that are written to the fullest shard."""
        calls = self.events / self.call_events
        # A call has at most one aggregate of the shard, and none if it has no event for it.
        hit = 1.0 if self.share >= 1 else -math.expm1(self.call_events * math.log1p(-self.share))
        return max(calls * hit, self.events * self.share / self.aggregate_events)

    @property
    def record_events(self) -> float:
        """Events of a record of the fullest shard, on average."""
        return self.events * self.share / self.fullest_records

    @property
    def fullest_bytes(self) -> float:
        """Bytes a second that are written to the fullest shard."""
        return self.events * self.share * self.event_bytes

    # The consumer

    @property
    def full_batch(self) -> float:
        """Events of the largest batch of the consumer."""
        fitting = self.given.payload_bytes * 3 / 4 / self.event_bytes
        return max(1.0, min(fitting, self.given.batch_records * self.record_events))

    @property
    def shard_rate(self) -> float:
        """Events a second that the consumer of one shard can apply, one full batch after the other."""
        return self.full_batch / self._seconds(self.full_batch)

    @property
    def batches(self) -> float:
        """Batches of all consumers a second: one for each shard and window, more only if they are full."""
        most = min(self.events, self.shards / self.given.source_window)
        return max(most, self.events / self.full_batch)

    @property
    def consumer_seconds(self) -> float:
        """Seconds of all consumers in a second: how many work at once, on average."""
        return self.batches * self._seconds(self.events / self.batches)

    def _seconds(self, events: float) -> float:
        given = self.given
        each = given.event_seconds + given.byte_seconds * self.size
        return given.batch_seconds + given.waiting_seconds + events * each

    @property
    def producers(self) -> int:
        """Functions of producers at once: one for each shard of the tables' streams."""
        return math.ceil(self.events / self.given.source_shard_events)

    # The log

    @property
    def log_bytes(self) -> float:
        """Bytes a second of the log: the frames without their aggregates, uncompressed."""
        return self.events * self.size

    @property
    def log_objects(self) -> float:
        """Objects a second of the log, at most."""
        # AWS does not say how many objects Firehose writes at once. One for each shard is what LocalStack
        # does, and more than one for each shard would be no use to it.
        most = min(self.events, self.shards / self.given.delivery_seconds)
        return max(most, self.log_bytes / self.given.delivery_bytes)

    # The warehouse

    @property
    def database_seconds(self) -> float:
        """Seconds of processor time of the warehouse in a second."""
        given = self.given
        each = given.database_event_seconds + given.database_byte_seconds * self.size
        return self.batches * given.database_batch_seconds + self.events * each

    @property
    def staging_bytes(self) -> float:
        """Bytes a second by which the staging tables and their indexes grow: one row for each new key."""
        row = self.given.staging_row_bytes + self.given.index_row_bytes + self._value_bytes
        return self.events * self.given.new_keys * row

    @property
    def history_bytes(self) -> float:
        """Bytes a second by which the history tables and their indexes grow: one row for each event."""
        return self.events * self.given.history * (self.given.history_row_bytes + self._value_bytes)

    @property
    def _value_bytes(self) -> float:
        return self.given.text_width * max(0.0, self.size - self.given.envelope_bytes)

    @property
    def database_bytes(self) -> float:
        """Bytes of the warehouse after the years that it has to hold for."""
        return (self.staging_bytes + self.history_bytes) * YEAR_SECONDS * self.given.years


def through(events: float, size: int, shards: int, given: Assumptions) -> Flow:
    """Return the flow through a stream of so many shards of equal ranges."""
    return Flow(events, size, shards, fullest_share(shards, int(given.entities)), given)


def undivided(flow: Flow) -> Flow:
    """Return the flow as if one shard had nothing but one bucket, which is never split."""
    share = bucket_share(int(flow.given.entities))
    return Flow(flow.events, flow.size, flow.shards, min(share, flow.share), flow.given)
