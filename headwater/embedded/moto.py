"""What the embedded AWS changes in moto: like AWS where moto differs, and with memory that stays bounded.

moto keeps every object that it ever made (for a dashboard that is not used here), all content in memory,
every record of a stream, and an iterator for every read.
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
"""Records of a table's stream that are kept behind the furthest reader; what nobody has read is always
kept."""
KEPT_ITERATORS = 1_000


class MotoClock:
    """The time that moto sees: the real one, unless a request is replayed at the time of its first run."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """Time stands still, and random numbers follow from it."""
        from moto.moto_api._internal import mock_random

        self._stopped_at = moment
        mock_random.seed(moment)
        try:
            yield
        finally:
            self._stopped_at = None

    def now(self) -> datetime:
        """Without a time zone, in UTC, as moto's `utcnow`."""
        moment = (
            datetime.now(UTC) if self._stopped_at is None else datetime.fromtimestamp(self._stopped_at, UTC)
        )
        return moment.replace(tzinfo=None)


def prepare(clock: MotoClock, spool: Spool) -> None:
    """Changes moto in this process. To be called before any of its services is imported."""
    _module("moto.core.utils").utcnow = clock.now
    _module("moto.core.common_models").BaseModel.__new__ = lambda cls, *_, **__: object.__new__(cls)
    _draw_apart_in_each_thread()
    _keep_objects_in_files()
    _keep_streams_as_aws_does(clock, spool)
    _bound_table_streams()
    _know_receipts_again()


def _module(name: str) -> Any:
    """Any: moto's types don't foresee that they are changed."""
    return importlib.import_module(name)


class _Own(threading.local):
    """The random numbers of one thread."""

    def __init__(self) -> None:
        self.random = Random()


def _draw_apart_in_each_thread() -> None:
    """Gives each thread random numbers of its own. ReceiveMessage runs beside other requests: numbers that it
    drew among theirs would give their versions and messages other names in a replay."""
    mock_random, own = _module("moto.moto_api._internal").mock_random, _Own()
    drawing = {
        "seed": lambda _, *given: own.random.seed(*given),
        "random": lambda _: own.random.random(),
        "getrandbits": lambda _, bits: own.random.getrandbits(bits),
    }
    mock_random.__class__ = type("ThreadRandom", (type(mock_random),), drawing)


def _keep_objects_in_files() -> None:
    s3, mock_random = _module("moto.s3.models"), _module("moto.moto_api._internal").mock_random

    def state(key: Any) -> dict[str, Any]:
        return {name: value for name, value in key.__dict__.items() if name != "lock"}

    def restore(key: Any, state: dict[str, Any]) -> None:
        key.__dict__.update(state, lock=threading.Lock())

    def restore_bucket(bucket: Any, state: dict[str, Any]) -> None:
        """With its name in the register of names: without, CreateBucket puts an empty one in its place."""
        bucket.__dict__.update(state)
        s3.s3_backends.bucket_accounts[bucket.name] = (bucket.partition, bucket.account_id)

    s3.FakeBucket.__setstate__ = restore_bucket
    s3._VersionedKeyStore.__reduce__ = lambda store: (_versions, (list(dict.items(store)),))
    s3.FakeKey.__getstate__ = state
    s3.FakeKey.__setstate__ = restore
    s3.tempfile = types.SimpleNamespace(SpooledTemporaryFile=ObjectBody)
    # The ids of uploads: a replay has to give them again, which os.urandom does not.
    s3.os = types.SimpleNamespace(
        environ=os.environ, urandom=lambda n: mock_random.getrandbits(8 * n).to_bytes(n)
    )


def _versions(found: list[tuple[str, list[Any]]]) -> Any:
    """All versions of a bucket's keys; pickle alone keeps the newest of each."""
    store = _module("moto.s3.utils")._VersionedKeyStore()
    dict.update(store, found)
    return store


