"""Five older versions decoded onto the newest, beside as many events of the newest alone.

Each version differs from the one before by one change that sources make: a field that is added, an int that
becomes a long, a field with a new name, a number that becomes text, a field that is gone. The path is the
consumer's, from a frame to the row that its table gets (read_fact, to_row), on one core; the second pair is
of the payload alone, where no work that both share thins the difference. The newest alone is read by an
entity that never had another version: its rows have no column of a retired field to fill.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from consumers.facts import Fact, read_fact
from consumers.rows import to_row
from schemas.catalog.entity import Entity
from schemas.event import Operation, encode_event, make_event
from schemas.keys import canonical_key
from schemas.payload.codec import Schema, SchemaRegistry, make_schema
from schemas.positions import dynamodb_position
from schemas.sources.dynamodb import DynamoDbSource

EVENTS = 30_000
ROUNDS = 9
BAR = 130  # percent
SOURCE = "dynamodb:subscriptions"

Avro = dict[str, Any]


def _logical(kind: str, base: str, **more: int) -> Avro:
    return {"type": base, "logicalType": kind, **more}


def _plan(name: str, **more: Any) -> Avro:
    kind = {"type": "enum", "name": "Plan", "symbols": ["trial", "basic", "premium"]}
    return {"name": name, "type": kind, **more}


KEPT: list[Avro] = [
    {"name": "subscription_id", "type": "string"},
    {"name": "urn", "type": "int"},
    {"name": "price", "type": _logical("decimal", "bytes", precision=10, scale=2)},
    {"name": "active", "type": "boolean"},
    {"name": "starts_on", "type": ["null", _logical("date", "int")]},
    {"name": "updated_at", "type": ["null", _logical("timestamp-micros", "long")]},
]
INT_SEATS, LONG_SEATS = ({"name": "seats", "type": kind} for kind in ("int", "long"))
NUMBER, TEXT = {"name": "invoice", "type": "long"}, {"name": "invoice", "type": "string"}
CAST: Avro = {**TEXT, "headwater.casts": ["long"]}
GONE: Avro = {"name": "campaign", "type": "string"}
ADDED: Avro = {"name": "trial_days", "type": "int", "default": 30}
PLAN, RENAMED = _plan("plan"), _plan("tariff", aliases=["plan"])
VERSIONS = (
    [*KEPT, INT_SEATS, PLAN, NUMBER, GONE],
    [*KEPT, INT_SEATS, PLAN, NUMBER, GONE, ADDED],
    [*KEPT, LONG_SEATS, PLAN, NUMBER, GONE, ADDED],
    [*KEPT, LONG_SEATS, RENAMED, NUMBER, GONE, ADDED],
    [*KEPT, LONG_SEATS, RENAMED, CAST, GONE, ADDED],
    [*KEPT, LONG_SEATS, RENAMED, CAST, ADDED],
)
SCHEMAS = [
    make_schema("subscription", n, ["subscription_id"], {"type": "record", "name": "Row", "fields": each})
    for n, each in enumerate(VERSIONS, 1)
]
*OLDER, NEWEST = SCHEMAS
REGISTRY = SchemaRegistry(SCHEMAS)
SOURCES = (DynamoDbSource(SOURCE, "subscriptions"),)
EVOLVED = Entity("subscription", NEWEST.key, SOURCES, NEWEST, older=tuple(OLDER))
ALONE = Entity("subscription", NEWEST.key, SOURCES, NEWEST)


def run() -> Iterator[tuple[str, float, float, str]]:
    """Name, figure, share of the newest version's own rate, unit."""
    mixed = [_frame(OLDER[number % len(OLDER)], number) for number in range(EVENTS)]
    newest = [_frame(NEWEST, number) for number in range(EVENTS)]
    _check(mixed[0])
    yield from _figures("frames to rows", _rows, mixed, newest)
    yield from _figures(
        "payloads to rows", _payloads, *([_read(e) for e in some] for some in (mixed, newest))
    )


def _read(frame: bytes) -> Fact:
    return read_fact(frame, REGISTRY)


def _check(frame: bytes) -> None:
    """That the oldest version goes all the way: a benchmark of something else would be no slower."""
    row = dict(
        zip((c.field.name for c in EVOLVED.columns), to_row(_read(frame), EVOLVED).values, strict=True)
    )
    found = (row["seats"], row["tariff"], row["invoice"], row["campaign"], row["trial_days"])
    if found != (0, "premium", "0", "spring", 30):
        raise AssertionError("the oldest version's row is not the newest's")


def _rows(frames: Sequence[bytes], of: Entity) -> None:
    for frame in frames:
        to_row(read_fact(frame, REGISTRY), of)


def _payloads(facts: Sequence[Fact], of: Entity) -> None:
    project = of.evolution.projection
    for fact in facts:
        schema, payload = fact.schema, fact.event.after
        assert payload is not None
        project(schema.fingerprint)(schema.decode(payload))


def _figures(
    what: str, work: Callable[[Sequence[Any], Entity], None], mixed: Sequence[Any], newest: Sequence[Any]
) -> Iterator[tuple[str, float, float, str]]:
    """In turns, since the machine is not ours alone."""
    rounds = [(_seconds(work, mixed, EVOLVED), _seconds(work, newest, ALONE)) for _ in range(ROUNDS)]
    ours, alone = (median(each) for each in zip(*rounds, strict=True))
    ratio = median(older / newer for older, newer in rounds)
    yield f"{what}: five older versions, mixed", EVENTS / ours, alone / ours, "events/s"
    yield "  the newest version alone, which had no older one", EVENTS / alone, 1.0, "events/s"
    yield f"  cost of the older ones beside it, at most {BAR:.0f} %", 100 * ratio, 1 / ratio, "%"


def _seconds(work: Callable[[Sequence[Any], Entity], None], given: Sequence[Any], of: Entity) -> float:
    start = time.process_time()
    work(given, of)
    return time.process_time() - start


def _frame(schema: Schema, number: int) -> bytes:
    moment = datetime(2024, 5, 1, tzinfo=UTC) + timedelta(milliseconds=number)
    key = f"subscription-{number:08}"
    invoice = next(each for each in schema.fields if each.name == "invoice")
    every = {
        "subscription_id": key,
        "urn": 100_000 + number,
        "price": Decimal(number) / 100,
        "active": number % 3 == 0,
        "starts_on": date(2024, 1, 1) + timedelta(days=number % 700),
        "updated_at": moment,
        "seats": number % 500,
        "plan": "premium",
        "tariff": "premium",
        "invoice": str(number) if invoice.kind == "string" else number,
        "campaign": "spring",
        "trial_days": 14,
    }
    return encode_event(
        make_event(
            source=SOURCE,
            entity="subscription",
            operation=Operation.UPSERT,
            key=canonical_key([key]),
            position=dynamodb_position("2024-05-01T10:00:00.000", str(10**20 + number)),
            occurred_at=int(moment.timestamp()) * 1_000_000,
            schema_fingerprint=schema.fingerprint,
            after=schema.encode({field.name: every[field.name] for field in schema.fields}),
        )
    )
