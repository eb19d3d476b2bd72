"""What the environment does is never a dead letter: it stops who meets it, and the same again goes through.

Real clients of AWS, whose calls are answered on the level of HTTP while the fault lasts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from consumers_world import CATALOG, ENTITIES, ITEM, OTHER, event, item, other_schema, seen
from csv_world import BUCKET, World, links, notification
from dynamodb_world import World as Stream
from dynamodb_world import order, record

from consumers.consume import Consumer, letter_of
from consumers.log_documents import LogDocuments
from consumers.redrive import ConsumerRedriver
from consumers.warehouse.engines import open_warehouse as open_any
from consumers.warehouse.port import LIVE_READER, Checkpoint
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse
from producers.csv.archive import S3Bucket
from producers.csv.handler import Producer as CsvProducer
from producers.csv.redrive import CsvRedriver
from producers.dynamodb.handler import Producer as DynamoDbProducer
from producers.dynamodb.redrive import DynamoDbRedriver
from producers.kinesis import KinesisWriter
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog, S3SchemaLog
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import ConfigurationError, HeadwaterError, PoisonEventError, TransientError
from schemas.event import encode_event
from schemas.letters.letter import InMemoryLetters, LetterStore
from schemas.letters.outcomes import InMemoryLedger, Redriver
from schemas.letters.redriving import LetterFilter, redrive
from schemas.letters.s3_letters import S3Letters
from schemas.payload.codec import SchemaRegistry

pytest_plugins = ("sqlite_warehouse",)

TRANSIENT, REFUSED = TransientError, ConfigurationError
KINESIS = [
    ("ProvisionedThroughputExceededException", TRANSIENT),
    ("ExpiredTokenException", TRANSIENT),
    ("KMSAccessDeniedException", TRANSIENT),
    ("KMSDisabledException", TRANSIENT),
    ("KMSThrottlingException", TRANSIENT),
    ("AccessDeniedException", REFUSED),
]
S3 = [
    ("SlowDown", TRANSIENT),
    ("ExpiredToken", TRANSIENT),
    ("KMS.DisabledException", TRANSIENT),
    ("KMS.KMSInvalidStateException", TRANSIENT),
    ("AccessDenied", REFUSED),  # also what S3 says where KMS lets nobody decrypt
]
of_kinesis = pytest.mark.parametrize(("code", "raised"), KINESIS)
of_s3 = pytest.mark.parametrize(("code", "raised"), S3)
SAID = "said the server, with a value"


def failing(service: str, code: str) -> Any:
    """A real client whose every call is answered so; none leaves the machine."""
    client = boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    words = json.dumps({"__type": code, "message": SAID})
    if service == "s3":
        words = f"<Error><Code>{code}</Code><Message>{SAID}</Message></Error>"
    client.meta.events.register_first("before-send", lambda request, **_: _answer(request, words.encode()))
    return client


def _answer(request: Any, body: bytes) -> AWSResponse:
    raw = io.BytesIO(body)
    raw.stream = lambda: iter([body])  # type: ignore[attr-defined]
    kind = "application/xml" if body.startswith(b"<") else "application/x-amz-json-1.1"
    return AWSResponse(request.url, 400, {"content-type": kind}, raw)


def stops(raised: type[HeadwaterError], code: str, work: Callable[[], object]) -> None:
    with pytest.raises(raised, match=code or None) as caught:
        work()
    assert SAID not in str(caught.value)


def publisher(code: str) -> Publisher:
    return Publisher(KinesisWriter(failing("kinesis", code), "s"), InMemorySchemaLog(), sleep=lambda _: None)


# Producers

ORDERS = [record(number, new=order(number)) for number in (1, 2)]


@of_kinesis
def test_inv1_items_that_kinesis_does_not_take_come_again_and_are_no_letters(
    code: str, raised: type[HeadwaterError]
) -> None:
    world, letters = Stream(), InMemoryLetters()
    producer = DynamoDbProducer(world.catalog, publisher(code), letters)
    if raised is TransientError:
        assert producer.publish(ORDERS).failed == ORDERS[0]["dynamodb"]["SequenceNumber"]
    else:
        stops(raised, code, lambda: producer.publish(ORDERS))
    assert letters.letters == []


@of_s3
def test_inv1_items_whose_schema_can_not_be_written_come_again_and_are_no_letters(
    code: str, raised: type[HeadwaterError]
) -> None:
    world, letters = Stream(), InMemoryLetters()
    made = Publisher(world.kinesis, S3SchemaLog(failing("s3", code), "log"), sleep=lambda _: None)
    producer = DynamoDbProducer(world.catalog, made, letters)
    if raised is TransientError:
        assert producer.publish(ORDERS).failed == ORDERS[0]["dynamodb"]["SequenceNumber"]
    else:
        stops(raised, code, lambda: producer.publish(ORDERS))
    assert (letters.letters, world.events()) == ([], [])


@of_s3
def test_inv1_a_bad_item_whose_letter_can_not_be_stored_comes_again(
    code: str, raised: type[HeadwaterError]
) -> None:
    world = Stream()
    letters = S3Letters(failing("s3", code), "source")
    producer = DynamoDbProducer(world.catalog, world.publisher, letters)
    bad = record(1, new=order(1, "x"))
    if raised is TransientError:
        assert producer.publish([bad]).failed == bad["dynamodb"]["SequenceNumber"]
    else:
        stops(raised, code, lambda: producer.publish([bad]))


@of_kinesis
def test_inv1_a_file_whose_rows_kinesis_does_not_take_stays_and_is_no_letter(
    code: str, raised: type[HeadwaterError]
) -> None:
    world = World(links())
    upload = world.upload("URN,Name,Since,Open\n1,a,,Y\n")
    producer = world.producer(KinesisWriter(failing("kinesis", code), "s"))
    stops(raised, "" if raised is TransientError else code, lambda: producer.take(notification(upload)))
    assert (world.letters.letters, world.objects()) == ([], [upload.key])
    world.producer().take(notification(upload))
    assert [row["urn"] for row in world.values()] == [1]


@pytest.mark.parametrize(("code", "raised"), [*S3, ("503", TRANSIENT), ("403", REFUSED)])
def test_inv1_a_file_that_s3_does_not_give_is_no_letter(code: str, raised: type[HeadwaterError]) -> None:
    world = World(links())
    upload = world.upload("URN,Name,Since,Open\n1,a,,Y\n")
    producer = failing_csv(world, world.entity, code)(world.letters)
    stops(raised, code, lambda: producer.take(notification(upload)))
    assert (world.letters.letters, world.events()) == ([], [])


def failing_csv(world: World, known: Entity, code: str) -> Callable[[LetterStore], CsvProducer]:
    """The world's producer, where this entity is known and S3 gives no file. HEAD is answered: an error there
    has no body, and so no code."""
    bucket = S3Bucket(failing("s3", code), BUCKET)
    bucket.pin = world.bucket.pin  # type: ignore[method-assign]
    made = Publisher(world.stream, world.schema_log, sleep=lambda _: None)
    known_alone = Catalog({known.name: known}, SchemaRegistry([known.schema]))
    return lambda letters: CsvProducer(known_alone, made, letters, lambda _: bucket)


# The consumer

GOOD = encode_event(event(ITEM, item("a"), 1))
POISON = encode_event(event(ITEM, item("b"), 1, after=b"\x00"))
UNKNOWN = encode_event(event(OTHER, {"id": "x"}, 1, schema_fingerprint=other_schema(OTHER).fingerprint))
PLACE = Checkpoint(LIVE_READER, "stream", "shard", "1".zfill(60))


def nothing_is_applied(warehouse: SqliteWarehouse) -> bool:
    with warehouse.transaction() as transaction:
        return (seen(warehouse), list(transaction.checkpoints(LIVE_READER))) == ([], [])


@of_s3
def test_inv1_a_schema_that_s3_does_not_give_is_no_unknown_schema(
    warehouse: SqliteWarehouse, code: str, raised: type[HeadwaterError]
) -> None:
    """Else each event of a new version were a dead letter while S3 is slow."""
    letters = InMemoryLetters()
    consumer = Consumer(CATALOG, warehouse, letters, LogDocuments(failing("s3", code), "log").read)
    stops(raised, code, lambda: consumer.consume([GOOD, UNKNOWN], [PLACE]))
    assert letters.letters == []
    assert nothing_is_applied(warehouse)


@of_s3
def test_inv1_nothing_is_applied_while_a_letter_can_not_be_stored(
    warehouse: SqliteWarehouse, code: str, raised: type[HeadwaterError]
) -> None:
    consumer = Consumer(CATALOG, warehouse, S3Letters(failing("s3", code), "log"))
    stops(raised, code, lambda: consumer.consume([GOOD, POISON], [PLACE]))
    assert nothing_is_applied(warehouse)


def test_inv1_a_database_that_is_down_is_no_letter() -> None:
    letters = InMemoryLetters()
    with pytest.raises(TransientError):
        Consumer(CATALOG, down(), letters).consume([GOOD], [PLACE])
    assert letters.letters == []


def down() -> Any:
    """SQL Server's engine, at a port where nobody listens."""
    return open_any("mssql+pymssql://someone:secret@127.0.0.1:1/nowhere", ENTITIES)


