"""A DynamoDB stream record with both images to an aggregated Kinesis entry, on one core.

The raw limit is what nobody can leave out: fastavro writes both payloads and the envelope from values that
are there already, and aws-kinesis-agg aggregates the result. Everything else (typed attributes, strict
checks, routing, keys, ids, hashes, CRC) is ours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any, TypeAlias

from aws_kinesis_agg.aggregator import AggRecord
from fastavro import parse_schema, schemaless_writer

from producers.aggregator import MAX_AGGREGATE_BYTES
from producers.dynamodb.handler import Producer
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.dead_letter import InMemoryLetters
from schemas.event import BUCKETS, ENVELOPE, partition_key
from schemas.loader import load_catalog

RECORDS = 5_000
BATCH = 100  # Lambda's default
ROUNDS = 5
SHARDS = 4
STREAM = "arn:aws:dynamodb:eu-west-1:000000000000:table/subscriptions/stream/2024-05-01T10:00:00.000"
START = datetime(2024, 5, 1, tzinfo=UTC)
EVENT_SCHEMA = parse_schema(ENVELOPE)
KEYS = [partition_key("subscription", bucket).encode() for bucket in range(BUCKETS)]

Images: TypeAlias = tuple[dict[str, Any], dict[str, Any]]


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    catalog = load_catalog()
    producer = Producer(catalog, Publisher(InMemoryStream(SHARDS), InMemorySchemaLog()), InMemoryLetters())
    schema = parse_schema(dict(catalog.entity("subscription").schema.avro))
    rounds = [_round(producer, schema) for _ in range(ROUNDS)]
    ours, bare = (min(seconds) for seconds in zip(*rounds, strict=True))
    return [
        ("DynamoDB records with both images to aggregated entries", RECORDS / ours, bare / ours, "records/s"),
        ("  bare fastavro payloads and envelope, KPL aggregates", RECORDS / bare, 1.0, "records/s"),
    ]


def _round(producer: Producer, schema: Any) -> tuple[float, float]:
    """Seconds of ours and of the bare work, batch by batch, each batch as Lambda has just parsed it."""
    ours = bare = 0.0
    for start in range(0, RECORDS, BATCH):
        numbers = range(start, start + BATCH)
        records = json.loads(json.dumps([_record(number) for number in numbers]))
        ours += _seconds(lambda: _publish(producer, records))  # noqa: B023 - called at once
        images = [(_values(number, 0), _values(number, 1)) for number in numbers]
        bare += _seconds(lambda: _write_bare(schema, images))  # noqa: B023
    return ours, bare


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()  # the machine is not ours alone
    work()
    return time.process_time() - start


def _publish(producer: Producer, records: list[dict[str, Any]]) -> None:
    outcome = producer.publish(records)
    if outcome.published != len(records):
        raise AssertionError(f"{outcome} of {len(records)} records")


def _write_bare(payload_schema: Any, images: list[Images]) -> None:
    aggregates = [AggRecord(MAX_AGGREGATE_BYTES) for _ in range(SHARDS)]
    for number, (old, new) in enumerate(images):
        event = _event(number, _avro(payload_schema, old), _avro(payload_schema, new))
        key = KEYS[number % len(KEYS)]
        if not aggregates[number % SHARDS].add_user_record(key, _avro(EVENT_SCHEMA, event)):
            raise AssertionError("a batch of more than an aggregate")
    for aggregate in aggregates:
        aggregate.get_contents()


def _avro(schema: Any, value: dict[str, Any]) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schema, value)
    return out.getvalue()


def _event(number: int, before: bytes, after: bytes) -> dict[str, Any]:
    return {
        "event_id": b"0123456789abcdef",
        "source": "dynamodb:subscriptions",
        "entity": "subscription",
        "operation": "update",
        "key": f'["sub-{number:08}"]',
        "position": f"2024-05-01T10:00:00.000000-{number:040}",
        "occurred_at": START,
        "schema_fingerprint": b"01234567",
        "before": before,
        "after": after,
        "metadata": {},
    }


def _record(number: int) -> dict[str, Any]:
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1714557600 + number,
            "Keys": {"subscription_id": {"S": f"sub-{number:08}"}},
            "OldImage": _item(_values(number, 0)),
            "NewImage": _item(_values(number, 1)),
            "SequenceNumber": f"{100000000000000000000000 + number}",
            "SizeBytes": 512,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": STREAM,
    }


def _values(number: int, change: int) -> dict[str, Any]:
    """A row before (0) or after (1) a change of a few of its fields, as is usual."""
    return {
        "subscription_id": f"sub-{number:08}",
        "urn": 100000 + number,
        "plan": ("trial", "basic", "premium")[(number + change) % 3],
        "price": Decimal(number % 500 + change) + Decimal("0.99"),
        "seats": number % 700,
        "active": True,
        "starts_on": date(2023, 9, 1) + timedelta(days=number % 365),
        "ends_on": None,
        "updated_at": START + timedelta(seconds=number, milliseconds=250 + change),
        "settings": f'{{"invoices":"by-post","reference":"PO-{number % 9999}"}}',
    }


def _item(values: dict[str, Any]) -> dict[str, Any]:
    """The row as DynamoDB has it, with attributes that no schema names."""
    invoices = {"invoices": {"S": "by-post"}, "reference": {"S": values["settings"].split('"')[7]}}
    return {
        **{name: _attribute(value) for name, value in values.items() if name != "settings"},
        "settings": {"M": invoices},
        "password_hash": {"S": "0" * 64},
        "home_address": {"S": "not to leave"},
    }


def _attribute(value: object) -> dict[str, object]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case datetime() | date():
            return {"S": value.isoformat()}
    return {"S": value}


if __name__ == "__main__":
    for name, figure, share, unit in run():
        print(f"{name:<60} {figure:>12,.0f} {unit:<10} {share:>6.0%}")
