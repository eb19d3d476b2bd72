"""The pollers of the stream, consumer and pump, against a real HTTP AWS."""

from __future__ import annotations

import time
from typing import Any

import pytest

from consumers.kinesis import StreamReader
from headwater.aws import Aws
from headwater.local.provision import make_flow, make_stores
from headwater.polling.runtime import Found
from headwater.polling.stream_poller import (
    BUFFER_BYTES,
    BUFFER_SECONDS,
    READ_RECORDS,
    Pump,
    StreamPoller,
    pump_poller,
)
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, TransientError
from schemas.s3_objects import list_objects
from schemas.settings import Settings

pytest_plugins = ("pollers_world",)


@pytest.fixture
def aws(embedded_aws: Aws) -> Aws:
    return embedded_aws


@pytest.fixture
def stream(aws: Aws, settings: Settings) -> StreamReader:
    aws.kinesis.create_stream(StreamName=settings.stream, ShardCount=1)
    return StreamReader(aws.kinesis, settings.stream)


class Taking:
    """What a poller of the stream hands over; it fails while `fails` says so."""

    def __init__(self) -> None:
        self.fails = False
        self.taken: list[tuple[str, bytes]] = []
        self.calls = 0

    def __call__(self, shard: str, records: Any) -> None:
        self.calls += 1
        if self.fails:
            raise TransientError("the warehouse is busy")
        self.taken.extend((shard, record.payload) for record in records)


def send(aws: Aws, settings: Settings, *payloads: bytes) -> None:
    records: Any = [{"Data": payload, "PartitionKey": "k"} for payload in payloads]
    aws.kinesis.put_records(StreamName=settings.stream, Records=records)


def test_records_of_the_stream_come_once_and_again_where_they_were_not_taken(
    aws: Aws, settings: Settings, stream: StreamReader
) -> None:
    taking = Taking()
    poller = StreamPoller("consumer", stream, taking)
    send(aws, settings, b"1", b"2")
    taking.fails = True
    with pytest.raises(TransientError, match="busy"):
        poller.poll(time.time())
    taking.fails = False
    assert poller.poll(time.time()).records == 2
    send(aws, settings, b"3")
    poller.poll(time.time())
    assert poller.poll(time.time()) == Found(0, level=True)
    assert [payload for _, payload in taking.taken] == [b"1", b"2", b"3"]


def test_how_far_a_reader_is_behind_counts_from_the_last_record_that_was_taken(
    aws: Aws, settings: Settings, stream: StreamReader
) -> None:
    poller = StreamPoller("consumer", stream, Taking())
    assert poller.lag(time.time()) == 0
    send(aws, settings, *[b"x"] * (READ_RECORDS + 5))
    poller.poll(time.time())
    assert poller.lag(time.time() + 60) >= 60
    poller.poll(time.time())
    assert poller.lag(time.time() + 60) == 0


def test_a_shard_is_read_on_from_its_checkpoint(aws: Aws, settings: Settings, stream: StreamReader) -> None:
    send(aws, settings, b"1", b"2", b"3")
    (shard,) = stream.shards()
    page = stream.open(shard.id).read()
    taking = Taking()
    StreamPoller("consumer", stream, taking, {shard.id: page.records[1].sequence.zfill(129)}).poll(
        time.time()
    )
    assert [payload for _, payload in taking.taken] == [b"3"]


def test_what_fits_one_call_is_not_all_there_is(aws: Aws, settings: Settings, stream: StreamReader) -> None:
    send(aws, settings, *[b"x"] * (READ_RECORDS + 5))
    taking = Taking()
    poller = StreamPoller("consumer", stream, taking)
    assert poller.poll(time.time()) == Found(READ_RECORDS, level=False)
    assert poller.poll(time.time()) == Found(5, level=True)


