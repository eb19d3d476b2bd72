"""Keeps the reports of an installation right, one after the other, while the runtime runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from consumers.reporting.refresher import HeldError, Refresher
from consumers.reporting.report import Report
from headwater.output import tell
from headwater.progress import Side
from headwater.runtime import Found
from schemas.errors import ConfigurationError

AGAIN_SECONDS = 60.0
"""Before a report that failed is tried again: a person has to mend it."""


class ReportPoller:
    """`runtime.Poller` of all reports: one that fails or lags does not stop the others."""

    name = "reports"
    side: Side = "table"

    def __init__(
        self, refresher: Refresher, reports: Sequence[Report], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._refresher = refresher
        self._reports = reports
        self._clock = clock
        self._not_before: dict[str, float] = {}

    def poll(self, since: float) -> Found:  # noqa: ARG002 - it looks at all that is there
        """Level where every report that can be made is. Raises TransientError."""
        changes = [self._refresh(report) for report in self._reports]
        return Found(sum(filter(None, changes)), level=None not in changes)

    def _refresh(self, report: Report) -> int | None:
        """How many changes it took; None where somebody else is at it."""
        if self._clock() < self._not_before.get(report.name, 0):
            return 0
        try:
            return self._refresher.refresh(report).changes
        except HeldError:
            return None
        except ConfigurationError as error:
            self._not_before[report.name] = self._clock() + AGAIN_SECONDS
            tell(f"report {report.name} stays as it was: {error}")
            return 0
