"""Pollers that keep reports up to date. One that fails or lags does not affect the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore, Lock, Semaphore

from consumers.reporting.definition.report import Report
from consumers.reporting.files import Reports, problems, read_reports, reports_of
from consumers.reporting.refresh.refresher import HeldError, Refresher
from headwater.output import tell
from headwater.polling.runtime import Found
from headwater.polling.runtime_report import Side
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, TransientError

AGAIN_SECONDS = 60.0
"""Pause before a failed report is tried again, since a person has to correct it."""


class ReportFolder:
    """The report files of a home folder, read again when one of them changes. Thread-safe."""

    def __init__(self, home: Path | None, catalog: Catalog) -> None:
        self._home = home
        self._catalog = catalog
        self._lock = Lock()
        self._stamp: object = None
        self._reports = Reports({}, {})

    def reports(self) -> Mapping[str, Report]:
        """Return the valid reports by name. A problem of another report is printed once."""
        with self._lock:
            # Stamped before the files are read: a change in between is noticed by the next call.
            if (stamp := _stamp_of(reports_of(self._home))) != self._stamp:
                printed = set(problems(self._reports))
                self._reports, self._stamp = read_reports(self._home, self._catalog), stamp
                for problem in problems(self._reports):
                    if problem not in printed:
                        tell(problem)
            return self._reports.right


def _stamp_of(folder: Path) -> object:
    """Return a value that changes with any of the files."""
    stamps = []
    for path in folder.glob("*.sql"):
        with suppress(OSError):  # removed a moment ago, or a link to nothing
            stat = path.stat()
            stamps.append((path.name, stat.st_mtime_ns, stat.st_size))
    return sorted(stamps)


def report_pollers(
    refresher: Refresher,
    reports: Iterable[Report],
    at_once: int,
    clock: Callable[[], float] = time.monotonic,
    folder: ReportFolder | None = None,
) -> list[ReportPoller | AddedReportsPoller]:
    """Return a poller for each report, of which at most `at_once` use the warehouse at a time.

    With a folder they follow its files, and one more poller takes up the reports that are added.
    """
    turns = BoundedSemaphore(at_once)

    def poller_of(report: Report) -> ReportPoller:
        return ReportPoller(refresher, report, turns, clock, folder)

    pollers: list[ReportPoller | AddedReportsPoller] = [poller_of(report) for report in reports]
    if folder is not None:
        pollers.append(AddedReportsPoller(folder, {poller.name for poller in pollers}, poller_of))
    return pollers


class ReportPoller:
    """A poller that refreshes one report."""

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

    def poll(self, since: float) -> Found:  # noqa: ARG002 - a refresh always takes all changes
        """Refresh the report. Level unless another process holds it. Raises TransientError."""
        # A report that can't be refreshed counts as level: `drain` must not wait for a person to correct it.
        if not self._reload() or self._clock() < self._not_before:
            return Found(0, level=True)
        try:
            with self._turns:
                return Found(self._refresher.refresh(self._report).changes, level=True)
        except HeldError:  # another process is refreshing it: the next pass tries again
            return Found(0, level=False)
        except ConfigurationError as error:
            self._not_before = self._clock() + AGAIN_SECONDS
            tell(f"{self.name} stays as it was: {error}")
            return Found(0, level=True)

    def _reload(self) -> bool:
        """Read the present file of the report. Return False if it is gone or invalid."""
        if self._folder is None:
            return True
        report = self._folder.reports().get(self._report.name)
        if report is not None and report is not self._report:
            if report.definition != self._report.definition:
                self._not_before = 0.0  # a changed file may be corrected: try it at once
            self._report = report
        return report is not None


class AddedReportsPoller:
    """A poller that refreshes, one by one, the reports whose files are added while the runtime runs."""

    side: Side = "table"
    name = "reports added since the start"

    def __init__(
        self, folder: ReportFolder, known: set[str], poller_of: Callable[[Report], ReportPoller]
    ) -> None:
        """`known`: names of the reports' own pollers."""
        self._folder = folder
        self._known = known
        self._poller_of = poller_of
        self._pollers: dict[str, ReportPoller] = {}

    def poll(self, since: float) -> Found:
        """Refresh each report, also after another has failed. Raises the last TransientError."""
        results, failed = [], None
        for poller in self._added():
            try:
                results.append(poller.poll(since))
            except TransientError as error:
                failed = error
        if failed is not None:
            raise failed
        return Found(sum(result.records for result in results), all(result.level for result in results))

    def _added(self) -> list[ReportPoller]:
        for name, report in self._folder.reports().items():
            if name not in self._pollers and f"report {name}" not in self._known:
                self._pollers[name] = self._poller_of(report)
                tell(f"report {name}: taken up")
        return list(self._pollers.values())
