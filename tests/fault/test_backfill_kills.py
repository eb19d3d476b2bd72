"""A backfill killed at every write while the items change: an event has equal bytes in every attempt."""

from collections import Counter
from typing import Any

import pytest
from backfill_world import Filler, Killed, Mortal
from dynamodb_world import order

from schemas.event import Operation, decode_event


def items(total: str, *, bad: bool) -> list[Any]:
    return [order(n, "x" if bad and n == 4 else f"{total}.{n:02}") for n in range(1, 9)]


WRITES = 16


def test_a_backfill_makes_that_many_writes() -> None:
    """Else the tests below would prove nothing."""
    filler = Filler()
    mortal = Mortal(filler.world, filler.store)
    filler.fill(items("1", bad=False), mortal)
    assert WRITES - 3 <= mortal.writes <= WRITES


@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize("bad", [False, True], ids=["good items", "a bad item"])
@pytest.mark.parametrize("after", [False, True], ids=["just before", "just after"])
@pytest.mark.parametrize("deadline", range(1, WRITES + 1))
def test_inv1_inv5_killed_at_any_write_it_goes_on_and_every_event_has_one_form(
    deadline: int, after: bool, bad: bool, segments: int
) -> None:
    filler = Filler(segments=segments)
    killed = False
    try:
        filler.fill(items("1", bad=bad), Mortal(filler.world, filler.store, deadline, after))
    except Killed:
        killed = True
        done = any(b'"result": {' in body for body in filler.store.objects.values())
        if not done:
            filler.fill(items("2", bad=bad))
    frames = set(filler.world.frames())
    events = [decode_event(frame) for frame in frames]
    assert max(Counter(event.event_id for event in events).values()) == 1
    kinds = Counter(event.operation for event in events)
    assert kinds[Operation.UPSERT] == (7 if bad else 8)
    assert kinds[Operation.SWEEP] == (0 if bad else 256)
    assert len({letter.id for letter in filler.world.letters.letters}) == bad
    assert killed or deadline > WRITES - 4
    # A kill after the result was recorded leaves chunks, which the next run deletes.
    if not killed or not done:
        assert list(filler.chunks()) == []
