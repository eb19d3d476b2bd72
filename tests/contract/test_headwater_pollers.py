"""The pollers of tables and of files against a real HTTP AWS."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from recording_handler import Recording

from headwater.aws import Aws
from headwater.gaps import Gap, describe_gap, keep_gap, read_gaps
from headwater.local.provision import make_flow, make_stores
from headwater.polling.runtime import Found
from headwater.sources.csv.poller import QueuePoller
from headwater.sources.csv.provision import find_queue
from headwater.sources.dynamodb.poller import DynamoDbPoller
from schemas.catalog.entity import Catalog
from schemas.errors import TransientError
from schemas.settings import Settings
from schemas.sources.dynamodb import tables

pytest_plugins = ("pollers_world",)


@pytest.fixture
def aws(embedded_aws: Aws) -> Aws:
    return embedded_aws


def put(aws: Aws, table: str, *numbers: int) -> None:
    for number in numbers:
        aws.dynamodb.put_item(TableName=table, Item={"n": {"N": str(number)}, "sk": {"S": "x"}})


def numbers(batch: list[Mapping[str, Any]]) -> list[int]:
    return [int(record["dynamodb"]["Keys"]["n"]["N"]) for record in batch]


@pytest.fixture
def table(aws: Aws, settings: Settings, catalog: Catalog) -> str:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    return next(iter(tables(catalog)))


def test_changes_come_from_the_oldest_on_in_order(aws: Aws, table: str) -> None:
    handler = Recording()
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], handler)
    put(aws, table, 1, 2, 3)
    assert poller.poll(time.time()).records == 3
    put(aws, table, 4)
    assert poller.poll(0) == Found(1, level=True)
    assert poller.poll(time.time()) == Found(0, level=True)
    assert [numbers(batch) for batch in handler.batches] == [[1, 2, 3], [4]]
    assert handler.batches[0][0]["eventSourceARN"].startswith("arn:aws:dynamodb:")


def test_inv1_everything_from_the_lowest_failed_record_on_comes_again(aws: Aws, table: str) -> None:
    handler = Recording()
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], handler)
    put(aws, table, 1, 2, 3, 4)
    stream = aws.dynamodbstreams.list_streams(TableName=table)["Streams"][0]["StreamArn"]
    shard = aws.dynamodbstreams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]
    first = int(shard["SequenceNumberRange"]["StartingSequenceNumber"])
    handler.refuse = {str(first + 2), str(first + 1)}
    with pytest.raises(TransientError, match=r"3 changes of arn.* were not published"):
        poller.poll(time.time())
    put(aws, table, 5)
    handler.refuse = set()
    assert poller.poll(time.time()).records == 3
    assert poller.poll(time.time()).records == 1
    assert [numbers(batch) for batch in handler.batches] == [[1, 2, 3, 4], [2, 3, 4], [5]]


def test_inv1_a_batch_whose_handler_fails_comes_again(aws: Aws, table: str) -> None:
    handler = Recording(fails=TransientError("Kinesis is away"))
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], handler)
    put(aws, table, 1, 2)
    for _ in range(2):
        with pytest.raises(TransientError, match="Kinesis is away"):
            poller.poll(time.time())
    handler.fails = None
    assert poller.poll(time.time()).records == 2
    assert [numbers(batch) for batch in handler.batches] == [[1, 2], [1, 2], [1, 2]]


def test_a_table_made_again_is_found_with_its_new_stream(
    aws: Aws, table: str, settings: Settings, catalog: Catalog
) -> None:
    handler = Recording()
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], handler)
    put(aws, table, 1)
    poller.poll(time.time())
    aws.dynamodb.delete_table(TableName=table)
    poller.poll(time.time())
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    put(aws, table, 2)
    poller.poll(time.time())
    assert [numbers(batch) for batch in handler.batches] == [[1], [2]]
    assert handler.batches[0][0]["eventSourceARN"] != handler.batches[1][0]["eventSourceARN"]


def answer(aws: Aws, *codes: str) -> None:
    """GetRecords of a table's stream is answered with these errors, on the level of HTTP, then as ever."""
    waiting = list(codes)

    def answered(request: Any, **_: object) -> AWSResponse | None:
        if not waiting:
            return None
        body = json.dumps({"__type": waiting.pop(0), "message": "said the server"}).encode()
        raw = io.BytesIO(body)
        raw.stream = lambda: iter([body])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, raw)

    aws.dynamodbstreams.meta.events.register_first("before-send.dynamodb-streams.GetRecords", answered)


@pytest.mark.parametrize("code", ["ExpiredIteratorException", "TrimmedDataAccessException"])
def test_an_iterator_that_is_no_longer_good_is_made_again_for_the_same_place(
    aws: Aws, table: str, code: str
) -> None:
    """DynamoDB Local says so of an iterator of an empty shard when its first record has come."""
    handler = Recording()
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], handler)
    for number in (1, 2):
        poller.poll(time.time())
        put(aws, table, number)
        answer(aws, code)
        assert poller.poll(time.time()).records == 1
    assert [numbers(batch) for batch in handler.batches] == [[1], [2]]


