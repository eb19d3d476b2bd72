"""How far the local runtime is, and the barrier that `drain` and a clean stop wait at.

The runtime writes `progress.json` into HEADWATER_STATE several times a second, whole or not at all.
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
_ASKED = "drain-asked"
_ASKED_SECONDS = 2.0
_STALE_SECONDS = 10.0
_CHECK_SECONDS = 0.1
_TELL_SECONDS = 5.0

Side = Literal["source", "stream", "table"]
SIDES: tuple[Side, ...] = ("source", "stream", "table")
"""What a source finds comes on the stream, and from there into tables that others are made of."""


@dataclass(frozen=True, slots=True)
class PollerReport:
    """One poller. Times are seconds since the epoch."""

    name: str
    side: Side
    level: float = 0  # everything that was there at that time is done
    retrying: str | None = None  # what its last attempt failed on, if it did


@dataclass(frozen=True, slots=True)
class Report:
    """All pollers at one time. `settle`: seconds that AWS may take to show a change to a poller. `busy`: what
    takes long now and how far it is; "" for nothing."""

    written_at: float
    pid: int
    settle: float
    pollers: Sequence[PollerReport]
    busy: str = ""


class Progress:
    """What the pollers report of themselves. Safe for several threads."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._reports: dict[str, PollerReport] = {}
        self._lock = threading.Lock()

    def expect(self, name: str, side: Side) -> None:
        """A poller that has not found anything out yet."""
        with self._lock:
            self._reports[name] = PollerReport(name, side)

    def passed(self, name: str, level: float | None, problem: str | None = None) -> None:
        """Record a pass that went well but for `problem`; at `level` everything that was there was done."""
        with self._lock:
            before = self._reports[name]
            self._reports[name] = replace(before, level=level or before.level, retrying=problem)

    def retrying(self, name: str, reason: str) -> None:
        """This poller's last pass failed for this reason and is made again."""
        with self._lock:
            self._reports[name] = replace(self._reports[name], retrying=reason)

    def report(self, busy: str = "") -> Report:
        """What is known now."""
        with self._lock:
            return Report(time.time(), os.getpid(), self._settle, tuple(self._reports.values()), busy)


def write_report(folder: Path, report: Report) -> None:
    """Puts it where `read_report` finds it; a reader sees the old one or this one, never a part."""
    unfinished = folder / f"{FILE}.tmp"
    unfinished.write_text(json.dumps(asdict(report)))
    unfinished.replace(folder / FILE)


def read_report(folder: Path) -> Report:
    """The newest report. Raises TransientError when the runtime that wrote here does not run any more."""
    try:
        found = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        raise TransientError(
            f"the runtime is not running: no {FILE} in {folder}; start `headwater up`"
        ) from None
    pollers = [PollerReport(**poller) for poller in found.pop("pollers")]
    report = Report(**found, pollers=pollers)
    if not _is_running(report.pid) or time.time() - report.written_at > _STALE_SECONDS:
        raise TransientError(
            f"the runtime is not running any more: {folder / FILE} is old; start `headwater up`"
        )
    return report


def ask(folder: Path) -> None:
    """Tells the runtime that somebody waits until everything is in the log. To be repeated while that
    holds."""
    (folder / _ASKED).touch(mode=0o600)


def is_asked(folder: Path) -> bool:
    """Whether somebody waited a moment ago."""
    try:
        return time.time() - (folder / _ASKED).stat().st_mtime < _ASKED_SECONDS
    except FileNotFoundError:
        return False


class Telling:
    """Tells how far something is, every few seconds for as long as it lasts. What is short is not told."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tell_at = clock() + _TELL_SECONDS

    def on(self, what: str) -> None:
        """To be called often. "": nothing is under way."""
        now = self._clock()
        if what and now < self._tell_at:
            return
        if what:
            tell(what)
        self._tell_at = now + _TELL_SECONDS


class Waiting:
    """A wait of at most `timeout` seconds that says every few seconds what it waits for."""

    def __init__(
        self,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._give_up = clock() + timeout
        self._telling = Telling(clock)

    def on(self, what: str) -> None:
        """Sleeps a moment. Raises TransientError when the time is over."""
        if self._clock() > self._give_up:
            raise TransientError(f"not drained in time: {what}")
        self._telling.on(f"waiting: {what}")
        self._sleep(_CHECK_SECONDS)


def await_level(read: Callable[[], Report], waiting: Waiting) -> None:
    """Returns when everything that the sources held at the call has been published, applied and pumped.

    First every source must have done all that was there at the call, then all that reads the stream what was
    there after that. Others may go on writing. Raises TransientError when the time is over, and what `read`
    raises.
    """
    for side in SIDES:
        since = time.time() + (read().settle if side == "source" else 0)
        while late := _late(read(), side, since):
            waiting.on(late)


def _late(report: Report, side: Side, since: float) -> str:
    """Who on this side has not done all that was there then, and what takes so long; "" for nobody."""
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
