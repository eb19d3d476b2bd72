"""What the sources said at a moment, in a view of its own."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from consumers_world import EPOCH_2024, ITEM, event, item, sweep
from replay_world import Pipe, business, oracle

from replay.as_of import microseconds, plan_as_of, view_suffix
from replay.plan import explain
from replay.revisions import expired, kept_revisions
from replay.run import RunResult, run
from schemas.errors import ConfigurationError
from schemas.event import Operation, key_hash


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(tmp_path)


def second(number: int) -> datetime:
    """The moment of the event at this position."""
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=number)


def as_of(pipe: Pipe, moment: datetime) -> RunResult:
    ports = pipe.ports()
    return run(plan_as_of(ports, ITEM, moment), ports)


def test_as_of_every_moment_is_the_oracle_of_the_events_so_far(pipe: Pipe) -> None:
    bucket = key_hash("dynamodb:a", '["k1"]')[0]
    pipe.publish(event(ITEM, item("k1"), 1), event(ITEM, item("k2"), 2))
    pipe.flush()
    pipe.publish(sweep(ITEM, bucket, 3), event(ITEM, item("k1"), 4))
    pipe.publish(event(ITEM, {"id": "k2"}, 5, Operation.DELETE))

    for number in range(7):
        outcome = as_of(pipe, second(number))
        expected = oracle(ITEM, pipe.published, EPOCH_2024 + number * 1_000_000)
        assert business(pipe.table(revision=outcome.revision)) == expected


def test_the_moment_itself_belongs_to_it_and_the_microsecond_before_does_not(pipe: Pipe) -> None:
    pipe.publish(event(ITEM, item("k1"), 1))
    before = as_of(pipe, second(1) - timedelta(microseconds=1))
    at = as_of(pipe, second(1))

    assert pipe.table(revision=before.revision) == []
    assert len(pipe.table(revision=at.revision)) == 1
    assert before.view == "staging_item__as_of_20240101T000000999999Z"
    assert at.view == "staging_item__as_of_20240101T000001Z"


def test_it_is_a_view_beside_the_live_one_which_stays(pipe: Pipe) -> None:
    pipe.publish(event(ITEM, item("k1"), 1), event(ITEM, item("k2"), 2))
    pipe.consume()
    as_of(pipe, second(1))

    _, rows = pipe.warehouse.select("item", as_of="20240101T000001Z")
    assert [row[0] for row in rows] == ["k1"]
    assert len(pipe.warehouse.select("item")[1]) == 2
    assert pipe.live() == 1


def test_the_same_moment_again_shows_what_is_known_by_now(pipe: Pipe) -> None:
    pipe.publish(event(ITEM, item("k1"), 1))
    as_of(pipe, second(5))
    pipe.publish(event(ITEM, item("came late"), 2))
    as_of(pipe, second(5))

    assert len(pipe.warehouse.select("item", as_of="20240101T000005Z")[1]) == 2
    assert [each.state for each in pipe.warehouse.revisions("item")] == ["live", "as_of"]


def test_an_as_of_view_outlives_a_rebuild(pipe: Pipe) -> None:
    pipe.publish(event(ITEM, item("k1"), 1))
    pipe.consume()
    as_of(pipe, second(1))
    assert pipe.rebuild().swapped
    assert len(pipe.warehouse.select("item", as_of="20240101T000001Z")[1]) == 1


def test_a_moment_is_the_same_in_every_time_zone_and_needs_one() -> None:
    here = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert microseconds(here) == EPOCH_2024
    assert view_suffix(here) == "20240101T000000Z"
    with pytest.raises(ConfigurationError, match="time zone"):
        microseconds(datetime(2024, 1, 1))  # noqa: DTZ001


def kept_as_of(pipe: Pipe) -> list[str | None]:
    return [each.as_of for each in pipe.warehouse.revisions("item") if each.state == "as_of"]


def kept_for(pipe: Pipe, number: int, **more: timedelta) -> RunResult:
    ports = pipe.ports()
    return run(plan_as_of(ports, ITEM, second(number), **more), ports)


def test_an_as_of_table_goes_with_the_first_run_after_its_time_and_no_sooner(pipe: Pipe) -> None:
    pipe.publish(event(ITEM, item("k1"), 1))
    pipe.flush()
    kept_for(pipe, 1, keep=timedelta(days=2))
    kept_for(pipe, 2, keep=timedelta(days=9))
    kept_for(pipe, 3)
    pipe.clock.pass_by(hours=47)
    kept_for(pipe, 4)
    assert kept_as_of(pipe) == [view_suffix(second(number)) for number in (1, 2, 3, 4)]
    pipe.clock.pass_by(hours=1)

    kept_for(pipe, 5)

    assert kept_as_of(pipe) == [view_suffix(second(number)) for number in (2, 3, 4, 5)]
    over = expired(kept_revisions(pipe.warehouse, "item"), pipe.clock() + timedelta(days=30))
    assert [each.as_of for each in over] == [view_suffix(second(2))]


def test_an_as_of_table_that_is_made_again_without_an_end_keeps_none(pipe: Pipe) -> None:
    kept_for(pipe, 1, keep=timedelta(days=2))
    kept_for(pipe, 1)
    pipe.clock.pass_by(days=3)
    kept_for(pipe, 2)
    assert kept_as_of(pipe) == [view_suffix(second(1)), view_suffix(second(2))]


def test_a_plan_says_until_when_a_table_stays_and_what_goes(pipe: Pipe) -> None:
    kept_for(pipe, 1, keep=timedelta(days=2))
    pipe.clock.pass_by(days=3)
    lines = explain(plan_as_of(pipe.ports(), ITEM, second(2), keep=timedelta(days=1)))
    assert lines[-2].endswith("show it as of 20240101T000002Z, until 2026-03-05T12:00:00+00:00")
    assert lines[-1].endswith("drop revisions that are not needed: 2")
