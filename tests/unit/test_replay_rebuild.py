"""A rebuild of a live table, step by step (docs/architecture.md: an object of the log)."""

from datetime import timedelta
from pathlib import Path

import pytest
from consumers_world import ITEM, OTHER, A, B, event, fact, item, sweep
from replay_world import Pipe, Watched, business, oracle

from consumers.warehouse.port import LIVE_READER, Counts
from replay.differences import Difference
from replay.retry_policy import RetryPolicy
from schemas.errors import ConfigurationError, ConflictError, TransientError
from schemas.event import Event, Operation, encode_event, key_hash


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(tmp_path, [ITEM, OTHER])


def change(id: str, number: int) -> Event:  # noqa: A002
    return event(ITEM, item(id, number), number)


def break_table(pipe: Pipe, statement: str) -> None:
    """Change the live table behind everyone's back."""
    with pipe.warehouse.engine.connect() as connection:
        assert connection.exec_driver_sql(statement).rowcount == 1


def void(_result: object) -> None:
    """For what is called for its effect."""


def named(differences: tuple[Difference, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((each.key, each.what) for each in differences)


def test_a_rebuilt_table_is_swapped_in_and_equals_the_live_one_and_the_oracle(pipe: Pipe) -> None:
    pipe.publish(*(change(f"k{n % 7}", n) for n in range(40)))
    pipe.publish(event(OTHER, {"id": "k1"}, 41), event(ITEM, {"id": "k3"}, 42, Operation.DELETE))
    pipe.flush()
    pipe.consume()
    before = business(pipe.table())

    outcome = pipe.rebuild()

    assert outcome.swapped
    assert outcome.differences == ()
    assert pipe.live() == outcome.revision == 2
    assert business(pipe.table()) == before == oracle(ITEM, pipe.published)
    assert outcome.events == 42


def test_inv4_the_counts_of_a_rebuild_add_up_to_the_entitys_events_of_log_and_stream(pipe: Pipe) -> None:
    pipe.publish(*(change(f"k{n % 3}", n) for n in range(20)), sweep(ITEM, 7, 30))
    pipe.publish(change("k1", 1), event(OTHER, {"id": "k1"}, 41))
    pipe.flush()
    pipe.consume()

    counts = pipe.rebuild().counts

    in_log = in_stream = 22
    assert counts.accepted == in_log + in_stream
    assert counts.applied == 4


@pytest.mark.parametrize("minutes", [0, 59])
def test_events_that_firehose_has_not_flushed_when_a_rebuild_begins_are_in_it(
    pipe: Pipe, minutes: int
) -> None:
    pipe.publish(change("flushed", 1))
    pipe.flush()
    pipe.publish(change("held back", 2))
    pipe.consume()
    pipe.clock.pass_by(minutes=minutes)

    assert pipe.rebuild().swapped
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    assert len(pipe.table()) == 2


def test_a_slower_firehose_makes_the_tail_reach_back_twice_its_lag(pipe: Pipe) -> None:
    pipe.publish(change("held back", 1))
    pipe.consume()
    pipe.clock.pass_by(minutes=170)

    assert pipe.rebuild(firehose_lag=timedelta(minutes=90)).swapped
    assert len(pipe.table()) == 1


def test_a_stream_that_keeps_less_than_firehose_may_hold_back_is_refused(pipe: Pipe) -> None:
    with pytest.raises(ConfigurationError, match="longer retention"):
        pipe.rebuild(firehose_lag=timedelta(hours=13))
    assert [each.number for each in pipe.warehouse.revisions("item")] == [1]


def test_the_live_consumer_goes_on_during_a_rebuild_and_nothing_of_it_is_lost(pipe: Pipe) -> None:
    for n in range(10):
        pipe.publish(change(f"k{n}", n))
        pipe.flush()
    pipe.consume()
    numbers = iter(range(100, 200))

    def meanwhile(shard: str) -> None:
        number = next(numbers)
        if number < 110:
            pipe.publish(change(f"k{number % 20}", number))
            pipe.consume()

    pipe.stream.before_read = meanwhile
    pipe.stream.most = 2
    outcome = pipe.rebuild()

    assert outcome.swapped
    assert len(pipe.published) == 20
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_what_the_live_consumer_applied_just_before_the_swap_is_read_under_the_lock(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.flush()
    pipe.consume()
    watched = Watched(pipe.warehouse)

    def just_before(exclusive: object) -> None:
        if exclusive:
            pipe.publish(change("late", 2))
            pipe.consume()

    watched.before = just_before
    assert pipe.rebuild(warehouse=watched).swapped
    assert {row.values[0] for row in pipe.table()} == {"k1", "late"}


def test_the_live_consumer_writes_the_new_revision_from_the_swap_on(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    pipe.rebuild()
    pipe.publish(change("k1", 2))
    pipe.consume()

    assert [row.values[1] for row in pipe.table(revision=2)] == [2]
    assert [row.values[1] for row in pipe.table(revision=1)] == [1]


def test_a_live_consumer_that_is_behind_makes_no_differences(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    pipe.publish(
        change("k1", 2), change("k2", 3), event(ITEM, {"id": "k3"}, 4, Operation.DELETE), sweep(ITEM, 0, 5)
    )
    pipe.flush()

    outcome = pipe.rebuild()

    assert outcome.swapped
    assert outcome.differences == ()
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    pipe.consume()
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_row_that_a_live_consumer_behind_has_lost_is_found_once_it_has_caught_up(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    break_table(pipe, "DELETE FROM staging_item__r1 WHERE id = 'k1'")
    pipe.publish(change("k2", 2))

    outcome = pipe.rebuild(retry=RetryPolicy(sleep=lambda _seconds: void(pipe.consume())))

    assert not outcome.swapped
    assert named(outcome.differences) == [('["k1"]', ("missing",))]


def test_a_row_under_way_to_another_state_since_it_was_compared_is_no_difference(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    pipe.publish(change("k1", 2))

    def catch_up_then_fall_behind(_seconds: float) -> None:
        pipe.consume()
        pipe.publish(change("k1", 3))

    outcome = pipe.rebuild(retry=RetryPolicy(sleep=catch_up_then_fall_behind))

    assert outcome.swapped
    assert [row.values[1] for row in pipe.table()] == [3]


def test_a_live_consumer_that_has_seen_nothing_yet_makes_no_differences(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.flush()
    assert pipe.rebuild().swapped


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("UPDATE staging_item__r1 SET size = 99 WHERE id = 'k1'", ("size",)),
        ("DELETE FROM staging_item__r1 WHERE id = 'k1'", ("missing",)),
        ("UPDATE staging_item__r1 SET _deleted = 1 WHERE id = 'k1'", ("_deleted",)),
        ("UPDATE staging_item__r1 SET _source = 'csv:b' WHERE id = 'k1'", ("_source",)),
        ("UPDATE staging_item__r1 SET size = 0, _rank = '2000' WHERE id = 'k1'", ("size",)),
        ("UPDATE staging_item__r1 SET size = 0, _rank = '2999' WHERE id = 'k1'", ("size",)),
    ],
)
def test_a_row_that_differs_stops_the_swap_and_is_named_until_it_is_accepted(
    pipe: Pipe, statement: str, difference: tuple[str, ...]
) -> None:
    pipe.publish(change("k0", 1), change("k1", 2))
    pipe.flush()
    pipe.consume()
    break_table(pipe, statement)

    refused = pipe.rebuild()

    assert not refused.swapped
    assert named(refused.differences) == [('["k1"]', difference)]
    assert pipe.live() == 1

    accepted = pipe.rebuild(accept_differences=True)

    assert accepted.swapped
    assert accepted.revision == refused.revision
    assert named(accepted.differences) == [('["k1"]', difference)]
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_row_that_no_event_made_is_a_difference(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.flush()
    pipe.consume()
    pipe.consumer.consume([encode_event(change("never logged", 2))])

    assert named(pipe.rebuild().differences) == [('["never logged"]', ("extra",))]


def test_many_differences_are_named_up_to_a_hundred(pipe: Pipe) -> None:
    pipe.publish(*(change(f"k{n:03}", n) for n in range(150)))
    pipe.flush()
    pipe.consume()
    with pipe.warehouse.engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM staging_item__r1")

    outcome = pipe.rebuild()

    assert not outcome.swapped
    assert len(outcome.differences) == 100
    assert outcome.more_differences


def test_of_two_rebuilds_at_once_the_first_to_swap_wins_and_the_other_stops(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.flush()
    pipe.consume()
    watched = Watched(pipe.warehouse)

    def another_first(exclusive: object) -> None:
        if exclusive:
            watched.before = lambda _exclusive: None
            assert pipe.rebuild().swapped

    watched.before = another_first
    with pytest.raises(ConflictError, match="another rebuild"):
        pipe.rebuild(warehouse=watched)
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    assert [each.state for each in pipe.warehouse.revisions("item")].count("live") == 1


def test_a_rebuild_whose_live_table_was_swapped_away_stops_at_its_next_write(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.flush()
    pipe.consume()

    def another_first(_shard: str) -> None:
        pipe.stream.before_read = lambda _shard: None
        assert pipe.rebuild().swapped

    pipe.stream.before_read = another_first
    with pytest.raises(ConflictError):
        pipe.rebuild()


def test_a_commit_whose_answer_is_lost_is_a_swap_all_the_same(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    watched = Watched(pipe.warehouse)
    watched.lose_answer_of_exclusive = True

    assert pipe.rebuild(warehouse=watched).swapped
    assert pipe.live() == 2


def test_a_stream_that_runs_ahead_under_the_lock_makes_the_swap_let_go_and_try_again(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    watched, swaps = Watched(pipe.warehouse), []

    def just_before(exclusive: object) -> None:
        if exclusive:
            swaps.append(exclusive)
            pipe.publish(change(f"late {len(swaps)}", 1 + len(swaps)))
            pipe.consume()

    watched.before = just_before
    with pytest.raises(TransientError, match="runs ahead"):
        pipe.rebuild(warehouse=watched, hold=timedelta(0))
    assert len(swaps) == 3
    assert pipe.live() == 1

    assert pipe.rebuild().swapped
    assert len(pipe.table()) == 4


def test_a_reshard_during_a_rebuild_loses_nothing(pipe: Pipe) -> None:
    pipe.publish(change("parent", 1))
    pipe.consume()
    reads = []

    def reshard_at_the_second_read(_shard: str) -> None:
        reads.append(1)
        if len(reads) == 2:
            pipe.publish(change("last of the parent", 2))
            pipe.stream.reshard("shard-0", "shard-1", "shard-2")
            pipe.publish(change("first child", 3), shard="shard-1")
            pipe.publish(change("second child", 4), shard="shard-2")
            pipe.consume()

    pipe.stream.before_read = reshard_at_the_second_read
    assert pipe.rebuild().swapped
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    assert len(pipe.table()) == 4


def test_closed_shards_are_read_too(pipe: Pipe) -> None:
    pipe.publish(change("in a closed shard", 1))
    pipe.stream.reshard("shard-0", "shard-1")
    pipe.publish(change("in its child", 2), shard="shard-1")
    pipe.consume()

    assert pipe.rebuild().swapped
    assert len(pipe.table()) == 2


def test_poison_in_the_log_is_counted_and_never_written_as_a_letter_again(pipe: Pipe) -> None:
    poison = event(ITEM, item("k1"), 5, after=b"\xff")
    pipe.publish(change("k1", 1), change("k1", 3), poison, change("k2", 2))
    pipe.flush()
    pipe.consume()
    letters = list(pipe.letters.letters)
    assert len(letters) == 1

    outcome = pipe.rebuild()

    assert outcome.swapped
    assert outcome.counts.dead == 2  # in the log, and in the stream
    assert pipe.letters.letters == letters
    assert business(pipe.table()) == oracle(ITEM, [f for f in pipe.published if f != encode_event(poison)])


def test_a_record_that_cannot_be_taken_apart_is_counted_as_dead(pipe: Pipe) -> None:
    frame = bytearray(encode_event(change("k1", 1)))
    frame[-1] ^= 1
    pipe.stream.put(bytes(frame))
    pipe.stream.put(b"\xf3\x89\x9a\xc2 no aggregate")
    pipe.publish(change("k2", 2))
    pipe.consume()

    outcome = pipe.rebuild()

    assert outcome.swapped
    assert outcome.counts == Counts(applied=1, dead=2)


def test_a_row_that_the_engine_refuses_gives_way_to_the_next_best_of_its_key(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1), change("k1", 2))
    pipe.flush()
    watched = Watched(pipe.warehouse)
    watched.refused_ranks.add(fact(change("k1", 2)).rank)

    outcome = pipe.rebuild(warehouse=watched, accept_differences=True)

    assert outcome.counts.dead == 2
    assert [row.values[1] for row in pipe.table()] == [1]


def test_a_row_that_is_refused_under_the_lock_is_left_out_before_the_next_attempt(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    watched = Watched(pipe.warehouse)
    watched.refused_ranks.add(fact(change("k1", 3)).rank)

    def just_before(exclusive: object) -> None:
        if exclusive:
            watched.before = lambda _exclusive: None
            pipe.publish(change("k1", 2), change("k1", 3))
            pipe.consume()

    watched.before = just_before
    outcome = pipe.rebuild(warehouse=watched, accept_differences=True)

    assert outcome.swapped
    assert outcome.counts.dead == 1
    assert [row.values[1] for row in pipe.table()] == [2]


def test_a_swap_drops_what_was_broken_off_and_what_was_retired_before_the_last(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    pipe.warehouse.create_revision("item")  # 2, broken off at once
    assert pipe.rebuild().revision == 3
    assert pipe.rebuild().revision == 4

    states = {each.number: each.state for each in pipe.warehouse.revisions("item")}
    assert states == {3: "retired", 4: "live"}


def test_two_sources_and_their_sweeps_are_rebuilt_apart(pipe: Pipe) -> None:
    bucket = key_hash(B, '["k1"]')[0]
    pipe.publish(event(ITEM, item("k1", 1), 1, source=A), event(ITEM, item("k1", 2), 1, source=B))
    pipe.publish(sweep(ITEM, bucket, 2, B), event(ITEM, item("k1", 3), 1, source=B))
    pipe.flush()
    pipe.consume()

    assert pipe.rebuild().swapped
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_the_retired_revision_keeps_the_live_checkpoints_of_the_swap(pipe: Pipe) -> None:
    pipe.publish(change("k1", 1))
    pipe.consume()
    pipe.rebuild()

    with pipe.warehouse.transaction() as transaction:
        live, kept = transaction.checkpoints(LIVE_READER), transaction.checkpoints("item__r1")
        assert [each[1:] for each in kept] == [each[1:] for each in live]
        assert transaction.checkpoints("item__r2") == []
