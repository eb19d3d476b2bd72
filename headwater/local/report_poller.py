"""Keeps reports right while the runtime runs: one that fails or lags stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore, Lock, Semaphore

from consumers.reporting.definition.report import Report
from consumers.reporting.files import Reports, problems, read_reports, reports_of
from consumers.reporting.refresh.refresher import HeldError, Refresher
from headwater.local.runtime import Found
from headwater.local.runtime_report import Side
from headwater.output import tell
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, TransientError

AGAIN_SECONDS = 60.0
"""Before a report that failed is tried again: a person has to mend it."""


class ReportFolder:
    """The report files of a home, read again when one of them changes. Safe for several threads."""

    def __init__(self, home: Path | None, catalog: Catalog) -> None:
        self._home = home
        self._catalog = catalog
        self._lock = Lock()
        self._stamp: object = None
        self._reports = Reports({}, {})

    def reports(self) -> Mapping[str, Report]:
        """Those that can be kept right now, by name. What is wrong with the others is told once."""
        with self._lock:
            if (stamp := _stamp_of(reports_of(self._home))) != self._stamp:
                told = set(problems(self._reports))
                self._reports, self._stamp = read_reports(self._home, self._catalog), stamp
                for problem in problems(self._reports):
                    if problem not in told:
                        tell(problem)
            return self._reports.right


def _stamp_of(folder: Path) -> object:
    """What is different when a file is."""
    found = []
    for path in folder.glob("*.sql"):
        with suppress(OSError):  # removed a moment ago, or a link to nothing
            stat = path.stat()
            found.append((path.name, stat.st_mtime_ns, stat.st_size))
    return sorted(found)


def report_pollers(
    refresher: Refresher,
    reports: Iterable[Report],
    at_once: int,
    clock: Callable[[], float] = time.monotonic,
    folder: ReportFolder | None = None,
) -> list[ReportPoller | AddedReportsPoller]:
    """One for each report, so many of which use the warehouse at a time. With a folder they follow its files,
    and one more keeps the reports that are added."""
    turns = BoundedSemaphore(at_once)

    def poller_of(report: Report) -> ReportPoller:
        return ReportPoller(refresher, report, turns, clock, folder)

    made: list[ReportPoller | AddedReportsPoller] = [poller_of(report) for report in reports]
    if folder is not None:
        made.append(AddedReportsPoller(folder, {poller.name for poller in made}, poller_of))
    return made


class ReportPoller:
    """`runtime.Poller` of one report."""

    side: Side = "table"

    def __init__(
        self,
        refresher: Refresher,
        report: Report,
        turns: Semaphore,
        clock: Callable[[], float],
        folder: ReportFolder | None = None,
    ) -> None:
        self.name = f"report {report.name}"
        self._refresher = refresher
        self._report = report
        self._turns = turns
        self._clock = clock
        self._folder = folder
        self._not_before = 0.0

    def poll(self, since: float) -> Found:  # noqa: ARG002 - it looks at all that is there
        """Level where the report is made, or can't be, or its file is gone. Raises TransientError."""
        if not self._is_there() or self._clock() < self._not_before:
            return Found(0, level=True)
        try:
            with self._turns:
                return Found(self._refresher.refresh(self._report).changes, level=True)
        except HeldError:
            return Found(0, level=False)
        except ConfigurationError as error:
            self._not_before = self._clock() + AGAIN_SECONDS
            tell(f"{self.name} stays as it was: {error}")
            return Found(0, level=True)

    def _is_there(self) -> bool:
        """Takes up its file as it is now. A file that was changed is tried at once."""
        if self._folder is None:
            return True
        report = self._folder.reports().get(self._report.name)
        if report is not None and report is not self._report:
            if report.definition != self._report.definition:
                self._not_before = 0.0
            self._report = report
        return report is not None


class AddedReportsPoller:
    """`runtime.Poller` of the reports whose files are added while the runtime runs, one after the other."""

    side: Side = "table"
    name = "reports added since the start"

    def __init__(
        self, folder: ReportFolder, known: set[str], poller_of: Callable[[Report], ReportPoller]
    ) -> None:
        """`known`: names of the pollers that others run."""
        self._folder = folder
        self._known = known
        self._poller_of = poller_of
        self._pollers: dict[str, ReportPoller] = {}

    def poll(self, since: float) -> Found:
        """Each of them, whatever becomes of the others. Raises the last TransientError."""
        found, failed = [], None
        for poller in self._added():
            try:
                found.append(poller.poll(since))
            except TransientError as error:
                failed = error
        if failed is not None:
            raise failed
        return Found(sum(each.records for each in found), all(each.level for each in found))

    def _added(self) -> list[ReportPoller]:
        for name, report in self._folder.reports().items():
            if name not in self._pollers and f"report {name}" not in self._known:
                self._pollers[name] = self._poller_of(report)
                tell(f"report {name}: taken up")
        return list(self._pollers.values())
