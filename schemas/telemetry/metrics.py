"""Metrics as lines in CloudWatch's embedded metric format, and the closed list of what may be measured. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Values are numbers, and dimensions are names of functions and reports: no metric holds a field value (INV-7).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

NAMESPACE: Final = "Headwater"
FUNCTION, REPORT = "Function", "Report"
"""The dimensions: every metric has the first, and a report's own metrics have both."""

UNITS: Final[Mapping[str, str]] = {
    "Events": "Count",
    "Rows": "Count",
    "DeadLetters": "Count",
    "Rejects": "Count",
    "Duration": "Milliseconds",
    "Lag": "Seconds",
    "Backlog": "Count",
}
"""The unit of every metric."""

METRICS: Final[Mapping[str, frozenset[str]]] = {
    "csv-producer": frozenset({"Events", "Rows", "DeadLetters", "Rejects", "Duration"}),
    "dynamodb-producer": frozenset({"Events", "DeadLetters", "Duration"}),
    "producer-redrive": frozenset({"Duration"}),
    "consumer": frozenset({"Events", "Rows", "DeadLetters", "Lag", "Duration"}),
    "consumer-redrive": frozenset({"Duration"}),
    "refresher": frozenset({"Rows", "Duration"}),
    "metrics": frozenset({"Lag", "Backlog", "DeadLetters", "Duration"}),
}
"""The metrics of every function. docs/metrics.md describes them."""

BY_REPORT: Final = frozenset({"Backlog"})
"""Metrics that exist for a function as a whole and for each report."""


class Measurements:
    """The metrics of one invocation of a function."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._metrics = METRICS[function]
        self._values: dict[str | None, dict[str, float]] = {}  # by report; None: the function as a whole

    def add(self, metric: str, value: float, report: str | None = None) -> None:
        """Add to a metric, which begins at 0. Raises ValueError for one that is not in the list."""
        if metric not in (self._metrics if report is None else self._metrics & BY_REPORT):
            raise ValueError(f"{metric} is no metric of {self._function}: see schemas/telemetry/metrics.py")
        values = self._values.setdefault(report, {})
        values[metric] = values.get(metric, 0) + value

    def lines(self, now: float, request_id: str | None) -> Iterator[str]:
        """Yield a line for the function, and one for each report. `now` is in seconds since 1970."""
        for report, values in self._values.items():
            dimensions = {FUNCTION: self._function} | ({REPORT: report} if report else {})
            directive = {
                "Namespace": NAMESPACE,
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in values],
            }
            metadata = {"Timestamp": round(now * 1000), "CloudWatchMetrics": [directive]}
            yield json.dumps({"_aws": metadata, **dimensions, **values, "requestId": request_id})
