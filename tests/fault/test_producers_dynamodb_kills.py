"""The DynamoDB source killed at every write: what comes again makes the same bytes, and nothing is lost."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from dynamodb_world import World, order, record

from producers.dynamodb.handler import Producer
from producers.kinesis import Entry, OpenShard
from producers.publisher import Publisher
from schemas.letters.letter import DeadLetter
from schemas.payload.codec import Schema


class Killed(BaseException):
    """The container ends here: nothing catches it."""


class Mortal:
    """The ports of a world. The container is killed at one of its writes: just before it, or just after."""

    def __init__(self, world: World, deadline: int, after: bool) -> None:
        self._world = world
        self._left = deadline
        self._after = after

    def _write(self, work: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        done = work()
        if self._left == 0:
            raise Killed
        return done

    def shards(self) -> list[OpenShard]:
        return self._world.kinesis.shards()

    def put(self, given: Sequence[Any]) -> Any:
        if isinstance(given[0], DeadLetter):
            return self._write(lambda: self._world.letters.put(given))
        entries: Sequence[Entry] = given
        return self._write(lambda: self._world.kinesis.put(entries))

    def ensure(self, schema: Schema) -> None:
        self._write(lambda: self._world.schema_log.ensure(schema))

    def producer(self) -> Producer:
        return Producer(self._world.catalog, Publisher(self, self, sleep=lambda _: None), self)


NOTE = {"S": "x" * 250_000}
BATCH = [
    record(number, new=order(number, "x" if number % 5 == 0 else "1.00", note=NOTE))
    for number in range(1, 18)
]
"""Of several calls, with letters among them."""


def expected() -> World:
    world = World(shards=2)
    assert world.producer.publish(BATCH).failed is None
    return world


WRITES = 10


def test_the_batch_makes_several_writes() -> None:
    """Else the tests below would prove nothing."""
    world = World(shards=2)
    mortal = Mortal(world, WRITES * 100, after=False)
    mortal.producer().publish(BATCH)
    assert 3 < WRITES * 100 - mortal._left <= WRITES


@pytest.mark.parametrize("after", [False, True], ids=["just before", "just after"])
@pytest.mark.parametrize("deadline", range(1, WRITES + 1))
def test_inv1_inv5_killed_at_any_write_the_batch_comes_again_and_ends_the_same(
    deadline: int, after: bool
) -> None:
    whole, world = expected(), World(shards=2)
    try:
        Mortal(world, deadline, after).producer().publish(BATCH)
    except Killed:
        assert world.producer.publish(BATCH).failed is None  # Lambda sends it again
    assert set(world.frames()) == set(whole.frames())
    assert world.letters.letters == whole.letters.letters
    assert world.schema_log.documents == whole.schema_log.documents


@pytest.mark.parametrize("deadline", range(1, WRITES + 1))
def test_inv6_no_event_is_in_the_stream_whose_schema_is_not_logged(deadline: int) -> None:
    world = World(shards=2)
    with suppress(Killed):
        Mortal(world, deadline, after=False).producer().publish(BATCH)
    logged = set(world.schema_log.documents)
    assert all(f"log/_schemas/{one.schema_fingerprint.hex()}.avsc" in logged for one in world.events())
