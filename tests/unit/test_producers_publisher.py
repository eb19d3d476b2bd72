"""What the publisher promises to its callers, one promise a test."""

from collections.abc import Callable, Sequence
from hashlib import md5

import pytest
from dynamodb_world import ORDER, TEACHER, Stream, event, frames

from producers.aggregator import Aggregate, messages_pb2
from producers.kinesis import MAX_CALL_BYTES, MAX_CALL_ENTRIES, Entry, Fault, InMemoryStream, OpenShard
from producers.publisher import EVENT_OVERHEAD, Publisher, PublishError
from producers.schema_log import InMemorySchemaLog
from schemas.errors import ConfigurationError, PoisonEventError, TransientError
from schemas.event import ENVELOPE_FINGERPRINT, bucket_of, encode_event, key_hash, partition_key
from schemas.payload.codec import Schema, schema_document, schema_log_key

SCHEMA = ORDER.schema


def publisher(kinesis: InMemoryStream, pauses: list[float] | None = None, **more: object) -> Publisher:
    sleep: Callable[[float], object] = [].append if pauses is None else pauses.append
    return Publisher(
        kinesis, InMemorySchemaLog(), **{"sleep": sleep, "random": lambda: 0.5, "max_attempts": 4, **more}
    )


def add(into: Publisher, numbers: Sequence[int], **more: int) -> list[bytes]:
    """Adds an event for each number, tagged with it. Their frames."""
    events = [event(number, **more) for number in numbers]
    for number, one in zip(numbers, events, strict=True):
        into.add(one, SCHEMA, number)
    return [encode_event(one) for one in events]


def hash_of(number: int) -> int:
    """Where Kinesis itself would put an event of this order, by its partition key alone."""
    one = event(number)
    key = partition_key(one.entity, bucket_of(one, key_hash(one.source, one.key)))
    return int.from_bytes(md5(key.encode()).digest())


def test_inv1_a_flush_returns_when_kinesis_has_everything_and_nothing_is_sent_before() -> None:
    stream = Stream(InMemoryStream(4))
    into = publisher(stream.kinesis)
    expected = add(into, range(100))
    assert stream.frames() == []
    into.flush()
    assert sorted(stream.frames()) == sorted(expected)


def test_a_flush_of_nothing_calls_nobody() -> None:
    stream = InMemoryStream()
    publisher(stream).flush()
    assert stream.calls == []


def test_each_event_lands_in_the_shard_of_its_partition_key() -> None:
    stream = InMemoryStream(5)
    into = publisher(stream)
    add(into, range(300))
    into.flush()
    shards = {shard.id: shard for shard in stream.shards()}
    expected = {shard: [] for shard in shards}
    for number in range(300):
        (home,) = (s.id for s in shards.values() if s.start <= hash_of(number) <= s.end)
        expected[home].append(encode_event(event(number)))
    assert {shard: frames(entries) for shard, entries in stream.taken.items()} == expected
    assert [(len(taken), taken[0].hash_key) for taken in stream.taken.values()] == [
        (1, str(shard.start)) for shard in stream.shards()
    ]


def test_a_keys_events_keep_their_order_whatever_fails() -> None:
    faults = [Fault(refused=frozenset({0, 2})), Fault(refused=frozenset({0}))] * 3
    stream = InMemoryStream(3, faults)
    into = publisher(stream, max_attempts=20)
    for position in range(40):
        for number in range(20):
            into.add(event(number, position=position, filler=5_000), SCHEMA)
    into.flush()
    for taken in stream.taken.values():
        order = frames(taken)
        for number in range(20):
            mine = [encode_event(event(number, position=p, filler=5_000)) for p in range(40)]
            assert [frame for frame in order if frame in set(mine)] in (mine, [])


def test_only_the_failed_entries_are_sent_again() -> None:
    stream = Stream(InMemoryStream(4, [Fault(refused=frozenset({1, 3}))]))
    into = publisher(stream.kinesis)
    add(into, range(200))
    into.flush()
    first, second = stream.kinesis.calls
    assert second == [first[1], first[3]]
    assert sorted(stream.entries()) == sorted(first)


def test_inv5_a_retry_sends_the_same_bytes() -> None:
    stream = InMemoryStream(2, [Fault(before=True), Fault(after=True)])
    into = publisher(stream)
    add(into, range(50))
    into.flush()
    assert len(stream.calls) == 3
    assert stream.calls[0] == stream.calls[1] == stream.calls[2]


def test_an_answer_that_was_lost_makes_duplicates_and_loses_nothing() -> None:
    stream = Stream(InMemoryStream(2, [Fault(after=True)]))
    into = publisher(stream.kinesis)
    expected = add(into, range(50))
    into.flush()
    assert sorted(stream.frames()) == sorted(expected * 2)


