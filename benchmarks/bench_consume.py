"""Kinesis batches to committed rows: base64, KPL aggregates, envelope, payload, fold, SQLite, on one core.

Half of the events change a row that is there, half make one. The raw limit is what nobody can leave out:
base64, the digest of each aggregate, fastavro for envelope and payload, and sqlite3's executemany of the same
guarded upsert, its tuples ready, in transactions of the same size. Checks, hashes, ranks, the fold and exact
types are ours.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader

from consumers.consume import Consumer
from consumers.facts import read_fact
from consumers.handler import KinesisBatches
from consumers.rows import to_row
from consumers.warehouse.sqlite import sql as sqlite_sql
from consumers.warehouse.sqlite.rows import parameters
from consumers.warehouse.sqlite.warehouse import open_warehouse
from consumers.warehouse.tables import StagingTable
from producers.aggregator import Aggregate
from schemas.catalog.entity import Catalog, Entity
from schemas.event import BODY_START, ENVELOPE, Operation, encode_event, make_event
from schemas.keys import canonical_key
from schemas.letters.letter import InMemoryLetters
from schemas.log.kpl import parse_aggregate
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.positions import dynamodb_position
from schemas.sources.dynamodb import DynamoDbSource

EVENTS = 100_000
ROUNDS = 3
BATCH = 5_000
AGGREGATE = 500
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/headwater-events"
SOURCE = "dynamodb:subscriptions"
SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536", "wal_autocheckpoint = 4000")


def _logical(kind: str, base: str, **more: int) -> dict[str, Any]:
    return {"type": base, "logicalType": kind, **more}


AVRO: dict[str, Any] = {
    "type": "record",
    "name": "Subscription",
    "fields": [
        {"name": "subscription_id", "type": "string"},
        {"name": "urn", "type": "int"},
        {"name": "plan", "type": {"type": "enum", "name": "Plan", "symbols": ["trial", "basic", "premium"]}},
        {"name": "price", "type": _logical("decimal", "bytes", precision=10, scale=2)},
        {"name": "seats", "type": "int"},
        {"name": "active", "type": "boolean"},
        {"name": "starts_on", "type": ["null", _logical("date", "int")]},
        {"name": "updated_at", "type": ["null", _logical("timestamp-micros", "long")]},
    ],
}
SCHEMA = make_schema("subscription", 1, ["subscription_id"], AVRO)
REGISTRY = SchemaRegistry([SCHEMA])
ENTITY = Entity("subscription", SCHEMA.key, (DynamoDbSource(SOURCE, "subscriptions"),), SCHEMA)


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    batches = [lambda_event(some) for some in cut(frames(), BATCH)]
    ours, bare = _best(batches)
    return [
        ("Kinesis batches to committed rows in SQLite", EVENTS / ours, bare / ours, "events/s"),
        ("  bare base64, MD5, fastavro and executemany", EVENTS / bare, 1.0, "events/s"),
    ]


def _best(batches: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The least seconds of each, in turns, since the machine is not ours alone."""
    ours, bare = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(_consume(batches, Path(folder)))
            bare.append(_bare(batches, Path(folder)))
    return min(ours), min(bare)


def _consume(batches: Sequence[dict[str, Any]], folder: Path) -> float:
    warehouse = open_warehouse(f"sqlite:///{folder / 'ours.db'}", [ENTITY])
    warehouse.ensure()
    letters = InMemoryLetters()
    catalog = Catalog({ENTITY.name: ENTITY}, REGISTRY)
    handler = KinesisBatches(Consumer(catalog, warehouse, letters), lambda arn: f"{arn}@2024-05-01")
    start = time.perf_counter()
    accepted = sum(handler.take(batch).accepted for batch in batches)
    seconds = time.perf_counter() - start
    if accepted != EVENTS or letters.letters:
        raise AssertionError(f"{accepted} of {EVENTS} events were accepted")
    return seconds


def _bare(batches: Sequence[dict[str, Any]], folder: Path) -> float:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "cache_size = -65536",
        "wal_autocheckpoint = 4000",
    ):
        connection.execute(f"PRAGMA {setting}")
    table = StagingTable(ENTITY)
    connection.execute(sqlite_sql.create_table(table, 1))
    upsert = sqlite_sql.upsert(table, 1)
    ready = [_ready(batch) for batch in batches]
    schemas = parse_schema(ENVELOPE), parse_schema(AVRO)
    start = time.perf_counter()
    for batch, rows in zip(batches, ready, strict=True):
        _read_bare(batch, *schemas)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(upsert, rows)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    connection.close()
    return seconds


def _read_bare(batch: dict[str, Any], envelope: Any, payload: Any) -> None:
    for record in batch["Records"]:
        aggregate = b64decode(record["kinesis"]["data"])
        md5(aggregate, usedforsecurity=False).digest()
        for frame in parse_aggregate(aggregate):
            event: Any = schemaless_reader(BytesIO(frame[BODY_START:]), envelope, None)
            schemaless_reader(BytesIO(event["after"]), payload, None)


def _ready(batch: dict[str, Any]) -> list[tuple[object, ...]]:
    """The parameters of the upsert."""
    frames = [
        frame
        for record in batch["Records"]
        for frame in parse_aggregate(b64decode(record["kinesis"]["data"]))
    ]
    rows = [to_row(read_fact(frame, REGISTRY), ENTITY) for frame in frames]
    return parameters(StagingTable(ENTITY), rows, {}, "2024-05-01T10:00:00.000000+00:00")


def frames() -> Iterator[bytes]:
    """Half of them change a row that an earlier one made."""
    dice = random.Random(3)
    keys = 0
    for number in range(EVENTS):
        if keys and dice.random() < 0.5:
            key = dice.randrange(keys)
        else:
            key, keys = keys, keys + 1
        yield frame_of(f"subscription-{key:08}", number)


def frame_of(key: str, number: int) -> bytes:
    moment = datetime(2024, 5, 1, tzinfo=UTC) + timedelta(milliseconds=number)
    values = {
        "subscription_id": key,
        "urn": 100_000 + number,
        "plan": "premium",
        "price": Decimal(number) / 100,
        "seats": number % 500,
        "active": number % 3 == 0,
        "starts_on": date(2024, 1, 1) + timedelta(days=number % 700),
        "updated_at": moment,
    }
    return encode_event(
        make_event(
            source=SOURCE,
            entity="subscription",
            operation=Operation.UPDATE,
            key=canonical_key([key]),
            position=dynamodb_position("2024-05-01T10:00:00.000000", str(10**20 + number)),
            occurred_at=int(moment.timestamp()) * 1_000_000,  # DynamoDB tells whole seconds
            schema_fingerprint=SCHEMA.fingerprint,
            after=SCHEMA.encode(values),
        )
    )


def cut(frames: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """In pieces of so many."""
    made = list(frames)
    return (made[start : start + size] for start in range(0, len(made), size))


def lambda_event(frames: list[bytes]) -> dict[str, Any]:
    return {"Records": [record(number, each) for number, each in enumerate(cut(frames, AGGREGATE), 1)]}


def record(number: int, frames: list[bytes]) -> dict[str, Any]:
    aggregate = Aggregate()
    for frame in frames:
        aggregate.add("subscription/17", frame)
    return {
        "kinesis": {
            "sequenceNumber": str(10**50 + number),
            "data": b64encode(aggregate.contents()).decode(),
        },
        "eventID": f"shardId-000000000000:{number}",
        "eventSourceARN": ARN,
    }
