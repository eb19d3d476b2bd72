"""Pollers of the Kinesis stream: the consumer and, for the embedded AWS, the pump to Firehose."""

from __future__ import annotations

import logging
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from consumers.kinesis import KinesisRecord, Shard, ShardReader, StreamReader
from consumers.warehouse.port import LIVE_READER, Warehouse
from headwater.gaps import Gap, stream_gap
from headwater.polling.lambda_events import Handler, kinesis_event
from headwater.polling.reached import Reached, Save, last_reached
from headwater.polling.runtime import Found, advance_all
from headwater.polling.runtime_report import Side
from headwater.polling.shard_places import Places
from schemas.aws_errors import aws_errors
from schemas.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

# A record has up to 1 MiB, and is in memory several times while it is processed.
READ_RECORDS = 25
# Decoded events take many times their size. Lambda has a similar limit: 6 MB of base64.
TAKE_BYTES = 4 * 1024 * 1024
# Limits of PutRecordBatch: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
BATCH_RECORDS = 500
BATCH_BYTES = 4 * 1024 * 1024
BUFFER_BYTES = BATCH_BYTES
BUFFER_SECONDS = 5.0

_log = logging.getLogger(__name__)

Take = Callable[[str, Sequence[KinesisRecord]], None]
"""Processes records of one shard, in order. After an exception the same records are passed again."""


@dataclass(slots=True)
class _Reading:
    """The state of reading one shard."""

    reader: ShardReader
    waiting: list[KinesisRecord] = field(default_factory=list)  # read, and not taken yet
    at_tip: bool = False
    trimmed: bool = False  # as Page.trimmed, and not reported yet
    taken_at: float | None = None  # arrival of the last record taken, in seconds since the epoch
    ended: bool = False  # read to its end

    @property
    def finished(self) -> bool:
        return self.ended and not self.waiting


class StreamPoller:
    """Reads all shards of the stream, children after their parents to keep the events of a key in order."""

    side: Side = "stream"

    def __init__(
        self,
        name: str,
        stream: StreamReader,
        take: Take,
        starts: Mapping[str, str] | None = None,
        take_bytes: int = TAKE_BYTES,
        on_trimmed: Callable[[str], None] | None = None,
        on_level: Callable[[float], None] = lambda _since: None,
    ) -> None:
        """Prepare to read the stream.

        Args:
            name: Name of the poller.
            stream: The stream.
            take: Processes the records.
            starts: The last sequence number taken, by shard. A shard without one is read from its beginning.
            take_bytes: Maximum size of the payloads in a call of `take`; a larger record is passed alone.
            on_trimmed: Called with a shard of which records may have expired unread: its last record taken
                has expired, or none was taken and its parent has expired. Logs a warning by default.
            on_level: Called with the time before which everything has been taken, in seconds since 1970.
        """
        self.name = name
        self._stream = stream
        self._take = take
        self._starts = starts or {}
        self._take_bytes = take_bytes
        self._on_trimmed = on_trimmed or self._warn
        self._on_level = on_level
        self._readings: dict[str, _Reading] = {}

    def poll(self, since: float) -> Found:
        shards = self._stream.shards()
        listed = {shard.id for shard in shards}
        due = [shard for shard in shards if self._is_due(shard, listed)]
        for shard in due:
            if shard.id not in self._readings:
                self._open(shard, listed)
        result = advance_all(due, lambda shard: self._advance(shard, since))
        # Not level while a shard waits for its parent: its records have not been looked at.
        open_or_new = [shard for shard in shards if not self._is_finished(shard.id)]
        result = result._replace(level=result.level and all(shard in due for shard in open_or_new))
        if result.level:
            self._on_level(since)
        return result

    def lag(self, now: float) -> float:
        """Return the age in seconds of the last record taken from the shard that is furthest behind.

        0 if all shards are at their tip.
        """
        behind = [
            reading for reading in list(self._readings.values()) if reading.waiting or not reading.at_tip
        ]
        return max((now - reading.taken_at for reading in behind if reading.taken_at is not None), default=0)

    def _warn(self, shard_id: str) -> None:
        _log.warning(
            "%s: the stream no longer has the record of %s that was taken last; those after it may be lost",
            self.name,
            shard_id,
        )

    def _is_finished(self, shard_id: str) -> bool:
        reading = self._readings.get(shard_id)
        return reading is not None and reading.finished

    def _is_due(self, shard: Shard, listed: Collection[str]) -> bool:
        """Return True if the shard has unread records and all its parents have been read."""
        # A parent that Kinesis no longer lists has expired together with its records.
        parents = [parent for parent in shard.parents if parent in listed]
        return not self._is_finished(shard.id) and all(map(self._is_finished, parents))

    def _open(self, shard: Shard, listed: Set[str]) -> None:
        start = self._starts.get(shard.id)
        # Records of a child arrive after its parents': it has lost none if a parent is still there.
        if start is None and shard.parents and not listed & set(shard.parents):
            self._on_trimmed(shard.id)
        self._readings[shard.id] = _Reading(self._stream.open(shard.id, start))

    def _advance(self, shard: Shard, since: float) -> Found:
        reading = self._readings[shard.id]
        if not reading.waiting:
            page = reading.reader.read(READ_RECORDS, closed=shard.closed)
            reading.waiting, reading.at_tip, reading.ended = page.records, page.at_tip, page.finished
            reading.trimmed = page.trimmed
        if reading.trimmed:
            self._on_trimmed(shard.id)  # if it raises, it is called again in the next pass
            reading.trimmed = False
        taken = reading.waiting
        while reading.waiting:
            batch = first_batch(reading.waiting, self._take_bytes)
            self._take(shard.id, batch)  # if it raises, the batch is still in `waiting` for the next pass
            reading.waiting = reading.waiting[len(batch) :]
            reading.taken_at = batch[-1].arrived_at.timestamp()
        level = reading.at_tip or (bool(taken) and taken[-1].arrived_at.timestamp() >= since)
        return Found(len(taken), level)


