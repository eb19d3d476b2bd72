"""What the fault tests of SQL Server share: batches, consumers, and the oracle that the tables must equal."""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from consumers_world import CATALOG, ENTITIES, ITEM, event, item, sweep

from consumers.consume import Consumer
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import LIVE_READER, Checkpoint, Row, Warehouse, padded
from consumers.warehouse.sqlite import warehouse as sqlite
from schemas.event import Operation, encode_event
from schemas.letters.letter import InMemoryLetters


def batches(seed: int, count: int = 6, size: int = 40, keys: int = 25) -> list[list[bytes]]:
    """Batches of upserts, deletes and a few sweeps over few keys, in no order of positions."""
    dice = random.Random(seed)
    positions = list(range(1, count * size + 1))
    dice.shuffle(positions)
    made = []
    for number in range(count):
        frames = [_frame(dice, position, keys) for position in positions[number * size :][:size]]
        made.append(frames)
    return made


def _frame(dice: random.Random, position: int, keys: int) -> bytes:
    kind = dice.random()
    if kind < 0.03:
        return encode_event(sweep(ITEM, dice.randrange(256), position))
    operation = Operation.DELETE if kind < 0.15 else Operation.UPSERT
    return encode_event(event(ITEM, item(f"{dice.randrange(keys)}", position), position, operation))


def checkpoint(number: int, shard: str = "shard") -> Checkpoint:
    return Checkpoint(LIVE_READER, "stream", shard, padded(str(number)))


def consume(warehouse: Warehouse, work: Iterable[Sequence[bytes]], shard: str = "shard") -> InMemoryLetters:
    """Every batch with its checkpoint; the dead letters."""
    letters = InMemoryLetters()
    consumer = Consumer(CATALOG, warehouse, letters)
    for number, frames in enumerate(work, 1):
        counts = consumer.consume(frames, [checkpoint(number, shard)])
        assert counts.accepted == len(frames)
    return letters


def oracle(folder: Path, work: Iterable[Sequence[bytes]]) -> list[Row]:
    """What the table must hold, by the other engine, one writer after another."""
    warehouse = sqlite.open_warehouse(f"sqlite:///{folder / 'oracle.db'}", ENTITIES)
    warehouse.ensure()
    consume(warehouse, work)
    rows = list(warehouse.rows("item", 1))
    warehouse.close()
    return rows


@contextmanager
def opened(url: str) -> Iterator[Warehouse]:
    warehouse = open_warehouse(url, ENTITIES)
    try:
        yield warehouse
    finally:
        warehouse.close()
