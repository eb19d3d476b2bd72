"""Provisioning and the pollers against a real HTTP AWS."""

from __future__ import annotations

import io
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from consumers.kinesis import StreamReader
from headwater.aws import Aws, connect
from headwater.dynamodb_poller import DynamoDbPoller
from headwater.embedded import EmbeddedAws
from headwater.provision import find_queue, make_flow, make_stores
from headwater.queue_poller import QueuePoller
from headwater.runtime import Found
from headwater.settings import Settings
from headwater.stored import list_objects
from headwater.stream_poller import (
    BUFFER_BYTES,
    BUFFER_SECONDS,
    READ_RECORDS,
    Pump,
    StreamPoller,
    pump_poller,
)
from schemas.entity import Catalog
from schemas.errors import ConfigurationError, TransientError
from schemas.loader import load_catalog


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    before = dict(os.environ)
    with EmbeddedAws() as server:
        os.environ.update(server.environment())
        yield connect()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def settings() -> Settings:
    """Names of each test's own, so that tests never meet."""
    own = uuid.uuid4().hex[:8]
    return Settings(stream=f"events-{own}", log_bucket=f"log-{own}", source_bucket=f"source-{own}")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """One entity from a table of the test's own, with keys of a number and a text, and one from a feed."""
    table = f"readings-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / "entities" / "reading"
    folder.mkdir(parents=True)
    (folder / "entity.toml").write_text(
        f'key = ["n", "sk"]\n[[source]]\ndynamodb = "{table}"\n[[source]]\ncsv = "reading"\nmode = "upsert"\n'
    )
    (folder / "v1.avsc").write_text(
        '{"type": "record", "name": "Reading", "fields": ['
        '{"name": "n", "type": "long"}, {"name": "sk", "type": "string", "maxLength": 9}]}'
    )
    return load_catalog(tmp_path)


class Recording:
    """A handler that keeps what it is given. It refuses those that `refuse` names, or fails."""

    def __init__(self, *refuse: str, fails: BaseException | None = None) -> None:
        self.refuse = set(refuse)
        self.fails = fails
        self.batches: list[list[Mapping[str, Any]]] = []

    def __call__(self, lambda_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        self.batches.append(lambda_event["Records"])
        if self.fails is not None:
            raise self.fails
        return {"batchItemFailures": [{"itemIdentifier": one} for one in self.refuse]}


def test_provisioning_makes_what_the_entities_need(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    (table,) = catalog.tables()
    made = aws.dynamodb.describe_table(TableName=table)["Table"]
    assert [key["AttributeName"] for key in made["KeySchema"]] == ["n", "sk"]
    assert {a["AttributeName"]: a["AttributeType"] for a in made["AttributeDefinitions"]} == {
        "n": "N",
        "sk": "S",
    }
    assert made["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert aws.s3.get_bucket_versioning(Bucket=settings.source_bucket)["Status"] == "Enabled"
    assert len(StreamReader(aws.kinesis, settings.stream).shards()) == 2
    delivery = aws.firehose.describe_delivery_stream(DeliveryStreamName=settings.delivery_stream)
    destination = delivery["DeliveryStreamDescription"]["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (destination["Prefix"], destination["ErrorOutputPrefix"]) == ("log/", "log-errors/")


def test_provisioning_again_changes_nothing(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    """And neither a stream's generation nor anybody else's notification."""
    make_stores(aws, settings, catalog)
    other = aws.sqs.create_queue(QueueName=f"other-{uuid.uuid4().hex}")["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.s3.put_bucket_notification_configuration(
        Bucket=settings.source_bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}]
        },
    )
    make_flow(aws, settings, catalog, pumped=True)
    (table,) = catalog.tables()
    label = aws.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamLabel"]
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    assert aws.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamLabel"] == label
    watched = aws.s3.get_bucket_notification_configuration(Bucket=settings.source_bucket)
    prefixes = [
        rule["Value"]
        for queue in watched["QueueConfigurations"]
        for rule in queue.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    ]
    assert sorted(prefixes) == ["corrections/", "drop/"]
    assert arn in [queue["QueueArn"] for queue in watched["QueueConfigurations"]]


def test_a_delivery_stream_that_reads_kinesis_by_itself_is_made_where_nobody_pumps(
    aws: Aws, settings: Settings, catalog: Catalog
) -> None:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=False)
    made = aws.firehose.describe_delivery_stream(DeliveryStreamName=settings.delivery_stream)
    source = made["DeliveryStreamDescription"]["Source"]["KinesisStreamSourceDescription"]
    assert source["KinesisStreamARN"].endswith(f"stream/{settings.stream}")


def test_a_stream_without_both_images_is_refused(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    make_stores(aws, settings, catalog)
    (table,) = catalog.tables()
    aws.dynamodb.update_table(
        TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    with pytest.raises(ConfigurationError, match=f"{table} is KEYS_ONLY.*NEW_AND_OLD_IMAGES"):
        make_flow(aws, settings, catalog, pumped=True)


def answer_once(aws: Aws, operation: str, code: str, before: Callable[[], object] = lambda: None) -> None:
    """The operation's next call is answered with this error, after something else has happened."""
    service = operation.partition(".")[0]
    asked: list[str] = []

    def answered(request: Any, **_: object) -> AWSResponse | None:
        if asked:
            return None
        asked.append(request.url)
        before()
        body = json.dumps({"__type": code, "message": "said the server"}).encode()
        if service == "s3":
            body = f"<Error><Code>{code}</Code><Message>said the server</Message></Error>".encode()
        raw = io.BytesIO(body)
        raw.stream = lambda: iter([body])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, raw)

    getattr(aws, service).meta.events.register_first(f"before-send.{operation}", answered)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("dynamodb.UpdateTable", "ResourceInUseException"),
        ("kinesis.CreateStream", "LimitExceededException"),
        ("firehose.CreateDeliveryStream", "ConcurrentModificationException"),
        ("sqs.CreateQueue", "QueueDeletedRecently"),
        ("s3.PutBucketVersioning", "OperationAborted"),
        ("s3.PutBucketNotificationConfiguration", "OperationAborted"),
    ],
)
def test_what_is_busy_is_asked_again(
    aws: Aws, settings: Settings, catalog: Catalog, operation: str, code: str
) -> None:
    """As after a lost answer, when what was asked for is still being made."""
    answer_once(aws, operation, code)
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    (table,) = catalog.tables()
    made = aws.dynamodb.describe_table(TableName=table)["Table"]
    assert made["StreamSpecification"]["StreamEnabled"]
    assert aws.s3.get_bucket_versioning(Bucket=settings.source_bucket)["Status"] == "Enabled"


