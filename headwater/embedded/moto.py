"""Changes to moto for the embedded AWS: the behaviour of AWS where moto differs, and bounded memory.

Unchanged, moto keeps every object that it ever created (for a dashboard that is not used here), all content
in memory, every record of a stream, and an iterator for every read.
"""

from __future__ import annotations

import importlib
import os
import threading
import types
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import md5
from itertools import islice
from random import Random
from typing import Any

from headwater.embedded.content import ObjectBody, Spool

KEPT_CHANGES = 10_000
"""Records of a table's stream that are kept behind the furthest reader. Unread records are always kept."""
KEPT_ITERATORS = 1_000


class MotoClock:
    """The clock of moto: the real time, or a fixed time during a request."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """Fix the time at `moment` for the duration of the block, and seed the random numbers with it."""
        from moto.moto_api._internal import mock_random

        self._stopped_at = moment
        mock_random.seed(moment)
        try:
            yield
        finally:
            self._stopped_at = None

    def now(self) -> datetime:
        """Return the time in UTC without a time zone, like moto's `utcnow`."""
        moment = (
            datetime.now(UTC) if self._stopped_at is None else datetime.fromtimestamp(self._stopped_at, UTC)
        )
        return moment.replace(tzinfo=None)


def prepare(clock: MotoClock, spool: Spool) -> None:
    """Patch moto in this process. Call this before any of its services is imported."""
    _module("moto.core.utils").utcnow = clock.now
    # The original __new__ registers every instance for moto's dashboard and so keeps it alive.
    _module("moto.core.common_models").BaseModel.__new__ = lambda cls, *_, **__: object.__new__(cls)
    _seed_each_thread()
    _store_objects_in_files()
    _store_records_in_files(clock, spool)
    _bound_table_streams()
    _recognize_receipts_after_restart()


def _module(name: str) -> Any:
    """Import a module as Any, since mypy would reject assignments to its classes."""
    return importlib.import_module(name)


class _Own(threading.local):
    """The random number generator of the current thread."""

    def __init__(self) -> None:
        self.random = Random()


def _seed_each_thread() -> None:
    """Give each thread its own random number generator."""
    # ReceiveMessage runs concurrently with other requests and is not replayed. If it drew from the generator
    # of another request, the ids of that request's versions and messages would differ in a replay.
    mock_random, own = _module("moto.moto_api._internal").mock_random, _Own()
    drawing = {
        "seed": lambda _, *arguments: own.random.seed(*arguments),
        "random": lambda _: own.random.random(),
        "getrandbits": lambda _, bits: own.random.getrandbits(bits),
    }
    mock_random.__class__ = type("ThreadRandom", (type(mock_random),), drawing)


def _store_objects_in_files() -> None:
    """Store the content of S3 objects in files, and make buckets and objects picklable."""
    s3, mock_random = _module("moto.s3.models"), _module("moto.moto_api._internal").mock_random

    def state(key: Any) -> dict[str, Any]:
        return {name: value for name, value in key.__dict__.items() if name != "lock"}

    def restore(key: Any, state: dict[str, Any]) -> None:
        key.__dict__.update(state, lock=threading.Lock())

    def restore_bucket(bucket: Any, state: dict[str, Any]) -> None:
        """Restore a bucket and register its name."""
        # Otherwise CreateBucket would not find the name and would replace the bucket by an empty one.
        bucket.__dict__.update(state)
        s3.s3_backends.bucket_accounts[bucket.name] = (bucket.partition, bucket.account_id)

    s3.FakeBucket.__setstate__ = restore_bucket
    s3._VersionedKeyStore.__reduce__ = lambda store: (_versions, (list(dict.items(store)),))
    s3.FakeKey.__getstate__ = state
    s3.FakeKey.__setstate__ = restore
    s3.tempfile = types.SimpleNamespace(SpooledTemporaryFile=ObjectBody)
    # moto draws the ids of multipart uploads from os.urandom; a replay has to produce the same ids.
    s3.os = types.SimpleNamespace(
        environ=os.environ, urandom=lambda n: mock_random.getrandbits(8 * n).to_bytes(n)
    )


def _versions(items: list[tuple[str, list[Any]]]) -> Any:
    """Return a store with all versions of a bucket's keys."""
    # By default pickle calls the overridden items() of the store, which returns only the newest versions.
    store = _module("moto.s3.utils")._VersionedKeyStore()
    dict.update(store, items)
    return store


def _store_records_in_files(clock: MotoClock, spool: Spool) -> None:
    """Store the bytes of Kinesis records in files, and expire and reshard as AWS does."""
    kinesis = _module("moto.kinesis.models")
    original = kinesis.Record

    class Record(original):  # type: ignore[misc, valid-type]
        """A record whose bytes are in the spool."""

        def __init__(
            self, partition_key: str, data: str, sequence_number: int, explicit_hash_key: str
        ) -> None:
            super().__init__(partition_key, "", sequence_number, explicit_hash_key)
            self.place = spool.append(b64decode(data))

        def to_json(self) -> dict[str, Any]:
            return {**super().to_json(), "Data": spool.read(self.place)}

    Record.__module__, Record.__qualname__ = (
        kinesis.__name__,
        "Record",
    )  # pickle finds the class by these names
    kinesis.Record = Record
    kinesis.KinesisBackend._send_stream_metrics = lambda *_, **__: None
    shard = kinesis.Shard
    shard.get_records = _read_shard
    shard.get_min_sequence_number = lambda self: next(iter(self.records), 0)
    shard.get_max_sequence_number = lambda self: next(reversed(self.records), 0)
    kinesis.Stream.put_record = _expiring(kinesis.Stream.put_record, clock, spool)
    reshard_as_aws_does(kinesis.Stream)


