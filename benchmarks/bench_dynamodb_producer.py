"""A DynamoDB stream record with both images to an aggregated Kinesis entry, on one core.

The raw limit is what nobody can leave out: fastavro writes both payloads and the envelope from values that
are there already, and aws-kinesis-agg aggregates the result. Everything else (typed attributes, strict
checks, routing, keys, ids, hashes, CRC) is ours. An id, a position and two hashes cost the same for any item,
so the share grows with the item: the sample's small subscription, and an order of 1 KB in 24 attributes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias

from aws_kinesis_agg.aggregator import AggRecord
from fastavro import parse_schema, schemaless_writer

from producers.aggregator import MAX_AGGREGATE_BYTES
from producers.dynamodb.handler import Producer
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.entity import Catalog, Entity
from schemas.catalog.loader import load_catalog
from schemas.event import BUCKETS, ENVELOPE, partition_key
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.sources.dynamodb import DynamoDbSource

RECORDS = 2_000
BATCH = 100  # Lambda's default
ROUNDS = 15
SHARDS = 4
START = datetime(2024, 5, 1, tzinfo=UTC)
EVENT_SCHEMA = parse_schema(ENVELOPE)
KEYS = [partition_key("subscription", bucket).encode() for bucket in range(BUCKETS)]

Values: TypeAlias = dict[str, Any]


class Case(NamedTuple):
    """An entity and its rows: `values(number, change)` is row `number` before (0) or after (1) a change."""

    name: str
    entity: Entity
    values: Callable[[int, int], Values]


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    small = Case("subscription", load_catalog().entity("subscription"), subscription)
    return [line for case in (Case("order", ORDER, _order), small) for line in _measure(case)]


def _measure(case: Case) -> list[tuple[str, float, float, str]]:
    catalog = Catalog({case.entity.name: case.entity}, SchemaRegistry([case.entity.schema]))
    producer = Producer(catalog, Publisher(InMemoryStream(SHARDS), InMemorySchemaLog()), InMemoryLetters())
    schema = parse_schema(dict(case.entity.schema.avro))
    batches = [_least(case, producer, schema, start) for start in range(0, RECORDS, BATCH)]
    ours, bare = (sum(least) for least in zip(*batches, strict=True))
    return [
        (f"DynamoDB record of {case.name} to aggregated entry", RECORDS / ours, bare / ours, "records/s"),
        ("  bare fastavro payloads and envelope, KPL aggregates", RECORDS / bare, 1.0, "records/s"),
    ]


def _least(case: Case, producer: Producer, schema: Any, start: int) -> tuple[float, float]:
    """The least seconds of ours and of the bare work for one batch, taken in turns: the machine is not ours
    alone. Each time other items, as Lambda has just parsed them."""
    ours, bare = [], []
    for turn in range(ROUNDS):
        numbers = range(turn * RECORDS + start, turn * RECORDS + start + BATCH)
        images = [(case.values(number, 0), case.values(number, 1)) for number in numbers]
        records = json.loads(
            json.dumps([stream_record(case, number, *pair) for number, pair in enumerate(images)])
        )
        ours.append(_seconds(_publish, producer, records))
        bare.append(_seconds(_write_bare, schema, images))
    return min(ours), min(bare)


def _seconds(work: Callable[..., None], *given: Any) -> float:
    start = time.process_time()
    work(*given)
    return time.process_time() - start


def _publish(producer: Producer, records: list[dict[str, Any]]) -> None:
    outcome = producer.publish(records)
    if outcome.published != len(records):
        raise AssertionError(f"{outcome} of {len(records)} records")


def _write_bare(payload_schema: Any, images: list[tuple[Values, Values]]) -> None:
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


def stream_record(case: Case, number: int, old: Values, new: Values) -> dict[str, Any]:
    (source,) = case.entity.sources
    assert isinstance(source, DynamoDbSource)
    arn = f"arn:aws:dynamodb:eu-west-1:000000000000:table/{source.table}/stream/2024-05-01T10:00:00.000"
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1714557600 + number,
            "Keys": {name: _attribute(new[name]) for name in case.entity.key},
            "OldImage": _item(old),
            "NewImage": _item(new),
            "SequenceNumber": f"{100000000000000000000000 + number}",
            "SizeBytes": 512,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": arn,
    }


def subscription(number: int, change: int) -> Values:
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


def _order(number: int, change: int) -> Values:
    texts = {f"text_{n}": f"{n} words of order {number} " * 2 for n in range(10)}
    return {
        "order_id": f"order-{number:08}",
        "customer": f"customer-{number % 997:06}",
        "status": ("open", "paid", "sent")[(number + change) % 3],
        "urgent": number % 9 == 0,
        "total": Decimal(number % 900 + change) + Decimal("0.95"),
        "discount": Decimal("2.50") if number % 2 else None,
        "lines": number % 12,
        "weight": number % 5000,
        "ordered_on": date(2023, 9, 1) + timedelta(days=number % 365),
        "paid_on": date(2023, 9, 9) + timedelta(days=number % 365) if change else None,
        "created_at": START + timedelta(seconds=number),
        "updated_at": START + timedelta(seconds=number, milliseconds=250 + change),
        "gift": False,
        "voucher": None,
        **texts,
    }


def _nullable(kind: object) -> list[object]:
    return ["null", kind]


def _order_entity() -> Entity:
    price = {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
    day = {"type": "int", "logicalType": "date"}
    moment = {"type": "long", "logicalType": "timestamp-micros"}
    types: Mapping[str, object] = {
        "order_id": "string",
        "customer": "string",
        "status": {"type": "enum", "name": "Status", "symbols": ["open", "paid", "sent"]},
        "urgent": "boolean",
        "total": price,
        "discount": _nullable(price),
        "lines": "int",
        "weight": _nullable("long"),
        "ordered_on": day,
        "paid_on": _nullable(day),
        "created_at": moment,
        "updated_at": _nullable(moment),
        "gift": "boolean",
        "voucher": _nullable("string"),
        **{f"text_{n}": _nullable("string") if n % 2 else "string" for n in range(10)},
    }
    fields = [{"name": name, "type": kind} for name, kind in types.items()]
    schema = make_schema("order", 1, ["order_id"], {"type": "record", "name": "Order", "fields": fields})
    return Entity("order", ("order_id",), (DynamoDbSource("dynamodb:orders", "orders"),), schema)


ORDER = _order_entity()


def _item(values: Values) -> dict[str, Any]:
    """The row as DynamoDB has it, with attributes that no schema names."""
    item = {name: _attribute(value) for name, value in values.items()}
    if "settings" in values:
        item["settings"] = {"M": {n: {"S": v} for n, v in json.loads(values["settings"]).items()}}
    return {**item, "password_hash": {"S": "0" * 64}, "home_address": {"S": "not to leave"}}


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
