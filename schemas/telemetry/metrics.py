"""Metrics as lines in CloudWatch's embedded metric format, and the closed list of what may be measured. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Values are numbers, and dimensions are names of functions, reports and feeds: no metric holds a field value
(INV-7).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

NAMESPACE: Final = "Headwater"
FUNCTION: Final = "Function"
"""The dimension of every metric: the full name of the function, which is unique in an account and region, so
that an alarm reads the metrics of one installation."""
DETAILS: Final[Mapping[str, str]] = {"Backlog": "Report", "Files": "Feed"}
"""Metrics that also exist for each report or feed, and the second dimension that names it."""

UNITS: Final[Mapping[str, str]] = {
    "Events": "Count",
    "Rows": "Count",
    "DeadLetters": "Count",
    "Rejects": "Count",
    "Files": "Count",
    "Duration": "Milliseconds",
    "Lag": "Seconds",
    "Backlog": "Count",
    "Awake": "Count",
    "Pending": "Count",
}
"""The unit of every metric."""

METRICS: Final[Mapping[str, frozenset[str]]] = {
    "csv-producer": frozenset({"Events", "Rows", "DeadLetters", "Rejects", "Files", "Duration"}),
    "dynamodb-producer": frozenset({"Events", "DeadLetters", "Duration"}),
    "producer-redrive": frozenset({"Duration"}),
    "consumer": frozenset({"Events", "Rows", "DeadLetters", "Lag", "Duration"}),
    "consumer-redrive": frozenset({"Duration"}),
    "refresher": frozenset({"Rows", "Duration"}),
    "metrics": frozenset({"Lag", "Backlog", "DeadLetters", "Duration"}),
    "scheduler": frozenset({"Awake", "Pending", "Duration"}),
}
"""The metrics of every function. docs/metrics.md describes them."""


class Measurements:
    """The metrics of one invocation of a function."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._metrics = METRICS[function]
        self._values: dict[tuple[str, str] | None, dict[str, float]] = {}
        # By dimension and its value; None: the function as a whole.

    def add(self, metric: str, value: float, of: str | None = None) -> None:
        """Add to a metric, which begins at 0; `of` names the report or feed that it is about.

        Raises ValueError for a metric that is not in the list.
        """
        if metric not in (self._metrics if of is None else self._metrics & DETAILS.keys()):
            raise ValueError(f"{metric} is no metric of {self._function}: see schemas/telemetry/metrics.py")
        values = self._values.setdefault(None if of is None else (DETAILS[metric], of), {})
        values[metric] = values.get(metric, 0) + value

    def lines(self, now: float, request_id: str | None, name: str | None = None) -> Iterator[str]:
        """Yield a line for the function, and one for each report and feed.

        `now` is in seconds since 1970. `name` is the full name of the function, if it is deployed.
        """
        for detail, values in self._values.items():
            dimensions = {FUNCTION: name or self._function} | dict([detail] if detail else [])
            directive = {
                "Namespace": NAMESPACE,
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in values],
            }
            metadata = {"Timestamp": round(now * 1000), "CloudWatchMetrics": [directive]}
            yield json.dumps({"_aws": metadata, **dimensions, **values, "requestId": request_id})