def _read_shard(shard: Any, last: str, limit: int | None) -> tuple[list[Any], int, int]:
    """Return at most `limit` records after `last`, the sequence number of the last one, and the lag in ms."""
    # Sequence numbers are consecutive, so that the first record is found directly. moto would iterate over
    # all records of the shard in each call.
    first = max(int(last) + 1, shard.get_min_sequence_number())
    newest = shard.get_max_sequence_number()
    records = [shard.records[number] for number in islice(range(first, newest + 1), limit or 10_000)]
    if not records:
        return [], int(last), 0
    behind = shard.records[newest].created_at - records[-1].created_at
    return records, records[-1].sequence_number, int(behind * 1_000)


def _expiring(put: Callable[..., Any], clock: MotoClock, spool: Spool) -> Callable[..., Any]:
    """Wrap `put_record` of a stream so that it removes records older than the stream's retention."""

    def put_record(stream: Any, *arguments: Any) -> Any:
        oldest = clock.now() - timedelta(hours=stream.retention_period_hours)
        for shard in stream.shards.values():
            _expire(shard, oldest, spool)
        return put(stream, *arguments)

    return put_record


def _expire(shard: Any, oldest: datetime, spool: Spool) -> None:
    """Remove the records of a shard that were created before `oldest`, except the newest one."""
    # moto derives the next sequence number from the newest record.
    while len(shard.records) > 1 and next(iter(shard.records.values())).created_at_datetime < oldest:
        _, expired = shard.records.popitem(last=False)
        spool.release(expired.place.name)


def reshard_as_aws_does(stream: Any) -> None:
    """Patch moto's class of a Kinesis stream: closed shards keep their records, and accept no new ones.

    Unchanged, moto puts new records into the closed parent, which is not read any more, and copies the
    records of the parent to its children. See the AWS documentation, "Resharding a stream".
    """

    def open_shard(self: Any, partition_key: str, explicit_hash_key: str) -> Any:
        hash_key = int(explicit_hash_key or int.from_bytes(md5(partition_key.encode()).digest()))
        opened = (shard for shard in self.shards.values() if shard.is_open)
        return next(shard for shard in opened if shard.starting_hash <= hash_key <= shard.ending_hash)

    def keeping_records(reshard: Callable[..., None]) -> Callable[..., None]:
        def resharded(self: Any, *arguments: str) -> None:
            kept = {shard_id: shard.records for shard_id, shard in self.shards.items()}
            for shard in self.shards.values():
                shard.records = OrderedDict()
            try:
                reshard(self, *arguments)
            finally:
                for shard_id, records in kept.items():
                    self.shards[shard_id].records = records

        return resharded

    stream.get_shard_for_key = open_shard
    stream.split_shard = keeping_records(stream.split_shard)
    stream.merge_shards = keeping_records(stream.merge_shards)


def _bound_table_streams() -> None:
    """Trim the records of a table's stream that were read, and the iterators of old reads."""
    error = _module("moto.core.exceptions").JsonRESTError
    backend_class = _module("moto.dynamodbstreams.models").DynamoDBStreamsBackend

    def get(shard: Any, start: int, quantity: int) -> list[dict[str, Any]]:
        offset = start - shard.starting_sequence_number
        if offset < 0:
            raise error("TrimmedDataAccessException", "the records before this place were read and trimmed")
        records = [item.to_json() for item in shard.items[offset : offset + quantity]]
        # Not before twice the kept number, so that the list is shifted once in KEPT_CHANGES records.
        if offset > 2 * KEPT_CHANGES:
            del shard.items[: offset - KEPT_CHANGES]
            shard.starting_sequence_number += offset - KEPT_CHANGES
        return records

    read = backend_class.get_records

    def get_records(backend: Any, iterator: str, limit: int) -> dict[str, Any]:
        if iterator not in backend.shard_iterators:
            raise error("ExpiredIteratorException", "the iterator has expired: ask for another")
        while len(backend.shard_iterators) > KEPT_ITERATORS:  # a dict is in order of insertion: oldest first
            del backend.shard_iterators[next(iter(backend.shard_iterators))]
        return dict(read(backend, iterator, limit))

    _module("moto.dynamodb.models.table").StreamShard.get = get
    backend_class.get_records = get_records


def _recognize_receipts_after_restart() -> None:
    """Put the id of the message into its receipt handle."""
    # ReceiveMessage is not in the journal but DeleteMessage is: in a replay moto does not know the handle,
    # and has to find the message by its id.
    message_class = _module("moto.sqs.models").Message
    receive, had = message_class.mark_received, message_class.had_receipt_handle

    def mark_received(message: Any, *arguments: Any, **named: Any) -> None:
        receive(message, *arguments, **named)
        message.receipt_handle = f"{message.id}#{message.receipt_handle}"

    def had_receipt_handle(message: Any, handle: str) -> bool:
        return bool(had(message, handle)) or handle.partition("#")[0] == message.id

    message_class.mark_received = mark_received
    message_class.had_receipt_handle = had_receipt_handle


def show_what_was_received() -> None:
    """Make every hidden message visible again, since the process that received it has ended."""
    for _, _, backend in _module("moto.sqs.models").sqs_backends.iter_backends():
        for queue in backend.queues.values():
            queue._pending_messages = set()
            for message in queue._messages:
                message.visible_at = 0
