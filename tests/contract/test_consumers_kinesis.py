"""The Kinesis reader, the dead letters in S3 and the handler, against real HTTP."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_endpoint import Aws
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from consumers import handler
from consumers.kinesis import Page, StreamReader
from consumers.warehouse.port import LIVE_READER, padded
from consumers.warehouse.sqlite.warehouse import open_warehouse
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError, TransientError
from schemas.letters.letter import DeadLetter, decode_letters
from schemas.letters.s3_letters import S3Letters
from schemas.settings import read_settings

SHARD = "shardId-000000000000"


@pytest.fixture
def kinesis(aws: Aws) -> Any:
    return aws.client("kinesis")


@pytest.fixture
def stream(aws: Aws, kinesis: Any) -> str:
    name = aws.name("stream")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    return name


def put(kinesis: Any, stream: str, *payloads: bytes) -> None:
    kinesis.put_records(
        StreamName=stream, Records=[{"Data": payload, "PartitionKey": "p"} for payload in payloads]
    )


def payloads(page: Page) -> list[bytes]:
    return [record.payload for record in page.records]


def test_a_stream_made_again_under_its_name_has_another_identity(kinesis: Any, stream: str) -> None:
    reader = StreamReader(kinesis, stream)
    identity = reader.identity()
    arn, _, created = identity.partition("@")
    assert arn.endswith(f":stream/{stream}")
    assert abs(datetime.fromisoformat(created) - datetime.now(UTC)) < timedelta(minutes=5)
    assert reader.identity() == identity
    kinesis.delete_stream(StreamName=stream)
    time.sleep(1.1)  # creation times are told in whole seconds
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    assert reader.identity() != identity


def test_retention_is_told_as_a_length_of_time(kinesis: Any, stream: str) -> None:
    assert StreamReader(kinesis, stream).retention() == timedelta(hours=24)


def test_a_shard_is_read_in_order_from_its_oldest_record_to_the_tip(kinesis: Any, stream: str) -> None:
    written = [f"{n}".encode() for n in range(25)]
    put(kinesis, stream, *written)
    reader = StreamReader(kinesis, stream).open(SHARD)
    pages = [reader.read(10) for _ in range(4)]
    assert [each for page in pages for each in payloads(page)] == written
    assert [page.at_tip for page in pages] == [False, False, True, True]
    assert not any(page.finished for page in pages)
    put(kinesis, stream, b"later")
    page = reader.read()
    assert payloads(page) == [b"later"]
    record = page.records[0]
    assert (record.shard, int(record.sequence) > 0) == (SHARD, True)
    assert abs(record.arrived_at - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize("form", [str, padded])
def test_reading_goes_on_after_a_sequence_number(
    kinesis: Any, stream: str, form: Callable[[str], str]
) -> None:
    put(kinesis, stream, b"one", b"two", b"three")
    opened = StreamReader(kinesis, stream)
    first = opened.open(SHARD).read(2).records[1]
    assert payloads(opened.open(SHARD, form(first.sequence)).read()) == [b"three"]


def test_reading_begins_at_a_moment(kinesis: Any, stream: str) -> None:
    opened = StreamReader(kinesis, stream)
    put(kinesis, stream, b"before")
    time.sleep(0.05)
    moment = datetime.now(UTC)
    time.sleep(0.05)
    put(kinesis, stream, b"after")
    assert payloads(opened.open(SHARD, moment).read()) == [b"after"]
    assert payloads(opened.open(SHARD, moment - timedelta(hours=1)).read()) == [b"before", b"after"]


def test_a_closed_shard_is_finished_when_it_is_read_to_its_end_and_its_children_are_listed(
    kinesis: Any, stream: str
) -> None:
    opened = StreamReader(kinesis, stream)
    put(kinesis, stream, b"one", b"two")
    reader = opened.open(SHARD)
    assert not reader.read(1).finished
    kinesis.split_shard(StreamName=stream, ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    parent, *children = opened.shards()
    assert (parent.id, parent.closed) == (SHARD, True)
    assert [(child.parents, child.closed) for child in children] == [((SHARD,), False)] * 2
    page = reader.read(closed=True)
    assert page.finished
    assert page.at_tip
    assert reader.read(closed=True) == Page([], at_tip=True, finished=True)


def test_a_full_page_of_a_closed_shard_may_have_more_behind_it(kinesis: Any, stream: str) -> None:
    put(kinesis, stream, b"one", b"two")
    reader = StreamReader(kinesis, stream).open(SHARD)
    first, second = reader.read(2, closed=True), reader.read(2, closed=True)
    assert (first.at_tip, first.finished) == (False, False)
    assert (second.at_tip, second.finished) == (True, True)


def test_an_open_shard_is_never_finished(kinesis: Any, stream: str) -> None:
    reader = StreamReader(kinesis, stream).open(SHARD)
    assert [reader.read() for _ in range(3)] == [Page([], at_tip=True, finished=False)] * 3


def test_both_parents_of_a_merged_shard_are_told(kinesis: Any, aws: Aws) -> None:
    name = aws.name("merged")
    kinesis.create_stream(StreamName=name, ShardCount=2)
    one, two = StreamReader(kinesis, name).shards()
    kinesis.merge_shards(StreamName=name, ShardToMerge=one.id, AdjacentShardToMerge=two.id)
    child = StreamReader(kinesis, name).shards()[-1]
    assert set(child.parents) == {one.id, two.id}


def answer_once(client: Any, operation: str, code: str) -> None:
    """The next call of this operation is answered with this error, on the level of HTTP."""
    answers = [code]

    def answer(request: Any, **_: object) -> AWSResponse | None:
        if not answers:
            return None
        body = json.dumps({"__type": answers.pop(), "message": "said the server"}).encode()
        raw = io.BytesIO(body)
        raw.stream = lambda: iter([body])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.1"}, raw)

    client.meta.events.register_first(f"before-send.kinesis.{operation}", answer)


def test_an_expired_iterator_is_made_again_after_the_last_record(kinesis: Any, stream: str) -> None:
    put(kinesis, stream, b"one", b"two", b"three")
    reader = StreamReader(kinesis, stream).open(SHARD)
    assert payloads(reader.read(2)) == [b"one", b"two"]
    answer_once(kinesis, "GetRecords", "ExpiredIteratorException")
    asked: list[dict[str, object]] = []
    kinesis.meta.events.register(
        "provide-client-params.kinesis.GetShardIterator", lambda params, **_: asked.append(params)
    )
    assert payloads(reader.read()) == [b"three"]
    assert [each["StartingSequenceNumber"] for each in asked] == ["2"]


def test_throttling_is_transient_and_the_next_read_goes_on_from_the_same_place(
    aws: Aws, kinesis: Any, stream: str
) -> None:
    put(kinesis, stream, b"one", b"two", b"three")
    once = aws_client_without_retries(aws)
    reader = StreamReader(once, stream).open(SHARD)
    reader.read(1)
    answer_once(once, "GetRecords", "ProvisionedThroughputExceededException")
    with pytest.raises(TransientError, match="ProvisionedThroughputExceededException") as caught:
        reader.read()
    assert "said the server" not in str(caught.value)
    assert payloads(reader.read()) == [b"two", b"three"]


def aws_client_without_retries(aws: Aws) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=aws.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_a_stream_that_is_not_there_is_a_configuration_error(kinesis: Any, aws: Aws) -> None:
    nowhere = StreamReader(kinesis, aws.name("nowhere"))
    for ask in (nowhere.identity, nowhere.shards, nowhere.open(SHARD).read):
        with pytest.raises(ConfigurationError, match="nowhere"):
            ask()


LETTER = DeadLetter(
    "ab" * 16, "consumer", "item", "csv:b", "2024-1", "field x: wrong", "data", b"\x00payload", 5
)


def test_inv5_letters_put_twice_are_one_object_that_can_be_read(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), aws.name("letters")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for _ in range(2):
        S3Letters(s3, bucket).put([LETTER])
    (found,) = s3.list_objects_v2(Bucket=bucket, Prefix="dead-letters/consumer/")["Contents"]
    body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
    assert decode_letters(body) == [LETTER]


def test_letters_without_their_bucket_are_a_configuration_error(aws: Aws) -> None:
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        S3Letters(aws.client("s3"), aws.name("nowhere")).put([LETTER])


@pytest.fixture
def environ(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    settings = {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return {
        "HEADWATER_WAREHOUSE": f"sqlite:///{tmp_path / 'warehouse.db'}",
        "HEADWATER_LOG_BUCKET": aws.name("log"),
    }


def test_the_handler_built_from_the_environment_applies_dead_letters_and_saves_its_place(
    aws: Aws, kinesis: Any, stream: str, environ: dict[str, str]
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(
        Bucket=environ["HEADWATER_LOG_BUCKET"],
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    identity = StreamReader(kinesis, stream).identity()
    golden = Path(__file__).parents[1] / "golden" / "lambda_events" / "kinesis_aggregates.json"
    lambda_event = json.loads(golden.read_text())
    for record in lambda_event["Records"]:
        record["eventSourceARN"] = identity.partition("@")[0]
    lambda_event["Records"][0]["kinesis"]["data"] = b64encode(b"not ours").decode()
    warehouse = open_warehouse(environ["HEADWATER_WAREHOUSE"], load_catalog().entities.values())
    warehouse.ensure()
    counts = handler.build(read_settings(environ)).take(lambda_event)
    assert (counts.applied, counts.dead) == (2, 1)
    with warehouse.transaction() as transaction:
        (place,) = transaction.checkpoints(LIVE_READER)
    warehouse.close()
    assert place.stream == identity
    assert place.sequence == padded(lambda_event["Records"][-1]["kinesis"]["sequenceNumber"])
    assert s3.list_objects_v2(Bucket=environ["HEADWATER_LOG_BUCKET"])["KeyCount"] == 1


def test_the_handler_makes_no_tables(environ: dict[str, str], tmp_path: Path) -> None:
    settings = read_settings(environ)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"headwater_checkpoints is missing.*warehouse init"):
            handler.build(settings)
    with closing(sqlite3.connect(tmp_path / "warehouse.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_the_handler_refuses_to_start_without_a_warehouse() -> None:
    with pytest.raises(ConfigurationError, match="HEADWATER_WAREHOUSE"):
        handler.build(read_settings({}))
