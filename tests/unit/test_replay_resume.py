"""Rebuilds that were broken off, and the way back to the revision before."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from consumers_world import ITEM, event, item
from replay_world import Pipe, business, oracle

from consumers.warehouse.port import SEQUENCE_DIGITS
from replay.as_of import plan_as_of
from replay.log.proof import LogCheckpoint, parse_log_checkpoint
from replay.log.reader import LogObject, frames_of
from replay.plan import Load, NewRevision, OldRevision, explain
from replay.rebuild import plan_rebuild, plan_rollback
from replay.run import RunResult, run
from schemas.errors import ConfigurationError, ConflictError, LogIntegrityError
from schemas.event import Event, encode_event

EACH_EVENT = 1


class PowerCut(Exception):  # noqa: N818
    """The end of the process, which nobody catches."""


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    made = Pipe(tmp_path)
    for n in range(6):
        made.publish(change(f"k{n % 4}", n))
        made.flush()
    made.consume()
    return made


def change(id: str, number: int) -> Event:  # noqa: A002
    return event(ITEM, item(id, number), number)


def rollback(pipe: Pipe, *, accept_differences: bool = False) -> RunResult:
    ports = pipe.ports()
    return run(plan_rollback(ports, ITEM, accept_differences=accept_differences), ports)


def cut_at(pipe: Pipe, objects: int) -> list[str]:
    """Break off a rebuild when it opens this object of the log; the keys of those that it opened."""
    opened: list[str] = []

    def open_object(key: str) -> None:
        opened.append(key)
        if len(opened) > objects:
            raise PowerCut

    pipe.log.before_read = open_object
    with pytest.raises(PowerCut):
        pipe.rebuild(chunk_bytes=EACH_EVENT)
    pipe.log.before_read = lambda _key: None
    return opened[:-1]


def test_a_rebuild_that_was_broken_off_goes_on_where_it_was(pipe: Pipe) -> None:
    done = cut_at(pipe, 4)

    plan = plan_rebuild(pipe.ports(), ITEM)

    assert isinstance(plan.target, OldRevision)
    assert plan.target.number == 2
    assert isinstance(plan.stages[0], Load)
    assert plan.stages[0].after == done[-2]  # the last was not known to be done yet
    assert run(plan, pipe.ports()).swapped
    assert business(pipe.table(revision=2)) == oracle(ITEM, pipe.published)


def test_what_happened_while_a_rebuild_lay_broken_off_is_in_it(pipe: Pipe) -> None:
    cut_at(pipe, 4)
    pipe.publish(change("k1", 50), change("new", 51))
    pipe.flush()
    pipe.publish(change("k2", 52))
    pipe.consume()
    pipe.clock.pass_by(hours=22)

    outcome = pipe.rebuild()

    assert outcome.swapped
    assert outcome.revision == 2
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_rebuild_older_than_the_streams_retention_begins_again_and_the_old_one_is_dropped(
    pipe: Pipe,
) -> None:
    cut_at(pipe, 4)
    pipe.publish(change("lost to a resumed one", 50))
    pipe.flush()
    pipe.consume()
    pipe.clock.pass_by(hours=23, minutes=1)
    pipe.stream.trim()

    outcome = pipe.rebuild()

    assert outcome.revision == 3
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    assert [each.number for each in pipe.warehouse.revisions("item")] == [1, 3]


def test_a_rebuild_takes_up_no_revision_of_other_events(pipe: Pipe) -> None:
    plan = plan_as_of(pipe.ports(), ITEM, datetime(2024, 1, 1, 0, 0, 3, tzinfo=UTC))
    pipe.stream.before_read = lambda _shard: (_ for _ in ()).throw(PowerCut())
    with pytest.raises(PowerCut):
        run(plan, pipe.ports())
    pipe.stream.before_read = lambda _shard: None

    assert isinstance(plan_rebuild(pipe.ports(), ITEM).target, NewRevision)
    assert pipe.rebuild().swapped
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_damage_is_met_again_by_the_rebuild_that_goes_on(pipe: Pipe) -> None:
    damaged = sorted(key for key in pipe.log.contents if not key.startswith("log/_"))[2]
    good = pipe.log.contents[damaged]
    pipe.log.put(damaged, good[:-1] + bytes([good[-1] ^ 1]))

    for _ in range(2):
        with pytest.raises(LogIntegrityError, match=f"{damaged} bytes 0-{len(good)}"):
            pipe.rebuild(chunk_bytes=EACH_EVENT)
        assert pipe.live() == 1

    pipe.log.put(damaged, good)
    assert pipe.rebuild().swapped


def test_a_rollback_shows_the_revision_before_with_all_that_happened_since(pipe: Pipe) -> None:
    pipe.rebuild()
    pipe.publish(change("k1", 50), change("since", 51))
    pipe.consume()
    pipe.clock.pass_by(hours=1)

    outcome = rollback(pipe)

    assert outcome.swapped
    assert pipe.live() == outcome.revision == 1
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    pipe.publish(change("k1", 52))
    pipe.consume()
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_rollback_can_be_rolled_back(pipe: Pipe) -> None:
    pipe.rebuild()
    pipe.publish(change("k1", 50))
    pipe.consume()
    rollback(pipe)
    pipe.publish(change("k1", 51))
    pipe.consume()

    assert rollback(pipe).swapped
    assert pipe.live() == 2
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_rollback_stops_for_rows_that_differ_until_they_are_accepted(pipe: Pipe) -> None:
    with pipe.warehouse.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE staging_item__r1 SET size = 99 WHERE id = 'k1'")
    pipe.rebuild(accept_differences=True)

    assert not rollback(pipe).swapped
    assert pipe.live() == 2
    assert rollback(pipe, accept_differences=True).swapped
    assert [row.values[1] for row in pipe.table() if row.values[0] == "k1"] == [99]


def test_without_a_retired_revision_there_is_no_way_back(pipe: Pipe) -> None:
    with pytest.raises(ConfigurationError, match="no retired revision"):
        rollback(pipe)


def test_a_rollback_past_the_streams_retention_is_refused(pipe: Pipe) -> None:
    pipe.rebuild()
    pipe.clock.pass_by(hours=24)
    with pytest.raises(ConfigurationError, match="longer retention"):
        plan_rollback(pipe.ports(), ITEM)


@pytest.mark.parametrize("consumed_before", [True, False])
def test_a_rollback_reads_all_that_the_live_consumer_had_yet_to_read_at_the_swap(
    tmp_path: Path, consumed_before: bool
) -> None:
    pipe = Pipe(tmp_path)
    pipe.publish(change("k1", 1))
    if consumed_before:
        pipe.consume()
    pipe.publish(change("k2", 2))
    pipe.flush()
    pipe.clock.pass_by(hours=5)
    assert pipe.rebuild().swapped
    pipe.consume()

    assert rollback(pipe).swapped
    assert business(pipe.table(revision=1)) == oracle(ITEM, pipe.published)


def test_a_log_that_takes_longer_to_read_than_the_stream_keeps_its_records_is_refused(pipe: Pipe) -> None:
    pipe.log.before_read = lambda _key: pipe.clock.pass_by(hours=4)
    with pytest.raises(ConfigurationError, match="longer retention"):
        pipe.rebuild()


def test_a_plan_says_what_would_be_done_and_does_none_of_it(pipe: Pipe) -> None:
    before = pipe.warehouse.revisions("item")

    lines = explain(plan_rebuild(pipe.ports(), ITEM))

    assert lines[0] == "rebuild of item, of which revision 1 is live"
    assert [line.split()[0] for line in lines[1:]] == ["1.", "2.", "3.", "4.", "5.", "6."]
    assert "6 objects" in lines[2]
    assert pipe.warehouse.revisions("item") == before


def test_two_runs_of_one_plan_are_no_two_swaps(pipe: Pipe) -> None:
    ports = pipe.ports()
    plan = plan_rebuild(ports, ITEM)
    run(plan, ports)
    with pytest.raises(ConflictError):
        run(plan, ports)


def log_keys(pipe: Pipe) -> list[str]:
    return [each.key for each in pipe.log.objects()]


def wrong_object(pipe: Pipe) -> str:
    """An event that no source published, in the middle of the log."""
    key = f"{log_keys(pipe)[2]}-wrong"
    pipe.log.put(key, encode_event(change("k1", 900)))
    return key


def test_a_refused_rebuild_is_not_gone_on_with_once_the_log_was_cured(pipe: Pipe) -> None:
    key = wrong_object(pipe)
    assert not pipe.rebuild(chunk_bytes=EACH_EVENT).swapped
    del pipe.log.contents[key]

    plan = plan_rebuild(pipe.ports(), ITEM)
    assert "the log is no longer what revision 2 was made from" in explain(plan)[1]
    outcome = run(plan, pipe.ports())

    assert (outcome.revision, outcome.swapped, outcome.differences) == (3, True, ())
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    assert [each.number for each in pipe.warehouse.revisions("item")] == [1, 3]


CHANGES: dict[str, Callable[[Pipe, list[str]], object]] = {
    "one gone": lambda pipe, keys: pipe.log.contents.pop(keys[1]),
    "one replaced": lambda pipe, keys: pipe.log.put(keys[1], pipe.log.contents[keys[2]]),
    "one added": lambda pipe, keys: pipe.log.put(f"{keys[1]}-more", pipe.log.contents[keys[5]]),
    "one renamed": lambda pipe, keys: pipe.log.put(f"{keys[1]}-new", pipe.log.contents.pop(keys[1])),
    "the one half read replaced": lambda pipe, keys: pipe.log.put(keys[3], pipe.log.contents[keys[2]]),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_inv3_accepted_differences_are_never_of_events_that_the_log_has_no_more(
    changed: Callable[[Pipe, list[str]], object], pipe: Pipe
) -> None:
    """Whatever changed in what the broken-off rebuild had read, even of an object that it had only begun."""
    keys = log_keys(pipe)
    pipe.log.put(keys[3], pipe.log.contents[keys[3]] + encode_event(change("k0", 901)))
    cut_at(pipe, 4)  # an event of the fourth object may be applied by now
    changed(pipe, keys)
    pipe.clock.pass_by(hours=5)  # the stream tells nothing of the log's own events again

    outcome = pipe.rebuild(accept_differences=True)

    held = [frame for item in pipe.log.objects() for frame in frames_of(pipe.log, item)]
    assert outcome.revision == 3
    assert business(pipe.table()) == oracle(ITEM, [each for each in held if isinstance(each, bytes)])


def test_damage_that_was_cured_with_other_content_behind_it_changed_is_begun_again(pipe: Pipe) -> None:
    keys = log_keys(pipe)
    good = pipe.log.contents[keys[1]]
    pipe.log.put(keys[1], good[:-1])
    pipe.log.put(f"{keys[4]}-wrong", encode_event(change("k1", 902)))  # applied by the run that meets damage
    with pytest.raises(LogIntegrityError):
        pipe.rebuild(chunk_bytes=EACH_EVENT)
    pipe.log.put(keys[1], good)
    del pipe.log.contents[f"{keys[4]}-wrong"]

    outcome = pipe.rebuild()

    assert (outcome.revision, outcome.swapped) == (3, True)
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_rebuild_goes_on_where_objects_came_behind_those_that_it_had(pipe: Pipe) -> None:
    key = wrong_object(pipe)
    assert not pipe.rebuild(chunk_bytes=EACH_EVENT).swapped
    pipe.publish(change("k1", 903))  # what the sources say since wins over the wrong event
    pipe.flush()
    pipe.consume()
    assert key in log_keys(pipe)
    outcome = pipe.rebuild()
    assert (outcome.revision, outcome.swapped) == (2, True)


def test_a_fresh_rebuild_goes_on_with_nothing(pipe: Pipe) -> None:
    cut_at(pipe, 4)
    plan = plan_rebuild(pipe.ports(), ITEM, fresh=True)
    assert isinstance(plan.target, NewRevision)
    assert run(plan, pipe.ports()).revision == 3
    moment = datetime(2024, 1, 1, 0, 0, 3, tzinfo=UTC)
    assert isinstance(plan_as_of(pipe.ports(), ITEM, moment, fresh=True).target, NewRevision)


def test_a_rebuild_that_goes_on_tells_all_events_that_were_read(pipe: Pipe) -> None:
    wrong_object(pipe)
    cut_at(pipe, 4)
    assert pipe.rebuild().events == 7
    assert pipe.rebuild().events == 7  # all of them by the run that was refused


def test_the_longest_place_fits_a_checkpoint_and_later_ones_are_greater() -> None:
    place = LogCheckpoint()
    texts = [str(place)]
    for number in range(12):
        place.begin(LogObject(f"log/{number}", 1, "e"))
        texts.append(str(place))
        place.finish(number * 1_000)
        texts.append(str(place))
    assert texts == sorted(texts)
    assert parse_log_checkpoint(texts[-1]) == place
    assert parse_log_checkpoint("log/2026/03/01/12/x") is None
    assert len(str(LogCheckpoint(10**12 - 1, 10**12 - 1, 10**18 - 1))) <= SEQUENCE_DIGITS
