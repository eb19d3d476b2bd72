"""Kinesis batches to committed rows in SQL Server: the consumer's whole work, one batch after the other.

The server is that of HEADWATER_TEST_MSSQL; without it there is nothing to measure. Batches of 5,000 events
of 8 columns in KPL aggregates, no key twice in a batch, half of them new and half changed: base64, envelope,
payload, fold, guard, checkpoint. The raw rates are those of the same rows by the engine's own load path into
an empty heap, with all columns that the table has, and with the 8 business columns alone; nothing is decoded
for them. They take turns with the consumer, batch by batch.
"""

from __future__ import annotations

import os
import random
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.bench_consume import ENTITY, REGISTRY, frame_of, lambda_event
from benchmarks.bench_mssql_load import VARIABLE, bare_load, business_load, close_kept, new_database, url_of
from consumers.consume import Consumer
from consumers.facts import read_fact
from consumers.handler import KinesisBatches
from consumers.rows import to_row
from consumers.warehouse.mssql import MssqlWarehouse, open_warehouse
from consumers.warehouse.port import Row
from schemas.dead_letter import InMemoryLetters
from schemas.entity import Catalog
from schemas.kpl import parse_aggregate

EVENTS = 100_000
BATCH = 5_000


class Batch(NamedTuple):
    """What Lambda gives, and the rows that come of it."""

    lambda_event: dict[str, Any]
    rows: list[Row]


def run() -> Iterator[tuple[str, float, float, str]]:
    """Name, figure, share of the raw rate of the same rows, unit."""
    if not os.environ.get(VARIABLE):
        print(f"   ({VARIABLE} is not set: no SQL Server to measure)")
        return
    with new_database() as name:
        warehouse = open_warehouse(url_of(name), [ENTITY])
        warehouse.ensure()
        spent = _measured(warehouse)
        warehouse.close()
        close_kept()
    ours, staged, business = (EVENTS / seconds for seconds in spent)
    yield "Kinesis batches to committed rows in SQL Server", ours, ours / staged, "events/s"
    yield "  the same beside the 8 business columns alone", ours, ours / business, "events/s"
    yield "  raw: the same rows, all 16 columns, into an empty heap", staged, 1.0, "rows/s"
    yield "  raw: their 8 business columns alone", business, staged / business, "rows/s"


def _measured(warehouse: MssqlWarehouse) -> tuple[float, float, float]:
    """Seconds of the consumer, of the bare load of all columns, and of the business columns."""
    letters = InMemoryLetters()
    consumer = Consumer(Catalog({ENTITY.name: ENTITY}, REGISTRY), warehouse, letters)
    handler = KinesisBatches(consumer, lambda arn: f"{arn}@2024-05-01")
    spent = [0.0, 0.0, 0.0]
    for number, batch in enumerate(_batches()):
        works = (
            lambda: handler.take(batch.lambda_event),  # noqa: B023
            lambda: bare_load(warehouse, batch.rows),  # noqa: B023
            lambda: business_load(warehouse, batch.rows),  # noqa: B023
        )
        for place, work in enumerate(works):
            begun = time.perf_counter()
            work()
            spent[place] += (time.perf_counter() - begun) * (number > 0)  # what is first is slow
    if letters.letters or warehouse.status()[0].live != BATCH + EVENTS // 2:
        raise AssertionError("not all events became rows")
    return spent[0], spent[1], spent[2]


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
