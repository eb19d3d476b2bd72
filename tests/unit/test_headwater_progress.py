"""The barrier: nothing that was accepted before it is missed, and a dead runtime is known to be dead."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.polling.runtime_report import (
    FILE,
    PollerReport,
    ProgressPrinter,
    RuntimeProgress,
    RuntimeReport,
    Wait,
    await_level,
    read_report,
    write_report,
)
from headwater.sources.csv.waiting import unpublished
from schemas.errors import TransientError


def a_report(*pollers: PollerReport, settle: float = 0.0) -> RuntimeReport:
    return RuntimeReport(time.time(), os.getpid(), settle, pollers)


def waits(read: Callable[[], RuntimeReport], seconds: float = 0.3) -> str:
    """What the barrier says when it is not passed within that time."""
    with pytest.raises(TransientError) as raised:
        await_level(read, Wait(seconds))
    return str(raised.value)


def test_a_source_that_was_level_before_the_call_is_not_level_for_it() -> None:
    report = a_report(PollerReport("dynamodb", "source", level=time.time() - 1))
    assert waits(lambda: report) == "not drained in time: dynamodb is not level yet"


def test_the_stream_must_be_level_after_the_sources_were() -> None:
    """What a source published just before it was level is on the stream after the consumer looked."""
    progress = RuntimeProgress(settle=0)
    progress.expect("dynamodb", "source")
    progress.expect("consumer", "stream")
    started = time.time()
    progress.passed("consumer", started + 0.1)  # after the call, but before the source was level
    threading.Timer(0.4, lambda: progress.passed("dynamodb", time.time())).start()
    assert "consumer is not level yet" in waits(progress.report, 1.0)
    progress.passed("dynamodb", time.time() + 60)
    progress.passed("consumer", time.time() + 60)
    await_level(progress.report, Wait(1))


def test_aws_gets_the_time_that_it_needs_to_show_a_change() -> None:
    report = a_report(PollerReport("csv", "source", level=time.time() + 5), settle=10.0)
    assert "csv is not level yet" in waits(lambda: report)
    await_level(lambda: replace(report, settle=1.0), Wait(1))


def test_who_retries_is_named_with_its_reason() -> None:
    progress = RuntimeProgress(settle=0)
    progress.expect("csv", "source")
    progress.retrying("csv", "Kinesis did not acknowledge 3 events")
    assert "csv retries (Kinesis did not acknowledge 3 events)" in waits(progress.report)


def test_a_pass_that_went_well_ends_the_retrying_even_if_it_was_not_level() -> None:
    progress = RuntimeProgress(settle=0)
    progress.expect("csv", "source")
    progress.passed("csv", 5.0)
    progress.retrying("csv", "away")
    progress.passed("csv", None)
    assert progress.report().pollers == (PollerReport("csv", "source", level=5.0),)


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    report = a_report(PollerReport("csv", "source", 1.5, "away"), PollerReport("pump", "stream"), settle=2.0)
    write_report(tmp_path, report)
    found = read_report(tmp_path)
    assert replace(found, pollers=tuple(found.pollers)) == report
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_no_report_means_that_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="the runtime is not running"):
        read_report(tmp_path)


def test_a_report_of_a_process_that_is_gone_counts_as_none(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_report(tmp_path, replace(a_report(), pid=gone.pid))
    with pytest.raises(TransientError, match="not running any more"):
        read_report(tmp_path)


def test_a_report_that_is_not_renewed_counts_as_none(tmp_path: Path) -> None:
    write_report(tmp_path, replace(a_report(), written_at=time.time() - 60))
    with pytest.raises(TransientError, match="not running any more"):
        read_report(tmp_path)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_what_lasts_is_told_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    printer = ProgressPrinter(clock)
    for second in range(12):
        clock.now = float(second)
        printer.update(f"{second} rows")
    assert capsys.readouterr().err.splitlines() == ["5 rows", "10 rows"]


def test_what_is_short_is_not_told_however_late_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    printer = ProgressPrinter(clock)
    for second in range(40):
        clock.now = float(second)
        printer.update("short" if second % 10 > 6 else "")
    assert capsys.readouterr().err == ""


def test_a_wait_tells_what_it_waits_for_until_it_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    waiting = Wait(11, clock, clock.sleep)
    for _ in range(110):
        waiting.pause("a file")
    clock.now += 1
    with pytest.raises(TransientError, match="not drained in time: a file"):
        waiting.pause("a file")
    assert capsys.readouterr().err.splitlines() == ["waiting: a file"] * 2


def test_who_is_late_is_told_with_how_far_it_is() -> None:
    progress = RuntimeProgress(settle=0)
    progress.expect("csv", "source")
    said = waits(lambda: progress.report("a.csv: 5 rows published"))
    assert said == "not drained in time: csv is not level yet (a.csv: 5 rows published)"


HELD = PollerReport("csv", "source", retrying="hidden in their queue, they come back by 10:05:00 UTC")
BUSY = "a.csv: 5 rows published, 50% of the file"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (a_report(PollerReport("csv", "source")), "2 files, such as drop/s/a.csv, to be published"),
        (a_report(HELD), f"2 files, such as drop/s/a.csv, to be published ({HELD.retrying})"),
        (replace(a_report(HELD), busy=BUSY), BUSY),
    ],
)
def test_files_that_wait_are_told_with_what_holds_them_up(report: RuntimeReport, said: str) -> None:
    assert unpublished(2, "drop/s/a.csv", report) == said