def _keep_streams_as_aws_does(clock: MotoClock, spool: Spool) -> None:
    kinesis = _module("moto.kinesis.models")
    plain = kinesis.Record

    class Record(plain):  # type: ignore[misc, valid-type]
        """Its bytes are in the spool."""

        def __init__(
            self, partition_key: str, data: str, sequence_number: int, explicit_hash_key: str
        ) -> None:
            super().__init__(partition_key, "", sequence_number, explicit_hash_key)
            self.place = spool.append(b64decode(data))

        def to_json(self) -> dict[str, Any]:
            return {**super().to_json(), "Data": spool.read(self.place)}

    Record.__module__, Record.__qualname__ = kinesis.__name__, "Record"  # where pickle looks for it
    kinesis.Record = Record
    kinesis.KinesisBackend._send_stream_metrics = lambda *_, **__: None
    shard = kinesis.Shard
    shard.get_records = _read_shard
    shard.get_min_sequence_number = lambda self: next(iter(self.records), 0)
    shard.get_max_sequence_number = lambda self: next(reversed(self.records), 0)
    kinesis.Stream.put_record = _expiring(kinesis.Stream.put_record, clock, spool)
    reshard_as_aws_does(kinesis.Stream)


def _read_shard(shard: Any, last: str, limit: int | None) -> tuple[list[Any], int, int]:
    """moto looks at every record of the shard, from the first on."""
    first = max(int(last) + 1, shard.get_min_sequence_number())
    newest = shard.get_max_sequence_number()
    found = [shard.records[number] for number in islice(range(first, newest + 1), limit or 10_000)]
    if not found:
        return [], int(last), 0
    behind = shard.records[newest].created_at - found[-1].created_at
    return found, found[-1].sequence_number, int(behind * 1_000)


def _expiring(put: Callable[..., Any], clock: MotoClock, spool: Spool) -> Callable[..., Any]:
    """`put_record` of a stream that drops what is past the stream's retention."""

    def put_record(stream: Any, *arguments: Any) -> Any:
        oldest = clock.now() - timedelta(hours=stream.retention_period_hours)
        for shard in stream.shards.values():
            _expire(shard, oldest, spool)
        return put(stream, *arguments)

    return put_record


def _expire(shard: Any, oldest: datetime, spool: Spool) -> None:
    """The newest record always stays: it holds the shard's last sequence number."""
    while len(shard.records) > 1 and next(iter(shard.records.values())).created_at_datetime < oldest:
        _, expired = shard.records.popitem(last=False)
        spool.release(expired.place.name)


def reshard_as_aws_does(stream: Any) -> None:
    """Changes moto's class of a Kinesis stream: closed shards keep their records, and take no more.

    moto goes on putting into the closed parent, where nobody reads any more, and gives its records to the
    children a second time. See the AWS documentation, "Resharding a stream".
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
    error = _module("moto.core.exceptions").JsonRESTError
    backend_class = _module("moto.dynamodbstreams.models").DynamoDBStreamsBackend

    def get(shard: Any, start: int, quantity: int) -> list[dict[str, Any]]:
        place = start - shard.starting_sequence_number
        if place < 0:
            raise error("TrimmedDataAccessException", "the records before this place were read and trimmed")
        found = [item.to_json() for item in shard.items[place : place + quantity]]
        if place > 2 * KEPT_CHANGES:
            del shard.items[: place - KEPT_CHANGES]
            shard.starting_sequence_number += place - KEPT_CHANGES
        return found

    read = backend_class.get_records

    def get_records(backend: Any, iterator: str, limit: int) -> dict[str, Any]:
        if iterator not in backend.shard_iterators:
            raise error("ExpiredIteratorException", "the iterator has expired: ask for another")
        while len(backend.shard_iterators) > KEPT_ITERATORS:
            del backend.shard_iterators[next(iter(backend.shard_iterators))]
        return dict(read(backend, iterator, limit))

    _module("moto.dynamodb.models.table").StreamShard.get = get
    backend_class.get_records = get_records


def _know_receipts_again() -> None:
    """A receipt names its message: what is received is not in the journal, but what is deleted is."""
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
    """Gives every hidden message to the next that asks: whoever had received it has ended."""
    for _, _, backend in _module("moto.sqs.models").sqs_backends.iter_backends():
        for queue in backend.queues.values():
            queue._pending_messages = set()
            for message in queue._messages:
                message.visible_at = 0