def test_changes_that_aws_has_dropped_are_a_notice_and_reading_goes_on(
    aws: Aws, settings: Settings, table: str
) -> None:
    handler, gaps = Recording(), list[Gap]()
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], handler, keep_gap=gaps.append)
    put(aws, table, 1)
    poller.poll(time.time())
    answer(aws, "TrimmedDataAccessException", "TrimmedDataAccessException")
    with pytest.raises(TransientError, match="goes on after a gap"):
        poller.poll(time.time())
    put(aws, table, 2)
    poller.poll(time.time())
    (gap,) = gaps
    assert (gap.kind, gap.name) == ("table", table)
    assert "" < gap.after <= gap.until
    assert f"run `headwater backfill {table}`" in gap.text
    assert numbers(handler.batches[-1])[-1] == 2
    for _ in range(2):
        keep_gap(aws, settings, gap)
    (shown,) = read_gaps(aws, settings)
    assert (shown["after"], shown["until"]) == (gap.after, gap.until)
    assert f"s3://{settings.source_bucket}/gaps/table/{table}/" in describe_gap(shown)


def test_a_stream_that_is_gone_is_at_its_end(aws: Aws, table: str) -> None:
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], Recording())
    answer(aws, "ResourceNotFoundException")
    assert poller.poll(time.time()) == Found(0, level=True)
    put(aws, table, 1)
    assert poller.poll(time.time()) == Found(0, level=True)


@pytest.fixture
def queue(aws: Aws, settings: Settings, catalog: Catalog) -> tuple[str, str]:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    return find_queue(aws, settings)


def test_inv1_a_file_that_was_not_published_stays_until_it_is(
    aws: Aws, settings: Settings, queue: tuple[str, str]
) -> None:
    handler = Recording()
    poller = QueuePoller(aws.sqs, *queue, handler)
    while poller.poll(time.time()).records:  # S3's own test notifications
        pass
    handler.batches.clear()
    aws.s3.put_object(Bucket=settings.source_bucket, Key="drop/reading/a b.csv", Body=b"n,sk\n1,x\n")
    aws.s3.put_object(Bucket=settings.source_bucket, Key="elsewhere/reading/a.csv", Body=b"n,sk\n1,x\n")
    handler.fails = TransientError("away")
    with pytest.raises(TransientError, match="away"):
        poller.poll(time.time())
    handler.fails = None
    (record,) = handler.batches[0]
    handler.refuse = {record["messageId"]}
    with pytest.raises(TransientError, match="1 files were not published"):
        poller.poll(time.time())
    handler.refuse = set()
    assert poller.poll(time.time()) == Found(1, level=False)
    assert poller.poll(time.time()) == Found(0, level=True)
    assert [batch[0]["body"] for batch in handler.batches] == [record["body"]] * 3


def test_a_notification_that_a_killed_runtime_holds_is_waited_for(
    aws: Aws, settings: Settings, queue: tuple[str, str]
) -> None:
    killed = QueuePoller(aws.sqs, *queue, Recording(fails=KeyboardInterrupt()))
    aws.s3.put_object(Bucket=settings.source_bucket, Key="drop/reading/a.csv", Body=b"n,sk\n")
    with pytest.raises(KeyboardInterrupt):
        killed.poll(time.time())
    found = QueuePoller(aws.sqs, *queue, Recording()).poll(time.time())
    assert found[:2] == (0, False)
    assert re.search(
        r"an earlier run had taken \d files.* come back by \d\d:\d\d:\d\d UTC", found.problem or ""
    )


def test_a_file_that_fails_each_time_does_not_hold_up_the_files_after_it(
    aws: Aws, queue: tuple[str, str]
) -> None:
    """Fifteen of them: more than one ReceiveMessage gives."""

    def handler(lambda_event: Any, _context: object) -> dict[str, Any]:
        records = lambda_event["Records"]
        taken.extend(record["body"] for record in records)
        failed = [record["messageId"] for record in records if record["body"].startswith("bad")]
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}

    taken: list[str] = []
    poller = QueuePoller(aws.sqs, *queue, handler)
    for number in range(15):
        aws.sqs.send_message(QueueUrl=queue[0], MessageBody=f"bad{number}")
    for number in range(3):
        aws.sqs.send_message(QueueUrl=queue[0], MessageBody=f"good{number}")
        for _ in range(5):
            with suppress(TransientError):
                assert not poller.poll(time.time()).level
    assert {"good0", "good1", "good2"} <= set(taken)


def test_a_table_that_fails_each_time_does_not_hold_up_other_tables(aws: Aws, table: str) -> None:
    def handler(lambda_event: Any, _context: object) -> dict[str, Any]:
        if f"/{table}/" in lambda_event["Records"][0]["eventSourceARN"]:
            raise TransientError("refused")
        taken.append(numbers(lambda_event["Records"]))
        return {"batchItemFailures": []}

    taken: list[Any] = []
    other = f"{table}-other"
    described = aws.dynamodb.describe_table(TableName=table)["Table"]
    parts: Any = {
        name: described[name] for name in ("KeySchema", "AttributeDefinitions", "StreamSpecification")
    }
    aws.dynamodb.create_table(TableName=other, BillingMode="PAY_PER_REQUEST", **parts)
    poller = DynamoDbPoller(aws.dynamodbstreams, [table, other], handler)
    put(aws, table, 1)
    put(aws, other, 7)
    assert poller.poll(time.time()) == Found(1, level=False, problem="refused")
    assert taken == [[7]]
    with pytest.raises(TransientError, match="refused"):
        poller.poll(time.time())