def first_batch(records: Sequence[KinesisRecord], limit: int) -> list[KinesisRecord]:
    """Return the first records with at most `limit` bytes of payload, or a larger first one alone."""
    sizes = list(accumulate(len(record.payload) for record in records))
    return list(records[: max(1, bisect_right(sizes, limit))])


def consumer_poller(
    stream: StreamReader,
    warehouse: Warehouse,
    handler: Handler,
    keep_gap: Callable[[Gap], None] = lambda _gap: None,
    save: Save = lambda _checkpoints: None,
) -> StreamPoller:
    """Return the poller of the live consumer. It starts at the checkpoints, which the handler moves.

    `keep_gap` stores the notice of records that may have expired unread. `save` saves the time up to which
    the consumer has read everything: within the retention after it nothing can have expired unread.
    """
    identity = stream.identity()
    arn = identity.partition("@")[0]
    with warehouse.transaction() as transaction:
        starts = {
            checkpoint.shard: checkpoint.sequence
            for checkpoint in transaction.checkpoints(LIVE_READER)
            if checkpoint.stream == identity
        }
        reached = Reached(identity, last_reached(transaction, identity), save)

    def take(_shard: str, records: Sequence[KinesisRecord]) -> None:
        answer = handler(kinesis_event(records, arn), None)
        if answer["batchItemFailures"]:
            raise TransientError(f"{len(records)} records of the stream were not applied")

    def on_trimmed(shard: str) -> None:
        if reached.is_within(stream.retention()):
            return  # a shard without records for longer than the retention
        # Reading goes on at the oldest record, since rebuilds of tables need live consumers that advance.
        gap = stream_gap(shard, starts.get(shard, ""))
        _log.warning("%s", gap.text)
        keep_gap(gap)

    return StreamPoller("consumer", stream, take, starts, on_trimmed=on_trimmed, on_level=reached.advance)


class Pump:
    """Copies Kinesis to Firehose, for an AWS whose Firehose does not read Kinesis (the embedded one).

    Buffers records as Firehose does, so that the log does not consist of thousands of small objects. The
    buffer is written when it has BUFFER_BYTES, when its first record was buffered BUFFER_SECONDS ago, or when
    `wanted` returns True.
    """

    name = "pump"
    side: Side = "stream"

    def __init__(
        self,
        stream: StreamReader,
        put: Callable[[Sequence[bytes]], None],
        places: Places | None = None,
        wanted: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = StreamPoller(self.name, stream, self._gather, places.all() if places else None)
        self._put = put
        self._places = places
        self._wanted = wanted
        self._clock = clock
        self._waiting: list[bytes] = []
        self._taken: dict[str, str] = {}  # last sequence number in the buffer, by shard
        self._since = 0.0  # when the first record was buffered

    def poll(self, since: float) -> Found:
        """Read the stream and write the buffer if it is time. On TransientError the buffer is kept."""
        # Before reading more: after a failure the buffer is full already, and must not grow further.
        if self._is_full():
            self._flush()
        result = self._reader.poll(since)
        if self._waiting and (self._is_full() or self._wanted()):
            self._flush()
        return result._replace(level=result.level and not self._waiting)

    def _gather(self, shard: str, records: Sequence[KinesisRecord]) -> None:
        if not self._waiting:
            self._since = self._clock()
        self._waiting += [record.payload for record in records]
        self._taken[shard] = records[-1].sequence

    def _is_full(self) -> bool:
        is_old = bool(self._waiting) and self._clock() - self._since >= BUFFER_SECONDS
        return is_old or sum(map(len, self._waiting)) >= BUFFER_BYTES

    def _flush(self) -> None:
        for batch in batches(self._waiting):
            self._put(batch)
        # Only now: after a kill in between, records are written twice rather than lost (INV-2).
        if self._places:
            self._places.took(self._taken)
        self._waiting, self._taken = [], {}


def pump_poller(
    stream: StreamReader,
    firehose: FirehoseClient,
    delivery_stream: str,
    places: Places | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> Pump:
    """Return a pump to this delivery stream."""
    return Pump(stream, lambda payloads: _put(firehose, delivery_stream, payloads), places, wanted)


def batches(payloads: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield the payloads in order, in batches that PutRecordBatch accepts."""
    batch: list[bytes] = []
    size = 0
    for payload in payloads:
        if batch and (len(batch) == BATCH_RECORDS or size + len(payload) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(payload)
        size += len(payload)
    if batch:
        yield batch


def _put(firehose: FirehoseClient, delivery_stream: str, payloads: Sequence[bytes]) -> None:
    """Write a batch to Firehose. Raises TransientError unless all records were accepted."""
    # After a partial failure the whole batch is repeated: the log may hold an event twice (INV-2).
    with aws_errors(f"PutRecordBatch to {delivery_stream}"):
        answer = firehose.put_record_batch(
            DeliveryStreamName=delivery_stream, Records=[{"Data": payload} for payload in payloads]
        )
    if answer["FailedPutCount"]:
        raise TransientError(f"Firehose refused {answer['FailedPutCount']} of {len(payloads)} records")
