"""The local runtime: a thread for each poller. An exception in any of them ends the runtime."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeVar

from headwater.polling.runtime_report import (
    ProgressPrinter,
    RuntimeProgress,
    RuntimeReport,
    Side,
    Wait,
    ask,
    await_level,
    write_report,
)
from schemas.errors import TransientError

_log = logging.getLogger(__name__)

T = TypeVar("T")

_REPORT_SECONDS = 0.2
_STOP_SECONDS = 30.0
_FIRST_PAUSE = 0.2  # seconds before a failed pass is repeated; doubles up to the longest
_LONGEST_PAUSE = 10.0
_PAUSE_GROWTH = 1.2


class Found(NamedTuple):
    """The result of one pass of a poller.

    `records` is the number of records processed. `level` is True if everything that was there at the
    requested time is done. `problem` is the reason if a part of the pass failed and the rest succeeded.
    """

    records: int
    level: bool
    problem: str | None = None


class Poller(Protocol):
    """Something that looks for work and does it, starting where the last successful pass ended."""

    name: str
    side: Side

    def poll(self, since: float) -> Found:
        """Make one pass over all the work. `Found.level` is about `since`, in seconds since the epoch.

        Raises TransientError if the same pass has to be repeated later; anything else ends the runtime.
        """


def advance_all(parts: Iterable[T], advance: Callable[[T], Found]) -> Found:
    """Advance every part of a pass; one that fails does not stop the others.

    Raises the first TransientError, after all parts had their turn, if no part processed anything.
    """
    results: list[Found] = []
    failures: list[TransientError] = []
    for part in parts:
        try:
            results.append(advance(part))
        except TransientError as error:
            failures.append(error)
    records = sum(result.records for result in results)
    if failures and not records:
        raise failures[0]
    level = not failures and all(result.level for result in results)
    return Found(records, level, str(failures[0]) if failures else None)


class Pace(NamedTuple):
    """Pauses between passes in seconds, growing while there is no work; `settle` is as in RuntimeReport."""

    first_pause: float
    longest_pause: float
    settle: float


class Runtime:
    """Runs pollers until it is stopped or one of them fails. Leaving the context manager stops them."""

    def __init__(
        self,
        pollers: Sequence[Poller],
        folder: Path,
        pace: Pace,
        *,
        check: Callable[[], None] = lambda: None,
        busy: Callable[[], str] = lambda: "",
    ) -> None:
        """Prepare the threads; entering the context manager starts them.

        `folder` is for progress.json. `check` raises an exception if something that the pollers need has
        permanently gone. `busy` returns the current long operation, as in RuntimeReport. Raises ValueError
        if two pollers have one name.
        """
        self._folder = folder
        self._pace = pace
        self._check = check
        self._busy = busy
        self._progress = RuntimeProgress(pace.settle)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._taken = {poller.name: 0 for poller in pollers}  # records
        if len(self._taken) < len(pollers):  # progress is kept by name: `drain` would not wait for both
            raise ValueError(f"two pollers have one name: {', '.join(poller.name for poller in pollers)}")
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
        give_up = time.monotonic() + (_STOP_SECONDS if kind is None else 1)  # after an error only briefly
        for thread in self._threads:
            thread.join(timeout=max(0, give_up - time.monotonic()))

    def check(self) -> None:
        """Raise the exception that ended a poller, if any."""
        if self._failure is not None:
            # The cause comes first: half an answer from an AWS that was killed looks like a bug in a poller.
            self._check()
            raise self._failure

    def run_until(self, stop: threading.Event) -> None:
        """Wait until `stop` is set, and print the progress of long operations meanwhile.

        Raises the exception that ended a poller.
        """
        printer = ProgressPrinter()
        while not stop.wait(_REPORT_SECONDS):
            self.check()
            printer.update(self._busy())

    def drain(self, timeout: float, without: Collection[str] = ()) -> int:
        """Wait until everything accepted so far is applied and pumped. Return the number of records taken.

        Does not wait for the pollers named in `without`, whose work the next start goes on with.

        Raises TransientError after `timeout` seconds, and the exception that ended a poller.
        """

        def read() -> RuntimeReport:
            self.check()
            ask(self._folder)
            report = self._progress.report(self._busy())
            return replace(report, pollers=[one for one in report.pollers if one.name not in without])

        await_level(read, Wait(timeout))
        return sum(self._taken.values())

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised again by `check`
            self._failure = self._failure or error  # the first one: others may be its consequences
            self._stopping.set()

    def _run(self, poller: Poller) -> None:
        since, failures, pause = time.time(), 0, self._pace.first_pause
        while not self._stopping.is_set():
            try:
                result = poller.poll(since)
            except TransientError as error:
                self._retry_later(poller.name, str(error), failures)
                failures += 1
                continue
            failures = self._note_problem(poller.name, result.problem, failures)
            self._progress.passed(poller.name, since if result.level else None, result.problem)
            self._taken[poller.name] += result.records
            # Moved only after a level pass: otherwise work that arrives steadily would keep a poller from
            # ever being level.
            if result.level:
                since = time.time()
            if result.records:
                pause = self._pace.first_pause
            else:
                self._stopping.wait(pause)
                pause = min(self._pace.longest_pause, pause * _PAUSE_GROWTH)

    def _note_problem(self, name: str, problem: str | None, failures: int) -> int:
        """Log a failure the first time, and return the number of consecutive passes with a failure."""
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
