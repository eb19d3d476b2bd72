"""What the sources said at a moment, in a view of its own."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from consumers_world import EPOCH_2024, ITEM, event, item, sweep
from replay_world import Pipe, business, oracle

from replay.as_of import microseconds, plan_as_of, view_suffix
from replay.run import Outcome, run
from schemas.errors import ConfigurationError
from schemas.event import Operation, key_hash


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(tmp_path)


def second(number: int) -> datetime:
    """The moment of the event at this position."""
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=number)


def as_of(pipe: Pipe, moment: datetime) -> Outcome:
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