def test_inv1_a_page_is_handed_over_in_pieces_and_goes_on_from_the_piece_that_failed(
    aws: Aws, settings: Settings, stream: StreamReader
) -> None:
    batches: list[list[bytes]] = []
    refused = [b"large, and alone"]

    def take(_shard: str, records: Any) -> None:
        batches.append([record.payload for record in records])
        if batches[-1] == refused:
            refused.clear()
            raise TransientError("the warehouse is busy")

    poller = StreamPoller("consumer", stream, take, take_bytes=4)
    send(aws, settings, b"12", b"34", b"5", b"large, and alone", b"67")
    with pytest.raises(TransientError, match="busy"):
        poller.poll(time.time())
    assert poller.poll(time.time()) == Found(2, level=True)
    assert batches == [[b"12", b"34"], [b"5"], [b"large, and alone"], [b"large, and alone"], [b"67"]]


class Pumped:
    """A pump of one stream whose clock and waiting drain the test sets, and what it put."""

    def __init__(self, stream: StreamReader) -> None:
        self.seconds = 0.0
        self.drains = False
        self.put: list[list[bytes]] = []
        self.pump = Pump(
            stream,
            lambda payloads: self.put.append(list(payloads)),
            wanted=lambda: self.drains,
            clock=lambda: self.seconds,
        )


def test_the_pump_gathers_until_the_first_record_is_old(
    aws: Aws, settings: Settings, stream: StreamReader
) -> None:
    pumped = Pumped(stream)
    send(aws, settings, b"1")
    assert pumped.pump.poll(time.time()) == Found(1, level=False)
    pumped.seconds = BUFFER_SECONDS - 1
    send(aws, settings, b"2")
    assert pumped.pump.poll(time.time()) == Found(1, level=False)
    assert pumped.put == []
    pumped.seconds = BUFFER_SECONDS
    assert pumped.pump.poll(time.time()) == Found(0, level=True)
    assert pumped.put == [[b"1", b"2"]]


def test_the_pump_puts_what_it_has_at_once_while_a_drain_waits(
    aws: Aws, settings: Settings, stream: StreamReader
) -> None:
    pumped = Pumped(stream)
    send(aws, settings, b"1")
    assert pumped.pump.poll(time.time()) == Found(1, level=False)
    pumped.drains = True
    assert pumped.pump.poll(time.time()) == Found(0, level=True)
    assert pumped.put == [[b"1"]]


def test_the_pump_puts_a_full_buffer_at_once(aws: Aws, settings: Settings, stream: StreamReader) -> None:
    pumped = Pumped(stream)
    part = bytes(BUFFER_BYTES // 5)
    send(aws, settings, *[part] * 4)
    assert pumped.pump.poll(time.time()) == Found(4, level=False)
    assert pumped.put == []
    send(aws, settings, *[part] * 2)
    assert pumped.pump.poll(time.time()) == Found(2, level=True)
    assert [len(batch) for batch in pumped.put] == [5, 1]


def test_the_pump_puts_every_record_into_the_log_in_order(
    aws: Aws, settings: Settings, catalog: Catalog
) -> None:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    payloads = [bytes([number]) * 900_000 for number in range(8)]
    for payload in payloads:
        aws.kinesis.put_record(
            StreamName=settings.stream, Data=payload, ExplicitHashKey="0", PartitionKey="k"
        )
    reader = StreamReader(aws.kinesis, settings.stream)
    pump = pump_poller(reader, aws.firehose, settings.delivery_stream)
    assert pump.poll(time.time()) == Found(8, level=True)
    assert pump.poll(time.time()) == Found(0, level=True)
    objects = list(list_objects(aws.s3, settings.log_bucket, "log/"))
    assert len(objects) == 2  # of at most 4 MiB each
    bodies = [aws.s3.get_object(Bucket=settings.log_bucket, Key=item.key)["Body"].read() for item in objects]
    assert sorted(map(len, bodies)) == [4 * 900_000, 4 * 900_000]
    assert b"".join(sorted(bodies)) == b"".join(payloads)


def test_the_pump_says_when_firehose_is_not_there(aws: Aws, settings: Settings, stream: StreamReader) -> None:
    send(aws, settings, b"1")
    with pytest.raises(ConfigurationError, match="PutRecordBatch to no-such-stream"):
        pump_poller(stream, aws.firehose, "no-such-stream").poll(time.time())