def test_the_pauses_double_and_have_full_jitter() -> None:
    pauses: list[float] = []
    numbers = iter([0.0, 0.999, 0.25, 1.0, 0.5, 1.0, 1.0])
    stream = InMemoryStream(1, [Fault(before=True)] * 7)
    into = publisher(stream, pauses, random=lambda: next(numbers), max_attempts=8)
    add(into, [1])
    into.flush()
    assert pauses == pytest.approx([0.0, 0.999 * 0.2, 0.25 * 0.4, 0.8, 0.8, 3.2, 5.0])


def test_it_gives_up_after_the_last_attempt_and_names_what_is_not_acknowledged() -> None:
    faults = [
        Fault(broken=frozenset({1})),
        Fault(before=True),
        Fault(broken=frozenset({0})),
        Fault(before=True),
    ]
    stream = Stream(InMemoryStream(3, faults))
    into = publisher(stream.kinesis)
    add(into, range(60))
    with pytest.raises(PublishError) as caught:
        into.flush()
    assert len(stream.kinesis.calls) == 4
    acknowledged = set(stream.frames())
    assert sorted(caught.value.tags) == [n for n in range(60) if encode_event(event(n)) not in acknowledged]
    assert 0 < len(caught.value.tags) < 60
    assert isinstance(caught.value.__cause__, TransientError)


def test_after_it_gave_up_nothing_is_left_for_the_next_batch() -> None:
    stream = InMemoryStream(1, [Fault(before=True)] * 4)
    into = publisher(stream)
    add(into, range(10))
    with pytest.raises(PublishError):
        into.flush()
    expected = add(into, [77])
    into.flush()
    assert frames(stream.taken[stream.shards()[0].id]) == expected


def test_an_error_within_add_names_the_added_event_too() -> None:
    stream = InMemoryStream(1, [Fault(before=True)] * 4)
    into = publisher(stream)
    add(into, [1], filler=600_000)
    with pytest.raises(PublishError) as caught:
        add(into, [2], filler=600_000)
    assert sorted(caught.value.tags) == [1, 2]
    into.flush()
    assert len(stream.calls) == 4


def test_what_is_put_never_breaks_the_limits_of_a_call() -> None:
    """The stream in memory refuses one that does. Each limit is met: bytes, a full aggregate, entries."""
    stream = InMemoryStream(8)
    into = publisher(stream)
    add(into, range(60), filler=250_000)
    into.flush()
    sizes = [[len(entry.payload) for entry in call] for call in stream.calls]
    assert max(map(sum, sizes)) > MAX_CALL_BYTES - 300_000
    assert max(map(max, sizes)) > 750_000

    wide = Stream(InMemoryStream(3_000))
    into = publisher(wide.kinesis)
    for number in range(2_000):
        into.add(event(number)._replace(entity="abc"[number % 3]), SCHEMA)
    into.flush()
    assert len(wide.kinesis.calls[0]) == MAX_CALL_ENTRIES
    assert len(wide.frames()) == 2_000


def test_an_event_above_the_limit_is_poison_and_changes_nothing() -> None:
    stream = Stream()
    into = publisher(stream.kinesis)
    expected = add(into, [1])
    with pytest.raises(PoisonEventError, match="1,000,000"):
        add(into, [2], filler=1_000_000)
    expected += add(into, [3])
    into.flush()
    assert stream.frames() == expected


def test_an_event_of_the_greatest_size_is_published() -> None:
    stream = Stream(InMemoryStream(2))
    into = publisher(stream.kinesis)
    size = 1_000_000 - len(encode_event(event(1, filler=900_000))) + 900_000
    expected = add(into, [1], filler=size)
    into.flush()
    assert stream.frames() == expected
    assert len(expected[0]) == 1_000_000


# Schemas


class WatchedLog(InMemorySchemaLog):
    """Says how often it was asked, and fails as often as it is told."""

    def __init__(self, stream: InMemoryStream, failures: int = 0) -> None:
        super().__init__()
        self.asked = 0
        self._stream = stream
        self._failures = failures

    def ensure(self, schema: Schema) -> None:
        self.asked += 1
        assert self._stream.calls == []
        if self.asked <= self._failures:
            raise TransientError("the bucket is away")
        super().ensure(schema)


def test_inv6_the_schema_is_in_the_log_before_its_first_event_and_once() -> None:
    stream = InMemoryStream()
    log = WatchedLog(stream)
    into = Publisher(stream, log)
    add(into, range(10))
    into.flush()
    assert log.asked == 1
    assert log.documents[schema_log_key(SCHEMA.fingerprint)] == schema_document(SCHEMA)
    assert b'"headwater"' in log.documents[schema_log_key(ENVELOPE_FINGERPRINT)]


def test_inv6_no_event_is_published_while_its_schema_can_not_be_logged() -> None:
    stream = InMemoryStream()
    into = Publisher(stream, WatchedLog(stream, failures=1))
    with pytest.raises(PublishError) as caught:
        add(into, [1])
    assert caught.value.tags == [1]
    into.flush()
    assert stream.calls == []
    add(into, [1])
    into.flush()
    assert len(stream.calls) == 1


