"""Alarms of a deployment, evaluated as CloudWatch does: over data points of one condition that lasts."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iam.deployment import Deployment

Line = Mapping[str, Any]

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Minimum": min,
    "Maximum": max,
    "Average": lambda values: sum(values) / len(values),
    "SampleCount": len,
}
OPERATORS = {"GreaterThanThreshold": operator.gt, "LessThanThreshold": operator.lt}


@dataclass(frozen=True)
class Alarm:
    """An alarm with all its values: the metric that it reads, and when that breaches."""

    name: str
    """Without the names of application and environment."""
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    expression: str | None
    """What is calculated from the metric."""
    threshold: float
    operator: str
    missing: str

    def fires(self, lines: Iterable[Line]) -> bool:
        """Return whether it goes off if these are the metrics of each of its periods."""
        return self.breaches(self._read(lines))

    def breaches(self, value: float | None) -> bool:
        """Return whether a value of the statistic breaches the threshold; None for a missing one."""
        if value is None and self.expression and self.expression.startswith("FILL("):
            value = float(self.expression.rpartition(",")[2].rstrip(")"))
        if value is None:
            return self.missing == "breaching"
        return bool(OPERATORS[self.operator](self._calculated(value), self.threshold))

    def _calculated(self, value: float) -> float:
        if self.expression is None or self.expression.startswith("FILL("):
            return value
        terms = re.fullmatch(r"[a-z]+((?: / [0-9]+)+)", self.expression)
        assert terms, self.expression
        for divisor in re.findall(r"[0-9]+", terms[1]):
            value /= float(divisor)
        return value

    def _read(self, lines: Iterable[Line]) -> float | None:
        values = [line[self.metric] for line in lines if self._is_in(line)]
        return STATISTICS[self.statistic](values) if values else None

    def _is_in(self, line: Line) -> bool:
        names = [name for name, _ in self.dimensions]
        return any(
            directive["Namespace"] == self.namespace
            and names in directive["Dimensions"]
            and self.metric in (metric["Name"] for metric in directive["Metrics"])
            and all(line[name] == value for name, value in self.dimensions)
            for directive in line["_aws"]["CloudWatchMetrics"]
        )


def alarms_of(deployment: Deployment, prefix: str) -> dict[str, Alarm]:
    """Return the alarms of a deployment by their names."""
    found = [
        _alarm(resource.properties, prefix)
        for resource in deployment.resources
        if resource.type == "AWS::CloudWatch::Alarm"
    ]
    return {alarm.name: alarm for alarm in found}


def _alarm(properties: Mapping[str, Any], prefix: str) -> Alarm:
    metric, statistic, expression = properties, properties.get("Statistic"), None
    for each in properties.get("Metrics", ()):
        expression = each.get("Expression", expression)
        if "MetricStat" in each:
            metric, statistic = each["MetricStat"]["Metric"], each["MetricStat"]["Stat"]
    return Alarm(
        properties["AlarmName"].removeprefix(f"{prefix}-"),
        metric["Namespace"],
        metric["MetricName"],
        tuple((each["Name"], each["Value"]) for each in metric.get("Dimensions", ())),
        str(statistic),
        expression,
        float(properties["Threshold"]),
        properties["ComparisonOperator"],
        properties["TreatMissingData"],
    )


def metrics_in(lines: Iterable[str]) -> list[Line]:
    """Return the metrics among lines of stdout, as CloudWatch finds them."""
    return [line for line in map(json.loads, lines) if "_aws" in line]


def filtered(pattern: str, namespace: str, metric: str, lines: Iterable[str]) -> list[Line]:
    """Return the metric that a filter of one term, such as `{ $.level = "ERROR" }`, makes of lines."""
    match = re.fullmatch(r'\{ \$\.(\w+) = "(\w+)" \}', pattern)
    assert match, pattern
    directive = {"Namespace": namespace, "Dimensions": [[]], "Metrics": [{"Name": metric}]}
    return [
        {metric: 1, "_aws": {"CloudWatchMetrics": [directive]}}
        for line in map(json.loads, lines)
        if line.get(match[1]) == match[2]
    ]


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Return whether an event pattern of EventBridge matches, as far as the templates use patterns.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(matches(each, event) for each in wanted):
                return False
        elif name not in event or not _matches_value(wanted, event[name]):
            return False
    return True


def _matches_value(wanted: Any, found: Any) -> bool:
    if isinstance(found, list):  # one member that matches is enough
        return any(_matches_value(wanted, each) for each in found)
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and matches(wanted, found)
    return any(
        found not in each["anything-but"] if isinstance(each, Mapping) else found == each for each in wanted
    )
