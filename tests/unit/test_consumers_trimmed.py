"""A checkpoint whose record has expired is never replaced by the oldest record in silence."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from consumers_world import ITEM
from moto import mock_aws
from moto.kinesis.models import kinesis_backends

from consumers.kinesis import MAX_EMPTY_PAGES, KinesisRecord, Shard, StreamReader
from consumers.warehouse.port import Checkpoint
from consumers.warehouse.sqlite.warehouse import open_warehouse
from headwater.gaps import Gap, gap_of, stream_gap
from headwater.polling.reached import Reached, last_reached
from headwater.polling.stream_poller import StreamPoller
from schemas.errors import TransientError

NAME, SHARD, REGION = "events", "shardId-000000000000", "eu-west-1"


class World:
    """A stream of one shard whose oldest records expire on demand: moto keeps all."""

    def __init__(self) -> None:
        self.client: Any = boto3.client("kinesis", region_name=REGION)
        self.client.create_stream(StreamName=NAME, ShardCount=1)
        self.stream = StreamReader(self.client, NAME)

    def put(self, *payloads: bytes) -> str:
        """Put records. Returns the sequence number of the last one."""
        for payload in payloads:
            answer = self.client.put_record(StreamName=NAME, Data=payload, PartitionKey="k")
        return str(answer["SequenceNumber"])

    def expire(self, count: int) -> None:
        records = kinesis_backends["123456789012"][REGION].streams[NAME].shards[SHARD].records
        for _ in range(count):
            records.popitem(last=False)

    def read(self, start: str, limit: int = 10) -> tuple[list[bytes], list[bool]]:
        """Read from a checkpoint to the tip. Returns the payloads, and which pages were `trimmed`."""
        reader = self.stream.open(SHARD, start)
        pages = [reader.read(limit)]
        while not pages[-1].at_tip:
            pages.append(reader.read(limit))
        return [one.payload for page in pages for one in page.records], [page.trimmed for page in pages]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield World()


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_a_checkpoint_whose_record_is_there_has_no_gap(world: World, limit: int) -> None:
    last = world.put(b"1", b"2")
    world.expire(1)
    world.put(b"3", b"4")
    read, trimmed = world.read(last, limit)
    assert read == [b"3", b"4"]
    assert not any(trimmed)


def test_a_checkpoint_at_the_tip_has_no_gap(world: World) -> None:
    assert world.read(world.put(b"1")) == ([], [False])


@pytest.mark.parametrize("limit", [1, 10])
def test_a_checkpoint_whose_record_has_expired_is_reported_once_and_reading_goes_on(
    world: World, limit: int
) -> None:
    last = world.put(b"1")
    world.put(b"lost", b"3", b"4")
    world.expire(2)
    read, trimmed = world.read(last.zfill(129), limit)
    assert read == [b"3", b"4"]
    assert trimmed[0]
    assert not any(trimmed[1:])


def test_an_empty_shard_does_not_prove_that_nothing_was_lost(world: World) -> None:
    last = world.put(b"1", b"lost")
    world.expire(2)
    assert world.read(last) == ([], [True])


def test_a_number_that_kinesis_refuses_is_reported_as_expired(world: World) -> None:
    world.put(b"3")
    refused = iter([True])

    def answer(params: Any, **_: object) -> None:
        if params["ShardIteratorType"] == "AT_SEQUENCE_NUMBER" and next(refused, False):
            raise world.client.exceptions.InvalidArgumentException({"Error": {}}, "GetShardIterator")

    world.client.meta.events.register("provide-client-params.kinesis.GetShardIterator", answer)
    assert world.read("7") == ([b"3"], [True])


def test_an_expired_record_that_gives_only_empty_pages_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = world.put(b"1", b"lost", b"3")
    world.expire(2)
    reader, get_records = world.stream.open(SHARD, str(int(last) - 2)), world.client.get_records

    def empty(**request: Any) -> dict[str, Any]:
        return {**get_records(**request), "Records": [], "MillisBehindLatest": 86_400_000}

    with monkeypatch.context() as patch:
        patch.setattr(world.client, "get_records", empty)
        pages = [reader.read() for _ in range(MAX_EMPTY_PAGES)]
    assert [page.trimmed for page in pages] == [False] * (MAX_EMPTY_PAGES - 1) + [True]
    page = reader.read()
    assert [record.payload for record in page.records] == [b"3"]
    assert not page.trimmed


def test_an_iterator_that_expired_while_its_records_did_is_reported(world: World) -> None:
    reader = world.stream.open(SHARD)
    world.put(b"1")
    assert len(reader.read().records) == 1
    reader._iterator = None  # as after ExpiredIteratorException
    world.put(b"lost", b"3")
    world.expire(2)
    assert reader.read().trimmed


def test_the_poller_reports_the_shard_and_takes_what_is_there(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    last = world.put(b"1", b"lost", b"3")
    world.expire(2)
    taken: list[bytes] = []
    trimmed: list[str] = []

    def take(_shard: str, records: Sequence[KinesisRecord]) -> None:
        taken.extend(record.payload for record in records)

    starts = {SHARD: str(int(last) - 2)}
    StreamPoller("consumer", world.stream, take, starts, on_trimmed=trimmed.append).poll(time.time())
    assert (taken, trimmed) == ([b"3"], [SHARD])
    with caplog.at_level(logging.WARNING):
        StreamPoller("pump", world.stream, take, starts).poll(time.time())
    assert f"pump: the stream no longer has the record of {SHARD}" in caplog.text


def test_a_notice_that_could_not_be_stored_is_given_again_before_anything_is_taken(world: World) -> None:
    last = world.put(b"1", b"lost", b"3")
    world.expire(2)
    calls: list[str] = []
    taken: list[bytes] = []

    def on_trimmed(shard: str) -> None:
        calls.append(shard)
        if len(calls) == 1:
            raise TransientError("S3 is busy")

    def take(_shard: str, records: Sequence[KinesisRecord]) -> None:
        taken.extend(record.payload for record in records)

    poller = StreamPoller("consumer", world.stream, take, {SHARD: str(int(last) - 2)}, on_trimmed=on_trimmed)
    with pytest.raises(TransientError):
        poller.poll(time.time())
    assert taken == []
    poller.poll(time.time())
    assert (calls, taken) == ([SHARD, SHARD], [b"3"])


@pytest.mark.parametrize(
    ("parents", "starts", "expected"),
    [
        (("expired",), {}, [SHARD]),
        (("expired", SHARD), {}, []),
        (("expired",), {SHARD: "0"}, []),
        ((), {}, []),
    ],
    ids=["no parent", "a parent", "its own checkpoint", "never a parent"],
)
def test_a_shard_that_was_never_read_may_have_lost_records_if_its_parents_have_expired(
    world: World, parents: tuple[str, ...], starts: dict[str, str], expected: list[str]
) -> None:
    found: list[str] = []
    poller = StreamPoller("consumer", world.stream, lambda *_: None, starts, on_trimmed=found.append)
    poller._open(Shard(SHARD, parents, None), {SHARD})
    assert found == expected


CREATED = datetime(2026, 3, 1, tzinfo=UTC)
IDENTITY = f"arn:aws:kinesis:eu-west-1:123456789012:stream/events@{CREATED.isoformat()}"


def test_a_shard_without_records_for_days_is_no_loss_while_the_consumer_ran(tmp_path: Path) -> None:
    warehouse = open_warehouse(f"sqlite:///{tmp_path / 'w.db'}", [ITEM])
    warehouse.ensure()

    def save(checkpoints: Sequence[Checkpoint]) -> None:
        with warehouse.transaction() as transaction:
            transaction.save_checkpoints(checkpoints)

    def reached_at(moment: datetime) -> Reached:
        with warehouse.transaction() as transaction:
            seconds = last_reached(transaction, IDENTITY)
        return Reached(IDENTITY, seconds, save, moment.timestamp)

    day = timedelta(hours=24)
    assert reached_at(CREATED + timedelta(hours=23)).is_within(day)  # nothing has expired in a new stream
    assert not reached_at(CREATED + day).is_within(day)
    at_rest = CREATED + timedelta(days=5)
    reached_at(at_rest).advance(at_rest.timestamp())
    assert reached_at(at_rest + timedelta(hours=23)).is_within(day)
    assert not reached_at(at_rest + day).is_within(day)
    assert not reached_at(at_rest + day - timedelta(minutes=1)).is_within(day)
    warehouse.close()


def test_the_time_is_saved_every_ten_minutes() -> None:
    saved: list[Checkpoint] = []
    now = CREATED.timestamp()
    reached = Reached(IDENTITY, now, saved.extend, lambda: now)
    for _ in range(3):
        reached.advance(now)
        now += 301
    assert [point.sequence for point in saved] == ["2026-03-01T00:00:00+00:00", "2026-03-01T00:10:02+00:00"]


def test_a_notice_names_the_rebuild_and_is_read_back_from_its_key() -> None:
    gap = stream_gap(SHARD, "7".zfill(129))
    assert gap == Gap("stream", SHARD, "7")
    assert gap_of(gap.key) == gap
    assert "`headwater replay rebuild ENTITY`" in gap.text
    table = Gap("table", "orders", "2026-03-01T12:00:00Z", "2026-03-02T13:00:00Z")
    assert gap_of(table.key) == table
    assert "between 2026-03-01T12:00:00Z and 2026-03-02T13:00:00Z" in table.text
