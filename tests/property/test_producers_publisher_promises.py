"""The publisher under faults: what it acknowledges is there, what it names is not, keys keep their order."""

from collections import Counter
from hashlib import md5

from dynamodb_world import ORDER, Stream, event, frames
from hypothesis import given
from hypothesis import strategies as st

from producers.kinesis import Fault, InMemoryStream
from producers.publisher import Publisher, PublishError
from producers.schema_log import InMemorySchemaLog
from schemas.event import Event, bucket_of, decode_event, encode_event, key_hash, partition_key

NUMBERS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([0, 0, 0, 90_000, 600_000])), min_size=1, max_size=40
)
REFUSED = st.frozensets(st.integers(0, 5), max_size=3)
FAULTS = st.lists(
    st.builds(Fault, split=st.none(), refused=REFUSED, before=st.booleans(), after=st.booleans()), max_size=12
)
SPLITS = st.lists(
    st.builds(Fault, split=st.none() | st.integers(0, 7), refused=REFUSED, before=st.just(False)), max_size=8
)


def hash_key(one: Event) -> int:
    key = partition_key(one.entity, bucket_of(one, key_hash(one.source, one.key)))
    return int.from_bytes(md5(key.encode()).digest())


def publisher(stream: InMemoryStream, attempts: int) -> Publisher:
    return Publisher(stream, InMemorySchemaLog(), sleep=lambda _: None, max_attempts=attempts)


def publish(into: Publisher, events: list[Event], flush_after: int) -> None:
    """As a source does: again from the first that failed."""
    start = 0
    while start < len(events):
        try:
            for number in range(start, min(start + flush_after, len(events))):
                into.add(events[number], ORDER.schema, number)
            into.flush()
            start += flush_after
        except PublishError as error:
            start = min(error.tags)


def positioned(numbers: list[tuple[int, int]]) -> list[Event]:
    return [event(key, position=at, filler=filler) for at, (key, filler) in enumerate(numbers, 1)]


@given(NUMBERS, FAULTS, st.integers(1, 4), st.integers(1, 40), st.integers(1, 3))
def test_inv1_whatever_fails_everything_arrives_and_each_keys_events_in_order(
    numbers: list[tuple[int, int]], faults: list[Fault], shards: int, flush_after: int, attempts: int
) -> None:
    events = positioned(numbers)
    stream = Stream(InMemoryStream(shards, faults))
    publish(publisher(stream.kinesis, attempts), events, flush_after)
    arrived = stream.events()
    assert set(map(encode_event, events)) == set(stream.frames())
    for key in {one.key for one in events}:
        positions = [one.position for one in arrived if one.key == key]
        assert list(dict.fromkeys(positions)) == sorted(set(positions))


@given(NUMBERS, FAULTS, st.integers(1, 4))
def test_the_tags_of_an_error_are_what_kinesis_did_not_acknowledge(
    numbers: list[tuple[int, int]], faults: list[Fault], shards: int
) -> None:
    events = positioned(numbers)
    stream = Stream(InMemoryStream(shards, [fault._replace(after=False) for fault in faults]))
    into = publisher(stream.kinesis, attempts=2)
    added, unacknowledged = 0, []
    try:
        for added, one in enumerate(events, 1):
            into.add(one, ORDER.schema, added - 1)
        into.flush()
    except PublishError as error:
        unacknowledged = sorted(error.tags)
    arrived = set(stream.frames())
    assert [n for n in range(added) if encode_event(events[n]) not in arrived] == unacknowledged


@given(NUMBERS, FAULTS, st.integers(1, 4))
def test_inv5_every_attempt_sends_the_same_bytes(
    numbers: list[tuple[int, int]], faults: list[Fault], shards: int
) -> None:
    """A frame comes again only in an entry that is the same byte for byte, at the same place."""
    stream = InMemoryStream(shards, faults)
    into = publisher(stream, attempts=30)
    for one in positioned(numbers):
        into.add(one, ORDER.schema)
    into.flush()
    sent = {entry for call in stream.calls for entry in call}
    assert Counter(frame for entry in sent for frame in frames([entry])) == Counter(
        map(encode_event, positioned(numbers))
    )


@given(NUMBERS, SPLITS, st.integers(1, 3), st.integers(1, 10))
def test_a_reshard_in_mid_stream_loses_nothing_and_is_followed_by_the_next_call(
    numbers: list[tuple[int, int]], splits: list[Fault], shards: int, flush_after: int
) -> None:
    events = positioned(numbers)
    stream = Stream(InMemoryStream(shards, splits))
    into = publisher(stream.kinesis, attempts=9)
    publish(into, events, flush_after)
    assert set(map(encode_event, events)) == set(stream.frames())
    everywhere = [event(key, position=9_998) for key in range(13)]
    while len(stream.kinesis.calls) < len(splits):
        publish(into, everywhere, 13)
    publish(into, everywhere, 13)  # the answers tell of all the splits
    before = {shard: len(taken) for shard, taken in stream.kinesis.taken.items()}
    publish(into, [event(key, position=9_999) for key in range(13)], 13)
    for shard in stream.kinesis.shards():
        added = map(decode_event, frames(stream.kinesis.taken[shard.id][before[shard.id] :]))
        assert all(shard.start <= hash_key(one) <= shard.end for one in added)
