"""The Kinesis stream to what takes its records: the consumer, and where it is needed the pump to Firehose."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from consumers.kinesis import KinesisRecord, Shard, ShardReader, StreamReader
from consumers.warehouse.port import LIVE_READER, Warehouse
from headwater.local.lambda_events import Handler, kinesis_event
from headwater.local.runtime import Found, advance_all
from headwater.local.runtime_report import Side
from headwater.local.shard_places import Places
from schemas.aws_errors import aws_errors
from schemas.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

# A record has up to 1 MiB, and stands in memory a few times on its way.
READ_RECORDS = 25
# Decoded, events take many times their bytes. Lambda hands over about as much: 6 MB of base64.
TAKE_BYTES = 4 * 1024 * 1024
# Limits of PutRecordBatch: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
BATCH_RECORDS = 500
BATCH_BYTES = 4 * 1024 * 1024
BUFFER_BYTES = BATCH_BYTES
BUFFER_SECONDS = 5.0

Take = Callable[[str, Sequence[KinesisRecord]], None]
"""Takes records of one shard, in order, or raises: then the same ones come again."""


@dataclass(slots=True)
class _Reading:
    """Where the reading of one shard is."""

    reader: ShardReader
    waiting: list[KinesisRecord] = field(default_factory=list)  # read, and not yet taken
    at_tip: bool = False
    taken_at: float | None = None  # when the last record that was taken had arrived, since the epoch
    ended: bool = False  # read to its end

    @property
    def finished(self) -> bool:
        return self.ended and not self.waiting


class StreamPoller:
    """All shards of the stream, children after their parents, so that the events of a key stay in order."""

    side: Side = "stream"

    def __init__(
        self,
        name: str,
        stream: StreamReader,
        take: Take,
        starts: Mapping[str, str] | None = None,
        take_bytes: int = TAKE_BYTES,
    ) -> None:
        """`starts`: shard to the sequence number that was taken last; a shard without one is read whole.
        `take_bytes`: of the payloads of one call of `take`, unless its only record is larger."""
        self.name = name
        self._stream = stream
        self._take = take
        self._starts = starts or {}
        self._take_bytes = take_bytes
        self._readings: dict[str, _Reading] = {}

    def poll(self, since: float) -> Found:
        shards = self._stream.shards()
        listed = {shard.id for shard in shards}
        due = [shard for shard in shards if self._is_due(shard, listed)]
        found = advance_all(due, lambda shard: self._advance(shard, since))
        open_or_new = [shard for shard in shards if not self._is_finished(shard.id)]
        return found._replace(level=found.level and all(shard in due for shard in open_or_new))

    def lag(self, now: float) -> float:
        """Seconds since the arrival of what was taken last, in the shard that is furthest behind; 0 where all
        of them are at their tip."""
        behind = [
            reading for reading in list(self._readings.values()) if reading.waiting or not reading.at_tip
        ]
        return max((now - reading.taken_at for reading in behind if reading.taken_at is not None), default=0)

    def _is_finished(self, shard_id: str) -> bool:
        reading = self._readings.get(shard_id)
        return reading is not None and reading.finished

    def _is_due(self, shard: Shard, listed: Collection[str]) -> bool:
        """A parent that Kinesis lists no more has expired with all its records."""
        parents = [parent for parent in shard.parents if parent in listed]
        return not self._is_finished(shard.id) and all(map(self._is_finished, parents))

    def _advance(self, shard: Shard, since: float) -> Found:
        reading = self._readings.get(shard.id)
        if reading is None:
            reading = _Reading(self._stream.open(shard.id, self._starts.get(shard.id)))
            self._readings[shard.id] = reading
        if not reading.waiting:
            page = reading.reader.read(READ_RECORDS, closed=shard.closed)
            reading.waiting, reading.at_tip, reading.ended = page.records, page.at_tip, page.finished
        taken = reading.waiting
        while reading.waiting:
            batch = first_batch(reading.waiting, self._take_bytes)
            self._take(shard.id, batch)
            reading.waiting = reading.waiting[len(batch) :]
            reading.taken_at = batch[-1].arrived_at.timestamp()
        level = reading.at_tip or (bool(taken) and taken[-1].arrived_at.timestamp() >= since)
        return Found(len(taken), level)


def first_batch(records: Sequence[KinesisRecord], limit: int) -> list[KinesisRecord]:
    """The first records whose payloads have at most `limit` bytes in all; a larger first one alone."""
    sizes = list(accumulate(len(record.payload) for record in records))
    return list(records[: max(1, bisect_right(sizes, limit))])


def consumer_poller(stream: StreamReader, warehouse: Warehouse, handler: Handler) -> StreamPoller:
    """The live consumer, from its checkpoints on; the handler moves them."""
    identity = stream.identity()
    arn = identity.partition("@")[0]
    with warehouse.transaction() as transaction:
        starts = {
            checkpoint.shard: checkpoint.sequence
            for checkpoint in transaction.checkpoints(LIVE_READER)
            if checkpoint.stream == identity
        }

    def take(_shard: str, records: Sequence[KinesisRecord]) -> None:
        answer = handler(kinesis_event(records, arn), None)
        if answer["batchItemFailures"]:
            raise TransientError(f"{len(records)} records of the stream were not applied")

    return StreamPoller("consumer", stream, take, starts)


class Pump:
    """Kinesis into Firehose by hand, for an AWS whose Firehose never reads Kinesis (the embedded one).

    Gathers records as Firehose does, so that the log does not become thousands of small objects: they are put
    once there are BUFFER_BYTES of them, the first has waited BUFFER_SECONDS, or `wanted` says that somebody
    waits.
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
        self._taken: dict[str, str] = {}  # shard to the sequence number of its last record that waits
        self._since = 0.0  # when the first one began to wait

    def poll(self, since: float) -> Found:
        """Raises TransientError: what waits is put by a later pass."""
        if self._is_full():
            self._flush()
        found = self._reader.poll(since)
        if self._waiting and (self._is_full() or self._wanted()):
            self._flush()
        return found._replace(level=found.level and not self._waiting)

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
    """The pump to this delivery stream."""
    return Pump(stream, lambda payloads: _put(firehose, delivery_stream, payloads), places, wanted)


def batches(payloads: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The payloads in order, in pieces that PutRecordBatch takes."""
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
    """Raises TransientError unless Firehose took all: what it took comes to the log once more (INV-2)."""
    with aws_errors(f"PutRecordBatch to {delivery_stream}"):
        answer = firehose.put_record_batch(
            DeliveryStreamName=delivery_stream, Records=[{"Data": payload} for payload in payloads]
        )
    if answer["FailedPutCount"]:
        raise TransientError(f"Firehose refused {answer['FailedPutCount']} of {len(payloads)} records")
