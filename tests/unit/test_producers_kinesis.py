"""The stream in memory keeps Kinesis's rules; an aggregate is what aws-kinesis-agg itself would have made."""

import subprocess
import sys

import pytest

from producers.aggregator import MAX_AGGREGATE_BYTES, Aggregate
from producers.kinesis import HASH_KEYS, MAX_CALL_BYTES, MAX_ENTRY_BYTES, Entry, Fault, InMemoryStream
from schemas.errors import ConfigurationError, TransientError
from schemas.log.kpl import parse_aggregate


def filled(*records: tuple[str, bytes]) -> Aggregate:
    aggregate = Aggregate("7")
    for key, frame in records:
        assert aggregate.add(key, frame)
    return aggregate


RECORDS = [(f"order/{number % 200}", bytes([number % 256]) * (number % 300)) for number in range(500)]


def test_an_aggregate_is_byte_for_byte_what_the_library_makes() -> None:
    from aws_kinesis_agg.aggregator import AggRecord

    reference = AggRecord()
    for key, frame in RECORDS:
        assert reference.add_user_record(key.encode(), frame, explicit_hash_key="7")
    assert filled(*RECORDS).contents() == reference.get_contents()[2]


def test_an_aggregate_gives_back_its_frames_in_order() -> None:
    assert parse_aggregate(filled(*RECORDS).contents()) == [frame for _, frame in RECORDS]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_000, 20_000, 999_000])
def test_an_aggregate_never_grows_beyond_what_it_says_and_what_firehose_takes(size: int) -> None:
    aggregate = Aggregate()
    number = 0
    while number < 3_000 and aggregate.add(f"order/{number}", bytes(size)):
        number += 1
    assert number
    assert len(aggregate.contents()) <= aggregate.size <= MAX_AGGREGATE_BYTES


def test_a_full_aggregate_takes_no_more_and_keeps_what_it_has() -> None:
    aggregate = filled(("a", bytes(1_000_000)))
    before = aggregate.contents()
    assert not aggregate.add("b", bytes(30_000))
    assert aggregate.contents() == before
    assert aggregate.add("a", bytes(20_000))


def test_importing_the_library_leaves_the_path_as_it_was_and_prints_nothing() -> None:
    code = (
        "import sys; before = list(sys.path); from producers.aggregator import Aggregate; "
        "a = Aggregate(); a.add('k', b'frame'); a.contents(); assert sys.path == before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == done.stderr == b""


def entry(hash_key: int, size: int = 1) -> Entry:
    return Entry(bytes(size), "k", str(hash_key))


def test_the_stream_routes_by_the_explicit_hash_key() -> None:
    stream = InMemoryStream(3)
    shards = stream.shards()
    assert shards[0].start == 0
    assert shards[-1].end == HASH_KEYS - 1
    ends = [entry(hash_key) for shard in shards for hash_key in (shard.start, shard.end)]
    assert stream.put(ends) == [shard.id for shard in shards for _ in range(2)]


def test_a_split_and_a_merge_leave_no_hash_key_without_an_open_shard() -> None:
    stream = InMemoryStream(2)
    first, second = stream.shards()
    stream.split(first.id)
    stream.merge(stream.shards()[1].id, second.id)
    left, right = stream.shards()
    assert (left.start, left.end + 1, right.end) == (0, right.start, HASH_KEYS - 1)
    assert {first.id, second.id}.isdisjoint({left.id, right.id})


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry(0)] * 501,
        [entry(0, MAX_ENTRY_BYTES)],
        [entry(0, 1_000_000)] * (MAX_CALL_BYTES // 1_000_000 + 1),
    ],
    ids=["none", "501", "more than 1 MiB with its key", "more than 5 MiB"],
)
def test_the_stream_refuses_what_put_records_refuses(entries: list[Entry]) -> None:
    with pytest.raises(ConfigurationError):
        InMemoryStream().put(entries)


def test_each_put_suffers_its_fault() -> None:
    faults = [Fault(refused=frozenset({1})), Fault(before=True), Fault(after=True)]
    stream = InMemoryStream(1, faults)
    (shard,) = stream.shards()
    assert stream.put([entry(0), entry(1)]) == [shard.id, None]
    for _ in range(2):
        with pytest.raises(TransientError):
            stream.put([entry(2)])
    assert stream.put([entry(3)]) == [shard.id]
    assert [taken.hash_key for taken in stream.taken[shard.id]] == ["0", "2", "3"]
