"""The progress of the local runtime, and the wait of `drain` and of a clean stop.

The runtime writes `progress.json` into HEADWATER_STATE several times a second, and replaces it atomically.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from headwater.output import tell
from schemas.errors import TransientError

FILE = "progress.json"
_ASKED = "drain-asked"  # its time of modification is the last request
_ASKED_SECONDS = 2.0
_STALE_SECONDS = 10.0
_CHECK_SECONDS = 0.1
_PRINT_SECONDS = 5.0

Side = Literal["source", "stream", "table"]
SIDES: tuple[Side, ...] = ("source", "stream", "table")
"""Stages in the order in which a change passes them: sources, stream, tables of reports."""


@dataclass(frozen=True, slots=True)
class PollerReport:
    """The state of one poller. Times are seconds since the epoch."""

    name: str
    side: Side
    level: float = 0  # everything that was there at this time is done
    retrying: str | None = None  # why the last pass failed, if it did


@dataclass(frozen=True, slots=True)
class RuntimeReport:
    """The state of all pollers at one time.

    `settle` is the time in seconds that AWS may take to show a change to a poller. `busy` describes the long
    operation that is under way and its progress; it is "" if there is none.
    """

    written_at: float
    pid: int
    settle: float
    pollers: Sequence[PollerReport]
    busy: str = ""


class RuntimeProgress:
    """Collects the states of the pollers. Thread-safe."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._reports: dict[str, PollerReport] = {}
        self._lock = threading.Lock()

    def expect(self, name: str, side: Side) -> None:
        """Add a poller that has not completed a pass yet."""
        with self._lock:
            self._reports[name] = PollerReport(name, side)

    def passed(self, name: str, level: float | None, problem: str | None = None) -> None:
        """Record a completed pass.

        Everything that was there at `level` is done; None if that is unknown. `problem` is the reason if a
        part of the pass failed.
        """
        with self._lock:
            before = self._reports[name]
            self._reports[name] = replace(before, level=level or before.level, retrying=problem)

    def retrying(self, name: str, reason: str) -> None:
        """Record a failed pass that is going to be repeated."""
        with self._lock:
            self._reports[name] = replace(self._reports[name], retrying=reason)

    def report(self, busy: str = "") -> RuntimeReport:
        """Return the present state."""
        with self._lock:
            return RuntimeReport(time.time(), os.getpid(), self._settle, tuple(self._reports.values()), busy)


def write_report(folder: Path, report: RuntimeReport) -> None:
    """Write the report for `read_report`. A reader sees the old report or this one, never a part."""
    unfinished = folder / f"{FILE}.tmp"
    unfinished.write_text(json.dumps(asdict(report)))
    unfinished.replace(folder / FILE)


def read_report(folder: Path) -> RuntimeReport:
    """Return the newest report. Raises TransientError if the runtime that wrote it has ended."""
    try:
        content = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        raise TransientError(
            f"the runtime is not running: no {FILE} in {folder}; start `headwater up`"
        ) from None
    pollers = [PollerReport(**poller) for poller in content.pop("pollers")]
    report = RuntimeReport(**content, pollers=pollers)
    # The age as well as the process: its id may have been given to another process since.
    if not _is_running(report.pid) or time.time() - report.written_at > _STALE_SECONDS:
        raise TransientError(
            f"the runtime is not running any more: {folder / FILE} is old; start `headwater up`"
        )
    return report


def ask(folder: Path) -> None:
    """Request that the runtime writes everything to the log without delay. Repeat this while waiting."""
    (folder / _ASKED).touch(mode=0o600)


def is_asked(folder: Path) -> bool:
    """Return True if a process requested this a moment ago."""
    try:
        return time.time() - (folder / _ASKED).stat().st_mtime < _ASKED_SECONDS
    except FileNotFoundError:
        return False


class ProgressPrinter:
    """Prints the progress of a long operation every few seconds. Short operations print nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._print_at = clock() + _PRINT_SECONDS

    def update(self, text: str) -> None:
        """Print `text` if it is time. Call this often, with "" while no operation is under way."""
        now = self._clock()
        if text and now < self._print_at:
            return
        if text:
            tell(text)
        self._print_at = now + _PRINT_SECONDS


class Wait:
    """A wait of at most `timeout` seconds that prints every few seconds what it waits for."""

    def __init__(
        self,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._give_up = clock() + timeout
        self._printer = ProgressPrinter(clock)

    def pause(self, reason: str) -> None:
        """Sleep for a moment. Raises TransientError when the time is over."""
        if self._clock() > self._give_up:
            raise TransientError(f"not drained in time: {reason}")
        self._printer.update(f"waiting: {reason}")
        self._sleep(_CHECK_SECONDS)


def await_level(read: Callable[[], RuntimeReport], waiting: Wait) -> None:
    """Wait until everything that the sources held at the call is published, applied and in the log.

    Other processes may go on writing meanwhile. Raises TransientError when the time is over, and the
    exceptions of `read`.
    """
    # One side after the other, each with a new time: when the sources are level, all their events are on the
    # stream, so that the pollers of the stream have to reach that time, and those of tables a later one.
    for side in SIDES:
        since = time.time() + (read().settle if side == "source" else 0)
        while late := _late(read(), side, since):
            waiting.pause(late)


def _late(report: RuntimeReport, side: Side, since: float) -> str:
    """Describe the pollers on this side that have not caught up to `since`, or return ""."""
    late = [poller for poller in report.pollers if poller.side == side and poller.level < since]
    who = "; ".join(map(_lateness, late))
    return f"{who} ({report.busy})" if who and report.busy else who


def _lateness(poller: PollerReport) -> str:
    if poller.retrying:
        return f"{poller.name} retries ({poller.retrying})"
    return f"{poller.name} is not level yet"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
