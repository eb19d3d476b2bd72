"""Shards with less room than their writers want: everybody gets through, and no byte is sent in vain."""

from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from dynamodb_world import ORDER, event
from throttled_shards import RATE, ThrottledShards, VirtualTime

from producers.kinesis import Fault, InMemoryStream
from producers.publisher import Publisher, PublishError
from producers.put_backoff import MARGIN, THROTTLED_SECONDS
from producers.schema_log import InMemorySchemaLog
from schemas.deadline import seconds_left

EVENT_BYTES = 50_000
SHARDS = 2


@pytest.mark.parametrize(("writers", "megabytes"), [(1, 20), (3, 12), (8, 6)])
def test_writers_that_share_throttled_shards_all_finish_in_nearly_the_ideal_time(
    writers: int, megabytes: int
) -> None:
    time = VirtualTime(writers)
    stream = ThrottledShards(time, SHARDS)

    def publish(thread: int) -> None:
        random = Random(thread).random
        sleep = partial(time.sleep, thread)
        into = Publisher(stream.writer(thread), InMemorySchemaLog(), sleep=sleep, random=random)
        for number in range(megabytes * 1_000_000 // EVENT_BYTES):
            one = event(thread * 10_000 + number, position=1, filler=EVENT_BYTES)
            into.add(one, ORDER.schema)
        into.flush()

    ended = time.run(publish)
    published = writers * megabytes * 1_000_000
    assert ended <= 1.3 * published / (SHARDS * RATE)
    assert published <= stream.bytes_taken <= 1.05 * published


def throttled(pauses: list[float], calls: int = 100_000) -> tuple[Publisher, InMemoryStream]:
    stream = InMemoryStream(1, [Fault(refused=frozenset({0}))] * calls)
    return Publisher(stream, InMemorySchemaLog(), sleep=pauses.append, random=lambda: 0.5), stream


def test_a_throttled_entry_is_sent_again_for_as_long_as_the_caller_has_time() -> None:
    pauses: list[float] = []
    into, _ = throttled(pauses)
    into.left = lambda: 2_000 - sum(pauses)
    into.add(event(1), ORDER.schema, "it")
    with pytest.raises(PublishError) as caught:
        into.flush()
    assert caught.value.tags == ["it"]
    assert 2_000 - MARGIN - 1 <= sum(pauses) <= 2_000 - MARGIN


def test_a_caller_without_a_deadline_gives_up_in_the_end() -> None:
    pauses: list[float] = []
    into, _ = throttled(pauses)
    into.add(event(1), ORDER.schema)
    with pytest.raises(PublishError):
        into.flush()
    assert sum(pauses) == pytest.approx(THROTTLED_SECONDS, abs=1)


def test_failures_between_throttled_attempts_stay_limited_in_number() -> None:
    faults = [Fault(refused=frozenset({0})), Fault(broken=frozenset({0})), Fault(before=True)] * 10
    stream = InMemoryStream(1, faults)
    into = Publisher(stream, InMemorySchemaLog(), sleep=lambda _: None, max_attempts=5)
    into.add(event(1), ORDER.schema)
    with pytest.raises(PublishError):
        into.flush()
    assert len(stream.calls) == 8  # three of them throttled


class Context:
    """What Lambda hands to a handler."""

    def get_remaining_time_in_millis(self) -> int:
        return 4_500


@pytest.mark.parametrize(("context", "seconds"), [(Context(), 4.5), (None, float("inf"))])
def test_the_time_left_is_that_of_the_invocation(context: object, seconds: float) -> None:
    left: Callable[[], float] = seconds_left(context)
    assert left() == seconds
