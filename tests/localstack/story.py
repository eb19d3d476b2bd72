"""What happens in the end-to-end tests on LocalStack, and what is seen afterwards.

Three files of GIAS links, 2,000 real changes of outages, a poison item and a bad file come in, while the
runtime is killed and a shard is split.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import gias_links
import outages
from headwater_up import ON_MSSQL, PROGRAM, Done, Up
from localstack_client.session import Session

from consumers.facts import frames_of
from consumers.kinesis import KinesisRecord, StreamReader
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Row
from replay.log import reader as log
from replay.log.reader import S3Log
from schemas.catalog.loader import load_catalog

CHANGES = 2_000
KILLED_AFTER, UP_AGAIN_AFTER, SPLIT_AFTER = 900, 1_100, 1_500  # changes
ENTITIES = ("school_link", "outage")
POISON = "EST_CUSTOMERS"  # of one item a text in place of a number
BAD_FILE = "links_20260101.csv"
WAIT_SECONDS = 300


@dataclass(frozen=True)
class Place:
    """Names of its own in LocalStack, so that no two runs meet, and their clients."""

    host: str
    home: Path
    warehouse_url: str
    suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def name(self, stem: str) -> str:
        return f"{stem}-{self.suffix}"

    def client(self, service: str) -> Any:
        session = Session(
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            localstack_host=self.host,
        )
        return session.client(service)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{self.host}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "HEADWATER_HOME": str(self.home),
            "HEADWATER_STREAM": self.name("events"),
            "HEADWATER_LOG_BUCKET": self.name("log"),
            "HEADWATER_SOURCE_BUCKET": self.name("source"),
            "HEADWATER_WAREHOUSE": self.warehouse_url,
        }

    def up(self) -> Up:
        """The runtime, in a process of its own."""
        on_babelfish = "plugin=babelfish" in self.warehouse_url
        program = ON_MSSQL if on_babelfish else PROGRAM
        return Up(environment=self.environment, program=program)

    def stream(self) -> StreamReader:
        return StreamReader(self.client("kinesis"), self.name("events"))


class Table(NamedTuple):
    """One entity's table: what it holds, what its view shows, and what came of rebuilding and comparing."""

    rows: Sequence[Row]
    view: Sequence[Mapping[str, Any]]
    rebuilt: Mapping[str, Any]
    rows_after: Sequence[Row]
    compared: Done


@dataclass(frozen=True)
class Story:
    """What was seen at its end. `behind`: the outages in the table while nobody consumed."""

    fold: outages.Fold
    behind: Mapping[str, tuple[object, ...]]
    missed: Mapping[str, tuple[object, ...]]
    shards_before: Sequence[str]
    split: str
    records: Mapping[str, Sequence[KinesisRecord]]
    drained: Done
    status: Mapping[str, Any]
    letters: Sequence[Mapping[str, Any]]
    rejected: Mapping[str, bytes]
    log_keys: Sequence[str]
    log_frames: Sequence[object]
    tables: Mapping[str, Table]


@contextmanager
def made(host: str, folder: Path, warehouse_url: str) -> Iterator[Place]:
    """A place whose entities are declared; what is in LocalStack under its names is removed afterwards."""
    place = Place(host, folder, warehouse_url)
    outages.write_outage(folder, place.name("outages"))
    gias_links.write_links(folder)
    try:
        yield place
    finally:
        for step in (_delete_flow, _delete_buckets):
            step(place)


def play(place: Place, data: Path, folder: Path) -> Story:
    """The whole story, from nothing to drained, compared and rebuilt."""
    files = [data / "gias_links" / name for name in gias_links.FILES]
    changes, fold = islice(outages.changes(data), CHANGES), outages.Fold()
    with place.up() as up:
        shards_before = [shard.id for shard in place.stream().shards()]
        drop(up, files[0])
        write(place, fold, islice(changes, KILLED_AFTER))
        wait_until(lambda: queue_is_empty(place), "the first file is published")
        wait_until(lambda: live_outages(place), "a row is there")
        up.kill()
    write(place, fold, islice(changes, UP_AGAIN_AFTER - KILLED_AFTER))
    behind, missed = live_outages(place), outages.rows_of(fold.on)
    write_poison(place, next(outages.changes(data)))
    with place.up() as up:
        write(place, fold, islice(changes, SPLIT_AFTER - UP_AGAIN_AFTER))
        split_first_shard(place)
        drop(up, files[1])
        drop(up, bad_file(folder))
        write(place, fold, changes)
        drop(up, files[2])
        drained = up.run("drain", "--timeout", "600")
        story = Story(
            fold,
            behind,
            missed,
            shards_before,
            shards_before[0],
            stream_records(place),
            drained,
            up.json("status"),
            up.json("dead-letters", "list"),
            rejected(place),
            *log_of(place),
            tables={entity: table(place, up, entity) for entity in ENTITIES},
        )
        assert up.stop() == 0, up.said()
    return story