@pytest.mark.parametrize("size", [0, 100, 127, 128, 300, 16_384, 999_000])
def test_a_call_counts_no_less_for_an_event_than_it_takes_alone(size: int) -> None:
    """Else a call that looks nearly full would be refused by Kinesis, which counts data and partition key."""
    key, hash_key = "entity/255", "9" * 39
    aggregate = Aggregate(hash_key)
    assert aggregate.add(key, bytes(size))
    assert len(aggregate.contents()) + len(key) <= size + 2 * len(key) + EVENT_OVERHEAD


# Reshards


def test_after_a_reshard_events_land_in_their_own_shards_again() -> None:
    stream = InMemoryStream(2)
    into = publisher(stream)
    add(into, range(100))
    into.flush()
    first, second = stream.shards()
    stream.split(first.id)
    stream.merge(stream.shards()[1].id, second.id)
    add(into, range(100, 200))
    into.flush()  # with the old map; the answers tell
    before = {shard: len(taken) for shard, taken in stream.taken.items()}
    expected = add(into, range(200, 300))
    into.flush()
    added = {shard: frames(taken[before[shard] :]) for shard, taken in stream.taken.items()}
    for shard in stream.shards():
        mine = [encode_event(event(n)) for n in range(200, 300) if shard.start <= hash_of(n) <= shard.end]
        assert added[shard.id] == mine
    assert sum(map(len, added.values())) == len(expected)


def test_inv6_no_reader_drops_a_record_that_was_put_with_the_shards_of_before_a_reshard() -> None:
    """The Kinesis Client Library gives nothing of a record of which one frame hashes outside its shard."""
    stream = InMemoryStream(2)
    into = publisher(stream)
    add(into, [0])
    into.flush()  # it knows the shards now
    first, second = stream.shards()
    stream.split(first.id)
    stream.merge(stream.shards()[1].id, second.id)
    add(into, range(1, 100))
    into.flush()
    taken = [(shard, entry) for shard in stream.shards() for entry in stream.taken[shard.id]]
    assert len({shard.id for shard, _ in taken}) == 2
    for shard, entry in taken:
        made = messages_pb2.AggregatedRecord.FromString(entry.payload[4:-16])
        keys = [int(made.explicit_hash_key_table[each.explicit_hash_key_index]) for each in made.records]
        assert keys
        assert all(shard.start <= key <= shard.end for key in keys)


def test_a_reshard_between_two_attempts_loses_nothing() -> None:
    faults = [Fault(split=0, refused=frozenset({0})), Fault(split=1, before=True), Fault(split=0, after=True)]
    stream = Stream(InMemoryStream(2, faults))
    into = publisher(stream.kinesis)
    expected = add(into, range(100))
    into.flush()
    assert set(stream.frames()) == set(expected)


class BlindStream(InMemoryStream):
    """Its list of shards has a hole, or is away, a few times."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__(3)
        self.answers = list(answers)

    def shards(self) -> list[OpenShard]:
        answer = self.answers.pop(0) if self.answers else "whole"
        if answer == "away":
            raise TransientError("throttled")
        return super().shards()[1:] if answer == "hole" else super().shards()


def test_a_list_of_shards_with_a_hole_is_read_again() -> None:
    stream = BlindStream(["hole", "away", "hole"])
    into = publisher(stream)
    expected = add(into, range(50))
    into.flush()
    assert sorted(Stream(stream).frames()) == sorted(expected)


def test_a_list_of_shards_that_stays_away_is_a_publish_error_of_that_event() -> None:
    with pytest.raises(PublishError) as caught:
        add(publisher(BlindStream(["hole"] * 4)), [5])
    assert caught.value.tags == [5]
    assert "do not cover" in str(caught.value.__cause__)


# Errors that no retry helps


class NoStream(InMemoryStream):
    def put(self, entries: Sequence[Entry]) -> list[str | None]:
        self.calls.append(list(entries))
        raise ConfigurationError("no such stream")


def test_a_wrong_configuration_is_not_retried_and_leaves_nothing_behind() -> None:
    stream = NoStream()
    pauses: list[float] = []
    into = publisher(stream, pauses)
    add(into, [1], filler=600_000)
    with pytest.raises(ConfigurationError):
        add(into, [2], filler=600_000)
    into.flush()
    assert len(stream.calls) == 1
    assert pauses == []


class NoBucket(InMemorySchemaLog):
    """Takes the first schema, and then its bucket is gone."""

    def ensure(self, schema: Schema) -> None:
        if self.documents:
            raise ConfigurationError("no such bucket")
        super().ensure(schema)


def test_a_schema_log_without_its_bucket_leaves_nothing_behind() -> None:
    stream = InMemoryStream()
    into = Publisher(stream, NoBucket())
    add(into, [1])
    with pytest.raises(ConfigurationError):
        into.add(event(2), TEACHER.schema)
    into.flush()
    assert stream.calls == []


def test_a_caller_that_gives_up_can_have_the_buffer_emptied() -> None:
    stream = InMemoryStream()
    into = publisher(stream)
    add(into, [1, 2])
    assert into.forget() == [1, 2]
    into.flush()
    assert stream.calls == []