def test_a_stream_that_a_lost_answer_enabled_is_taken_as_it_is(
    aws: Aws, settings: Settings, catalog: Catalog
) -> None:
    make_stores(aws, settings, catalog)
    (table,) = catalog.tables()

    def enable() -> None:
        connect().dynamodb.update_table(
            TableName=table,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )

    answer_once(aws, "dynamodb.UpdateTable", "ValidationException", enable)
    make_flow(aws, settings, catalog, pumped=True)
    assert aws.dynamodb.describe_table(TableName=table)["Table"]["StreamSpecification"]["StreamEnabled"]


def put(aws: Aws, table: str, *numbers: int) -> None:
    for number in numbers:
        aws.dynamodb.put_item(TableName=table, Item={"n": {"N": str(number)}, "sk": {"S": "x"}})


def numbers(batch: list[Mapping[str, Any]]) -> list[int]:
    return [int(record["dynamodb"]["Keys"]["n"]["N"]) for record in batch]


@pytest.fixture
def table(aws: Aws, settings: Settings, catalog: Catalog) -> str:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    return next(iter(catalog.tables()))


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


def test_changes_that_aws_has_dropped_stop_the_runtime(aws: Aws, table: str) -> None:
    poller = DynamoDbPoller(aws.dynamodbstreams, [table], Recording())
    put(aws, table, 1)
    poller.poll(time.time())
    answer(aws, "TrimmedDataAccessException", "TrimmedDataAccessException")
    with pytest.raises(ConfigurationError, match=f"{table}.* has dropped changes before they were read"):
        poller.poll(time.time())


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
    objects = list(list_objects(aws, settings.log_bucket, "log/"))
    assert len(objects) == 2  # of at most 4 MiB each
    bodies = [aws.s3.get_object(Bucket=settings.log_bucket, Key=item.key)["Body"].read() for item in objects]
    assert sorted(map(len, bodies)) == [4 * 900_000, 4 * 900_000]
    assert b"".join(sorted(bodies)) == b"".join(payloads)


def test_the_pump_says_when_firehose_is_not_there(aws: Aws, settings: Settings, stream: StreamReader) -> None:
    send(aws, settings, b"1")
    with pytest.raises(ConfigurationError, match="PutRecordBatch to no-such-stream"):
        pump_poller(stream, aws.firehose, "no-such-stream").poll(time.time())
