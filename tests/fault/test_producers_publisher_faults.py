"""Kinesis fails in each of its ways at each call of a long publication: nothing is lost or reordered."""

import pytest
from dynamodb_world import ORDER, Stream, event

from producers.kinesis import Fault, InMemoryStream
from producers.publisher import MAX_ATTEMPTS, Publisher, PublishError
from producers.schema_log import InMemorySchemaLog
from schemas.event import encode_event

FAULTS = {
    "call failed": Fault(before=True),
    "answer lost": Fault(after=True),
    "one entry throttled": Fault(refused=frozenset({0})),
    "all entries throttled": Fault(refused=frozenset(range(3))),
    "all entries failed": Fault(broken=frozenset(range(3))),
    "some taken, answer lost": Fault(refused=frozenset({1}), after=True),
}
EVENTS = [event(number % 5, position=number, filler=200_000) for number in range(18)]


def publish(stream: InMemoryStream, pauses: list[float]) -> None:
    into = Publisher(stream, InMemorySchemaLog(), sleep=pauses.append)
    for number, one in enumerate(EVENTS):
        into.add(one, ORDER.schema, number)
    into.flush()


def calls_of_a_good_day() -> int:
    stream = InMemoryStream(2)
    publish(stream, [])
    return len(stream.calls)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("times", [1, MAX_ATTEMPTS - 1])
def test_a_fault_at_any_call_is_overcome(fault: Fault, times: int) -> None:
    calls = calls_of_a_good_day()
    assert calls > 2
    for number in range(calls):
        stream = Stream(InMemoryStream(2, [Fault()] * number + [fault] * times))
        pauses: list[float] = []
        publish(stream.kinesis, pauses)
        assert set(stream.frames()) == set(map(encode_event, EVENTS))
        assert 1 <= len(pauses) <= times
        for key in range(5):
            mine = [one.position for one in stream.events() if one.key == f'["{key}"]']
            assert list(dict.fromkeys(mine)) == sorted(set(mine))


@pytest.mark.parametrize("fault", ["call failed", "answer lost", "all entries failed"])
def test_a_fault_that_stays_is_a_publish_error_after_the_last_attempt(fault: str) -> None:
    stream = InMemoryStream(3, [FAULTS[fault]] * 100)
    pauses: list[float] = []
    with pytest.raises(PublishError) as caught:
        publish(stream, pauses)
    assert len(stream.calls) == MAX_ATTEMPTS
    assert len(pauses) == MAX_ATTEMPTS - 1
    assert sum(pauses) < 20
    assert set(caught.value.tags) <= set(range(len(EVENTS)))


def test_a_reshard_at_any_call_loses_nothing() -> None:
    for number in range(calls_of_a_good_day()):
        stream = Stream(InMemoryStream(3, [*[Fault()] * number, Fault(split=number, refused=frozenset({1}))]))
        publish(stream.kinesis, [])
        assert set(stream.frames()) == set(map(encode_event, EVENTS))
