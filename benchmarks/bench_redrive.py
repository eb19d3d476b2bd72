"""100,000 dead letters of the consumer redriven into SQLite, on one core, beside consuming the same frames.

The letters lie in memory as the objects that S3 would hold, of 500 letters each, as a batch would leave them:
what S3 itself takes is not in the figure. Half of the events change a row, half make one. The raw limit is
`Consumer.consume` of the same frames, in transactions of the same size: reading letters, choosing them,
recording what became of each and counting them is what a redrive costs on top.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench_consume import ENTITY, EVENTS, REGISTRY, ROUNDS, cut, frames
from consumers.consume import Consumer, letter_of
from consumers.redrive import ConsumerRedriver
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from schemas.catalog.entity import Catalog
from schemas.errors import PoisonEventError
from schemas.letters.letter import InMemoryLetters
from schemas.letters.outcomes import InMemoryLedger
from schemas.letters.redriving import MAX_GROUP_LETTERS, LetterFilter, redrive

OBJECT = 500
CATALOG = Catalog({ENTITY.name: ENTITY}, REGISTRY)


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    made = list(frames())
    ours, bare = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(_redrive(made, Path(folder)))
            bare.append(_consume(made, Path(folder)))
    return [
        (
            "letters redriven into SQLite, at least 10,000/s",
            EVENTS / min(ours),
            min(bare) / min(ours),
            "letters/s",
        ),
        ("  the same frames consumed", EVENTS / min(bare), 1.0, "events/s"),
    ]


def _redrive(made: Sequence[bytes], folder: Path) -> float:
    ledger = InMemoryLedger()
    mended = PoisonEventError("schema not known", "schema")
    for some in cut(made, OBJECT):
        ledger.put([letter_of(frame, mended) for frame in some])
    warehouse = _warehouse(folder / "ours.db")
    redrivers = {"consumer": ConsumerRedriver(lambda store: Consumer(CATALOG, warehouse, store))}
    start = time.perf_counter()
    done = redrive([ledger], redrivers, LetterFilter())
    seconds = time.perf_counter() - start
    if (done.redriven, done.failed_again) != (EVENTS, 0):
        raise AssertionError(f"{done.redriven} of {EVENTS} letters were redriven")
    return seconds


def _consume(made: Sequence[bytes], folder: Path) -> float:
    consumer = Consumer(CATALOG, _warehouse(folder / "bare.db"), InMemoryLetters())
    start = time.perf_counter()
    accepted = sum(consumer.consume(some).accepted for some in cut(made, MAX_GROUP_LETTERS))
    seconds = time.perf_counter() - start
    if accepted != EVENTS:
        raise AssertionError(f"{accepted} of {EVENTS} events were accepted")
    return seconds


def _warehouse(file: Path) -> SqliteWarehouse:
    warehouse = open_warehouse(f"sqlite:///{file}", [ENTITY])
    warehouse.ensure()
    return warehouse
