"""Keeps reports right while the runtime runs: one that fails or lags stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore, Semaphore

from consumers.reporting.definition.report import Report
from consumers.reporting.refresher import HeldError, Refresher
from headwater.output import tell
from headwater.progress import Side
from headwater.runtime import Found
from schemas.errors import ConfigurationError

AGAIN_SECONDS = 60.0
"""Before a report that failed is tried again: a person has to mend it."""


def report_pollers(
    refresher: Refresher,
    reports: Iterable[Report],
    at_once: int,
    clock: Callable[[], float] = time.monotonic,
) -> list[ReportPoller]:
    """One for each report, so many of which use the warehouse at a time."""
    turns = BoundedSemaphore(at_once)
    return [ReportPoller(refresher, report, turns, clock) for report in reports]


class ReportPoller:
    """`runtime.Poller` of one report."""

    side: Side = "table"

    def __init__(
        self, refresher: Refresher, report: Report, turns: Semaphore, clock: Callable[[], float]
    ) -> None:
        self.name = f"report {report.name}"
        self._refresher = refresher
        self._report = report
        self._turns = turns
        self._clock = clock
        self._not_before = 0.0

    def poll(self, since: float) -> Found:  # noqa: ARG002 - it looks at all that is there
        """Level where the report is made, or can't be. Raises TransientError."""
        if self._clock() < self._not_before:
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
