"""The local runtime: one thread for each poller, none of which may die unseen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeVar

from headwater.local.runtime_report import (
    Progress,
    Report,
    Side,
    Telling,
    Waiting,
    ask,
    await_level,
    write_report,
)
from schemas.errors import TransientError

_log = logging.getLogger(__name__)

T = TypeVar("T")

_REPORT_SECONDS = 0.2
_STOP_SECONDS = 30.0
_FIRST_PAUSE = 0.2  # seconds before a failed pass is made again; doubles up to the longest
_LONGEST_PAUSE = 10.0
_PAUSE_GROWTH = 1.2


class Found(NamedTuple):
    """What one pass found and finished. `level`: nothing is left of what was there at the asked time.

    `problem`: why a part of the pass failed, where the rest of it went well.
    """

    records: int
    level: bool
    problem: str | None = None


class Poller(Protocol):
    """Something that looks for work and does it, each time from where the last success left it."""

    name: str
    side: Side

    def poll(self, since: float) -> Found:
        """One pass over all there is to look at; level or not as of `since`, in seconds since the epoch.

        Raises TransientError where the same pass is to be made again later; anything else ends the runtime.
        """


def advance_all(parts: Iterable[T], advance: Callable[[T], Found]) -> Found:
    """Advance every part of a pass, so that one that fails does not hold up the others.

    Raises the first TransientError, after all parts had their turn, if no part found anything.
    """
    found: list[Found] = []
    failures: list[TransientError] = []
    for part in parts:
        try:
            found.append(advance(part))
        except TransientError as error:
            failures.append(error)
    records = sum(one.records for one in found)
    if failures and not records:
        raise failures[0]
    level = not failures and all(one.level for one in found)
    return Found(records, level, str(failures[0]) if failures else None)


class Pace(NamedTuple):
    """How often AWS may be asked. Pauses in seconds, growing while nothing is found; settle as in Report."""

    first_pause: float
    longest_pause: float
    settle: float


class Runtime:
    """Runs pollers until it is stopped or one of them fails. A context manager: leaving it stops them."""

    def __init__(
        self,
        pollers: Sequence[Poller],
        folder: Path,
        pace: Pace,
        *,
        check: Callable[[], None] = lambda: None,
        busy: Callable[[], str] = lambda: "",
    ) -> None:
        """`folder` takes progress.json; `check` raises when what the pollers need has gone for good; `busy`
        is as in a Report."""
        self._folder = folder
        self._pace = pace
        self._check = check
        self._busy = busy
        self._progress = Progress(pace.settle)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._taken = {poller.name: 0 for poller in pollers}  # records
        for poller in pollers:
            self._progress.expect(poller.name, poller.side)
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._run, poller), name=poller.name, daemon=True)
            for poller in pollers
        ]
        self._threads.append(threading.Thread(target=self._guarded, args=(self._report,), daemon=True))

    def __enter__(self) -> Self:
        write_report(self._folder, self._progress.report())
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        give_up = time.monotonic() + (_STOP_SECONDS if kind is None else 1)  # after an error nobody waits
        for thread in self._threads:
            thread.join(timeout=max(0, give_up - time.monotonic()))

    def check(self) -> None:
        """Raises what ended a poller, if something did; or why it did, where what it needs has gone for good:
        half an answer of an AWS that was killed is no bug of ours."""
        if self._failure is not None:
            self._check()
            raise self._failure

    def run_until(self, stop: threading.Event) -> None:
        """Returns when `stop` is set; says meanwhile how far it is with what takes long. Raises what ended a
        poller."""
        telling = Telling()
        while not stop.wait(_REPORT_SECONDS):
            self.check()
            telling.on(self._busy())

    def drain(self, timeout: float) -> int:
        """Returns when everything accepted so far is applied and pumped: how many records were taken in all.

        Raises TransientError after `timeout` seconds, and what ended a poller.
        """

        def read() -> Report:
            self.check()
            ask(self._folder)
            return self._progress.report(self._busy())

        await_level(read, Waiting(timeout))
        return sum(self._taken.values())

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised again by `check`
            self._failure = self._failure or error
            self._stopping.set()

    def _run(self, poller: Poller) -> None:
        since, failures, pause = time.time(), 0, self._pace.first_pause
        while not self._stopping.is_set():
            try:
                found = poller.poll(since)
            except TransientError as error:
                self._retry_later(poller.name, str(error), failures)
                failures += 1
                continue
            failures = self._note_problem(poller.name, found.problem, failures)
            self._progress.passed(poller.name, since if found.level else None, found.problem)
            self._taken[poller.name] += found.records
            if found.level:
                since = time.time()
            if found.records:
                pause = self._pace.first_pause
            else:
                self._stopping.wait(pause)
                pause = min(self._pace.longest_pause, pause * _PAUSE_GROWTH)

    def _note_problem(self, name: str, problem: str | None, failures: int) -> int:
        """Log a part's failure the first time; return the number of consecutive passes with a failure."""
        if problem and failures == 0:
            _log.warning("%s: %s; trying again", name, problem)
        return failures + 1 if problem else 0

    def _retry_later(self, name: str, reason: str, failures: int) -> None:
        self._note_problem(name, reason, failures)
        self._progress.retrying(name, reason)
        self._stopping.wait(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10)))

    def _report(self) -> None:
        while not self._stopping.wait(_REPORT_SECONDS):
            self._check()
            write_report(self._folder, self._progress.report(self._busy()))