def write(place: Place, fold: outages.Fold, changes: Iterable[outages.Change]) -> None:
    """Real puts and deletes, one after the other, so that each is a record of the table's stream."""
    dynamodb, table = place.client("dynamodb"), place.name("outages")
    for change in changes:
        fold.add(change)
        if change.new is None:
            dynamodb.delete_item(TableName=table, Key={"outage_key": {"S": change.key}})
        else:
            dynamodb.put_item(TableName=table, Item=outages.item(change))


def write_poison(place: Place, change: outages.Change) -> None:
    item = {**outages.item(change), "outage_key": {"S": "poison"}, POISON: {"S": "many"}}
    place.client("dynamodb").put_item(TableName=place.name("outages"), Item=item)


def drop(up: Up, file: Path) -> None:
    done = up.run("drop", file, "--entity", "school_link")
    assert done.code == 0, done


def bad_file(folder: Path) -> Path:
    """Without a column that the entity needs."""
    file = folder / BAD_FILE
    file.write_text("URN,LinkURN,LinkName,LinkEstablishedDate\n1,2,A School,01-01-2026\n")
    return file


def split_first_shard(place: Place) -> None:
    kinesis, stream = place.client("kinesis"), place.name("events")
    shard = kinesis.list_shards(StreamName=stream)["Shards"][0]
    keys = shard["HashKeyRange"]
    middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
    kinesis.split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))


def queue_is_empty(place: Place) -> bool:
    """Else a kill would hide a file's notification for minutes."""
    sqs = place.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{place.name('source')}-files")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    waiting = int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])
    keys = objects(place, place.name("source"), "drop/")
    return waiting == 0 and not keys


def wait_until(happened: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < give_up, f"in vain waited until {what}"
        time.sleep(0.2)


def live_outages(place: Place) -> dict[str, tuple[object, ...]]:
    return outages.live(rows(place, "outage"))


def rows(place: Place, entity: str) -> list[Row]:
    """All of the live revision."""
    warehouse = open_warehouse(place.warehouse_url, load_catalog(place.home).entities.values())
    try:
        (live,) = [status.revision for status in warehouse.status() if status.entity == entity]
        return list(warehouse.rows(entity, live))
    finally:
        warehouse.close()


def table(place: Place, up: Up, entity: str) -> Table:
    return Table(
        rows=rows(place, entity),
        view=up.json("tables", entity, "--limit", "0"),
        rebuilt=up.json("replay", "rebuild", entity),
        rows_after=rows(place, entity),
        compared=up.run("replay", "compare", entity),
    )


def stream_records(place: Place) -> dict[str, list[KinesisRecord]]:
    """All that Kinesis has taken, by shard."""
    reader = place.stream()
    return {shard.id: shard_records(reader, shard.id) for shard in reader.shards()}


def shard_records(reader: StreamReader, shard: str) -> list[KinesisRecord]:
    opened, found = reader.open(shard), list[KinesisRecord]()
    while True:
        page = opened.read(limit=500)
        found += page.records
        if page.at_tip and not page.records:
            return found


def frames(records: Iterable[KinesisRecord]) -> list[bytes]:
    return [frame for record in records for frame in frames_of(record.payload)]


def log_of(place: Place) -> tuple[list[str], list[object]]:
    """Keys of the log's objects, and all frames in them."""
    store = S3Log(place.client("s3"), place.name("log"))
    found = list(store.objects())
    return [item.key for item in found], [frame for item in found for frame in log.frames_of(store, item)]


def rejected(place: Place) -> dict[str, bytes]:
    s3, bucket = place.client("s3"), place.name("source")
    return {
        key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in objects(place, bucket, "rejects/")
    }


def objects(place: Place, bucket: str, prefix: str = "") -> list[str]:
    pages = place.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def _delete_flow(place: Place) -> None:
    firehose = place.client("firehose")
    firehose.delete_delivery_stream(DeliveryStreamName=f"{place.name('events')}-to-log")
    place.client("kinesis").delete_stream(StreamName=place.name("events"))
    place.client("dynamodb").delete_table(TableName=place.name("outages"))
    sqs = place.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{place.name('source')}-files")["QueueUrl"])


def _delete_buckets(place: Place) -> None:
    s3 = place.client("s3")
    for bucket in (place.name("log"), place.name("source")):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
        s3.delete_bucket(Bucket=bucket)
