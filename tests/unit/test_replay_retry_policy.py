"""How long replay tries, and what it says meanwhile."""

from pathlib import Path

import pytest
from consumers_world import ITEM, event, item, row
from replay_world import Pipe, business, oracle

from headwater.replay_ports import progress_line
from replay.compare import compare
from replay.fold import EVENT_BYTES
from replay.progress import Progress, with_progress
from replay.retry_policy import RetryPolicy
from schemas.errors import ConfigurationError, TransientError


def test_what_is_transient_is_tried_again_with_longer_and_longer_pauses_up_to_a_bound() -> None:
    pauses: list[float] = []
    left = [TransientError("busy")] * 5
    retry = RetryPolicy(attempts=6, first=1, longest=5, sleep=pauses.append, random=lambda: 1.0)

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    assert retry.call(work) == "done"
    assert pauses == [1, 2, 4, 5, 5]


def test_the_pauses_are_jittered_down_to_none() -> None:
    pauses: list[float] = []
    retry = RetryPolicy(attempts=2, sleep=pauses.append, random=lambda: 0.0)
    with pytest.raises(TransientError):
        retry.call(lambda: _raise(TransientError("busy")))
    assert pauses == [0.0]


def test_other_errors_are_not_tried_again() -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise ConfigurationError("wrong")

    with pytest.raises(ConfigurationError):
        RetryPolicy(sleep=lambda _seconds: None).call(work)
    assert len(tries) == 1


def _raise(error: Exception) -> None:
    raise error


def test_progress_tells_rate_and_time_left_and_nothing_that_it_does_not_know() -> None:
    half = Progress("log", done=5, total=10, events=1_000, seconds=20.0)
    assert (half.rate, half.seconds_left) == (50.0, 20.0)
    assert Progress("log", 0, 10, 0, 0.0).seconds_left is None
    assert Progress("log", 5, None, 1, 1.0).seconds_left is None
    assert Progress("log", 11, 10, 1, 1.0).seconds_left == 0
    assert Progress("log", 0, 10, 5, 0.0).rate == 0


def test_a_rebuild_reports_objects_done_of_all_and_events(tmp_path: Path) -> None:
    pipe = Pipe(tmp_path)
    for n in range(4):
        pipe.publish(event(ITEM, item("k", n), n))
        pipe.flush()
    told: list[Progress] = []
    ticks = iter(range(1_000))
    pipe.rebuild(report=told.append, chunk_bytes=2 * EVENT_BYTES, clock=lambda: float(next(ticks)))

    assert [(each.stage, each.done, each.total, each.events) for each in told] == [
        ("log", 1, 4, 2),
        ("log", 3, 4, 4),
        ("log", 4, 4, 4),
    ]
    assert [each.seconds for each in told] == [1.0, 2.0, 3.0]


def test_the_rows_of_a_comparison_are_reported_and_their_hashes_tell_how_many_are_to_come() -> None:
    made = [row(ITEM, item("k"), 1)._replace(key_hash=(n << 112).to_bytes(16)) for n in range(0, 65_536, 16)]
    told: list[Progress] = []
    ticks = iter(range(1_000))
    assert list(with_progress(made, told.append, lambda: float(next(ticks)))) == made
    assert [each.done for each in told] == [1_000, 2_000, 3_000, 4_000]
    assert all(abs((each.total or 0) - len(made)) <= 5 for each in told)
    assert (told[1].rate, round(told[1].seconds_left or 0)) == (1_000.0, 2)
    assert progress_line(told[1]) == f"compare: 2,000 of about {told[1].total:,} rows, 1,000/s, 2 s left"


def test_a_compare_reports_its_rows_and_a_rebuild_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.progress.LOOK_ROWS", 1)
    pipe = Pipe(tmp_path)
    pipe.publish(*(event(ITEM, item(f"k{n}", n), n) for n in range(5)))
    pipe.flush()
    pipe.consume()
    told: list[Progress] = []
    assert list(compare(pipe.ports(report=told.append), ITEM)) == []
    pipe.rebuild(report=told.append)
    assert [each.done for each in told if each.stage == "compare"] == [1, 2, 3, 4, 5] * 2


def test_a_long_stream_is_written_in_pieces_and_reported_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.tail.PIECE_BYTES", 1)
    pipe = Pipe(tmp_path)
    for n in range(4):
        pipe.publish(event(ITEM, item("k", n), n))
    pipe.consume()
    told: list[Progress] = []
    ticks = iter(range(1_000))
    pipe.rebuild(report=told.append, clock=lambda: float(next(ticks)))
    stream = [each for each in told if each.stage == "stream"]
    assert [each.done for each in stream] == [1, 2, 3]
    assert progress_line(stream[1]) == "stream: 2 events, 1/s"
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
