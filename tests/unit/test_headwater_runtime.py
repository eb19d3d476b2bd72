"""Pollers are retried, stopped and never die unseen."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.polling.runtime import Found, Pace, Runtime
from headwater.polling.runtime_report import Side, read_report
from schemas.errors import ConfigurationError, TransientError

PACE = Pace(first_pause=0.01, longest_pause=0.02, settle=0.0)
NOTHING = Found(0, level=True)


class Scripted:
    """A poller that does what the script says, then the same for ever. An exception is raised."""

    def __init__(
        self, *script: Found | Exception, then: Found = NOTHING, name: str = "p", side: Side = "source"
    ) -> None:
        self.name = name
        self.side: Side = side
        self.asked: list[float] = []
        self._script = iter(script)
        self._then = then

    def poll(self, since: float) -> Found:
        self.asked.append(since)
        step = next(self._script, self._then)
        if isinstance(step, Exception):
            raise step
        return step


def after(seconds: float) -> threading.Event:
    """An event that is set then."""
    event = threading.Event()
    timer = threading.Timer(seconds, event.set)
    timer.daemon = True
    timer.start()
    return event


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    entered: list[Runtime] = []

    def start(*pollers: Scripted, check: Callable[[], None] = lambda: None, **more: Any) -> Runtime:
        runtime = Runtime(pollers, tmp_path, PACE, check=check, **more)
        entered.append(runtime)
        return runtime.__enter__()

    yield start
    for runtime in entered:
        runtime.__exit__(None, None, None)


def test_a_transient_error_is_tried_again_until_it_passes(running: Callable[..., Runtime]) -> None:
    poller = Scripted(TransientError("away"), Found(3, level=False))
    assert running(poller).drain(5) == 3


def test_a_bug_in_a_poller_ends_the_run_with_that_error(running: Callable[..., Runtime]) -> None:
    runtime = running(Scripted(KeyError("bug")), Scripted(name="other"))
    with pytest.raises(KeyError, match="bug"):
        runtime.run_until(after(10))


def test_an_error_of_configuration_ends_a_drain_too(running: Callable[..., Runtime]) -> None:
    runtime = running(Scripted(ConfigurationError("KEYS_ONLY")))
    with pytest.raises(ConfigurationError, match="KEYS_ONLY"):
        runtime.drain(5)


def test_what_the_pollers_need_being_gone_ends_the_run(running: Callable[..., Runtime]) -> None:
    def gone() -> None:
        raise TransientError("the embedded AWS has ended")

    runtime = running(Scripted(), check=gone)
    with pytest.raises(TransientError, match="has ended"):
        runtime.run_until(after(10))


def test_what_a_poller_makes_of_a_killed_aws_is_told_as_the_killed_aws(
    running: Callable[..., Runtime],
) -> None:
    gone = threading.Event()

    def check() -> None:
        if gone.is_set():
            raise TransientError("the server is gone")

    class HalfAnAnswer(Scripted):
        def poll(self, since: float) -> Found:
            gone.set()
            raise KeyError("Records")

    with pytest.raises(TransientError, match="the server is gone"):
        running(HalfAnAnswer(), check=check).run_until(after(5))


def test_a_pass_is_asked_about_the_same_time_until_it_is_level(running: Callable[..., Runtime]) -> None:
    poller = Scripted(
        Found(5, level=False), Found(5, level=False), TransientError("away"), Found(0, level=True)
    )
    running(poller).drain(5)
    assert len(set(poller.asked[:4])) == 1
    assert poller.asked[4] > poller.asked[3]


def test_a_drain_that_takes_too_long_says_who_is_late(running: Callable[..., Runtime]) -> None:
    runtime = running(Scripted(then=Found(1, level=False), name="busy"))
    with pytest.raises(TransientError, match="busy is not level yet"):
        runtime.drain(0.3)


def test_other_processes_read_how_far_it_is(running: Callable[..., Runtime], tmp_path: Path) -> None:
    runtime = running(Scripted(name="csv"), Scripted(name="consumer", side="stream"))
    began = time.time()
    runtime.drain(5)
    while not all(poller.level > began for poller in read_report(tmp_path).pollers):
        time.sleep(0.05)


def test_it_runs_until_it_is_told_to_stop(running: Callable[..., Runtime]) -> None:
    stop = after(0.1)
    running(Scripted()).run_until(stop)
    assert stop.is_set()


def test_what_takes_long_is_told_here_and_to_other_processes(
    running: Callable[..., Runtime],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("headwater.polling.runtime_report._PRINT_SECONDS", 0.0)
    runtime, stop = running(Scripted(), busy=lambda: "a.csv: 5 rows published"), threading.Event()

    def read() -> None:
        while read_report(tmp_path).busy != "a.csv: 5 rows published":
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=read, daemon=True).start()
    while not capsys.readouterr().err.startswith("a.csv: 5 rows published\n"):
        runtime.run_until(after(0.3))
    assert stop.wait(30)


def test_two_pollers_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two pollers have one name: a, a"):
        Runtime([Scripted(name="a"), Scripted(name="a")], tmp_path, PACE)