# A redrive: stopped, with nothing recorded, and the letters wait as before


def stays_open(ledger: InMemoryLedger, stage: str, redriver: Redriver, raised: type[HeadwaterError]) -> None:
    before = dict(ledger.objects)
    with pytest.raises(raised):
        redrive([ledger], {stage: redriver}, LetterFilter())
    assert ledger.objects == before


def consumer_letters(payload: bytes) -> InMemoryLedger:
    ledger = InMemoryLedger()
    ledger.put([letter_of(payload, PoisonEventError("mended since", "schema"))])
    return ledger


def test_a_redrive_into_a_database_that_is_down_records_nothing() -> None:
    redriver = ConsumerRedriver(lambda store: Consumer(CATALOG, down(), store))
    stays_open(consumer_letters(GOOD), "consumer", redriver, TransientError)


@of_s3
def test_a_redrive_of_a_schema_that_s3_does_not_give_records_nothing(
    warehouse: SqliteWarehouse, code: str, raised: type[HeadwaterError]
) -> None:
    read = LogDocuments(failing("s3", code), "log").read
    redriver = ConsumerRedriver(lambda store: Consumer(CATALOG, warehouse, store, read))
    stays_open(consumer_letters(UNKNOWN), "consumer", redriver, raised)


@of_kinesis
def test_a_redrive_of_items_that_kinesis_does_not_take_records_nothing(
    code: str, raised: type[HeadwaterError]
) -> None:
    world, ledger = Stream(), InMemoryLedger()
    DynamoDbProducer(world.catalog, world.publisher, ledger).publish([record(1, new=order(1, "x"))])
    (batch,) = ledger.batches()
    good = json.dumps(record(1, new=order(1))).encode()  # as if its schema were another by now
    ledger.objects.clear()
    ledger.put([replace(batch.letters[0], payload=good)])
    redriver = DynamoDbRedriver(
        world.catalog, lambda store: DynamoDbProducer(world.catalog, publisher(code), store)
    )
    stays_open(ledger, "dynamodb", redriver, raised)


@of_s3
def test_a_redrive_of_a_file_that_s3_does_not_give_records_nothing(
    code: str, raised: type[HeadwaterError]
) -> None:
    world, ledger = World(links()), InMemoryLedger()
    world.drop("URN,Name,Since,Open\n1,a,,Y\n", "drop/unknown/a.csv")
    ledger.put(world.letters.letters)
    world.letters.letters.clear()
    redriver = CsvRedriver(failing_csv(world, links(feed="unknown"), code), world.letters)
    stays_open(ledger, "csv", redriver, raised)
    assert world.letters.letters == []
