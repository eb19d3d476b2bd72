"""A rebuild over a real Kinesis stream and a real bucket, by HTTP."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from consumers_world import CATALOG, ITEM, event, item
from replay_world import business, oracle

from consumers.consume import Consumer
from consumers.kinesis import ShardReader, StreamReader
from consumers.warehouse.port import LIVE_READER, Checkpoint, padded
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from producers.aggregator import Aggregate
from replay.compare import compare
from replay.log.reader import S3Log
from replay.ports import Ports
from replay.rebuild import plan_rebuild, plan_rollback
from replay.run import run
from schemas.errors import ConfigurationError
from schemas.event import Event, encode_event
from schemas.letters.letter import InMemoryLetters

LOWER_HALF, UPPER_HALF = "0", str(2**127)


class Installation:
    """One stream of two shards, one bucket, one live consumer."""

    def __init__(self, aws: Any, folder: Path) -> None:
        self.kinesis, self.s3 = aws.client("kinesis"), aws.client("s3")
        self.stream, self.bucket = aws.name("events"), aws.name("log")
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=2)
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self.reader = StreamReader(self.kinesis, self.stream)
        self.warehouse: SqliteWarehouse = open_warehouse(f"sqlite:///{folder}/warehouse.db", [ITEM])
        self.warehouse.ensure()
        self.consumer = Consumer(CATALOG, self.warehouse, InMemoryLetters())
        self.cursors: dict[str, ShardReader] = {}
        self.published: list[bytes] = []

    def publish(self, *events: Event, half: str = LOWER_HALF, flushed: bool = False) -> None:
        aggregate = Aggregate()
        for each in events:
            self.published.append(encode_event(each))
            assert aggregate.add("item/0", self.published[-1])
        record = aggregate.contents()
        self.kinesis.put_record(
            StreamName=self.stream, Data=record, PartitionKey="item/0", ExplicitHashKey=half
        )
        if flushed:
            self.s3.put_object(
                Bucket=self.bucket, Key=f"log/2026/03/01/12/{len(self.published)}", Body=record
            )

    def consume(self) -> None:
        for shard in self.reader.shards():
            cursor = self.cursors.setdefault(shard.id, self.reader.open(shard.id))
            records = cursor.read().records
            if records:
                place = Checkpoint(
                    LIVE_READER, self.reader.identity(), shard.id, padded(records[-1].sequence)
                )
                self.consumer.consume([record.payload for record in records], [place])

    def split(self) -> None:
        shard = self.reader.shards()[0].id
        self.kinesis.split_shard(StreamName=self.stream, ShardToSplit=shard, NewStartingHashKey=str(2**126))

    def ports(self) -> Ports:
        log = S3Log(self.s3, self.bucket)
        return Ports(self.warehouse, log, self.reader, CATALOG.registry)


@pytest.fixture
def here(aws: Any, tmp_path: Path) -> Installation:
    return Installation(aws, tmp_path)


def change(id: str, number: int) -> Event:  # noqa: A002
    return event(ITEM, item(id, number), number)


def test_log_and_stream_with_a_reshard_between_make_the_live_table(here: Installation) -> None:
    here.publish(change("k1", 1), change("k2", 2), flushed=True)
    here.publish(change("k2", 3), change("upper", 4), half=UPPER_HALF)
    here.consume()
    ports = here.ports()
    plan = plan_rebuild(ports, ITEM)
    here.split()
    here.publish(change("child", 5), change("k1", 6))
    here.consume()
    assert len(here.reader.shards()) == 4

    outcome = run(plan, ports)

    assert outcome.swapped
    rebuilt = list(here.warehouse.rows("item", outcome.revision))
    assert business(rebuilt) == oracle(ITEM, here.published)
    assert {row.values[0] for row in rebuilt} == {"k1", "k2", "upper", "child"}


def test_the_way_back_reads_on_from_the_checkpoints_of_the_swap(here: Installation) -> None:
    here.publish(change("k1", 1), flushed=True)
    here.consume()
    run(plan_rebuild(here.ports(), ITEM), here.ports())
    here.publish(change("k1", 2), change("since", 3))
    here.consume()

    outcome = run(plan_rollback(here.ports(), ITEM), here.ports())

    assert outcome.swapped
    assert outcome.counts.accepted == 2
    assert business(here.warehouse.rows("item", 1)) == oracle(ITEM, here.published)


def test_compare_names_the_row_that_someone_changed(here: Installation) -> None:
    here.publish(change("k1", 1), change("k2", 2))
    here.consume()
    with here.warehouse.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE staging_item__r1 SET label = 'x' WHERE id = 'k2'")

    assert [(each.key, each.what) for each in compare(here.ports(), ITEM)] == [('["k2"]', ("label",))]


def test_the_retention_that_kinesis_tells_is_the_one_that_counts(here: Installation) -> None:

    slow = replace(here.ports(), firehose_lag=timedelta(hours=13))
    with pytest.raises(ConfigurationError, match="longer retention"):
        plan_rebuild(slow, ITEM)
    here.kinesis.increase_stream_retention_period(StreamName=here.stream, RetentionPeriodHours=48)
    assert plan_rebuild(slow, ITEM).live == 1
