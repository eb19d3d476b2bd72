"""Kinesis batches to committed rows in SQL Server: the consumer's whole work, one batch after the other.

The server is that of HEADWATER_TEST_MSSQL; without it there is nothing to measure. Batches of 5,000 events
of 8 columns in KPL aggregates, no key twice in a batch, half of them new and half changed: base64, envelope,
payload, fold, guard, checkpoint. The raw rates are those of the same rows by the engine's own load path into
an empty heap, with all columns that the table has, and with the 8 business columns alone; nothing is decoded
for them. All take turns, batch by batch.
"""

from __future__ import annotations

import random
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.bench_consume import ENTITY, REGISTRY, frame_of, lambda_event
from benchmarks.bench_mssql_load import Figure, apply, bare_load, business_load, on_a_new_warehouse
from consumers.consume import Consumer
from consumers.facts import read_fact
from consumers.handler import KinesisBatches
from consumers.rows import to_row
from consumers.warehouse.mssql.warehouse import MssqlWarehouse
from consumers.warehouse.port import Row
from schemas.catalog.entity import Catalog
from schemas.letters.letter import InMemoryLetters
from schemas.log.kpl import parse_aggregate

EVENTS = 100_000
BATCH = 5_000


class Batch(NamedTuple):
    """What Lambda gives, and the rows that come of it."""

    lambda_event: dict[str, Any]
    rows: list[Row]


def run() -> Iterator[Figure]:
    """Shares of the raw rate."""
    return on_a_new_warehouse(_figures)


def _figures(warehouse: MssqlWarehouse) -> Iterator[Figure]:
    consumed, applied, staged, business = (EVENTS / seconds for seconds in _measured(warehouse))
    yield "Kinesis batches to committed rows in SQL Server", consumed, consumed / staged, "events/s"
    yield "  the same, beside the 8 business columns alone", consumed, consumed / business, "events/s"
    yield "  guarded apply alone, rows ready", applied, applied / staged, "rows/s"
    yield "  raw: the same rows, all columns but the last, into an empty heap", staged, 1.0, "rows/s"
    yield "  raw: their 8 business columns alone", business, business / staged, "rows/s"


def _measured(warehouse: MssqlWarehouse) -> list[float]:
    """Seconds of the consumer; of the guard alone, into a revision of its own; of the bare loads."""
    letters = InMemoryLetters()
    consumer = Consumer(Catalog({ENTITY.name: ENTITY}, REGISTRY), warehouse, letters)
    handler = KinesisBatches(consumer, lambda arn: f"{arn}@2024-05-01")
    other = warehouse.create_revision(ENTITY.name)
    works: list[Callable[[Batch], object]] = [
        lambda batch: handler.take(batch.lambda_event),
        lambda batch: apply(warehouse, batch.rows, other),
        lambda batch: bare_load(warehouse, batch.rows),
        lambda batch: business_load(warehouse, batch.rows),
    ]
    spent = [0.0] * len(works)
    for number, batch in enumerate(_batches()):
        for place, work in enumerate(works):
            begun = time.perf_counter()
            work(batch)
            spent[place] += (time.perf_counter() - begun) * (number > 0)  # what is first is slow
    if letters.letters or warehouse.status()[0].live != BATCH + EVENTS // 2:
        raise AssertionError("not all events became rows")
    return spent


def _batches() -> Iterator[Batch]:
    """The first is all new and is not measured."""
    dice, keys, number = random.Random(3), 0, 0
    while number < EVENTS + BATCH:
        old = dice.sample(range(keys), BATCH // 2 if keys else 0)
        new = range(keys, keys + BATCH - len(old))
        keys = new.stop
        chosen = [*old, *new]
        dice.shuffle(chosen)
        event = lambda_event([frame_of(f"subscription-{key:08}", number + n) for n, key in enumerate(chosen)])
        yield Batch(event, list(_rows(event["Records"])))
        number += BATCH


def _rows(records: Sequence[dict[str, Any]]) -> Iterator[Row]:
    for record in records:
        for frame in parse_aggregate(b64decode(record["kinesis"]["data"])):
            yield to_row(read_fact(frame, REGISTRY), ENTITY)
