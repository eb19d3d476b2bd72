"""A Lambda function called as the service calls it, and what it writes to stdout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

REQUEST = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


@dataclass
class Context:
    """As much of Lambda's context object as the functions use."""

    aws_request_id: str = REQUEST
    milliseconds: int = 300_000
    function_name: str | None = None

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass(frozen=True)
class Call:
    """The answer of one call, or its error, and the lines of JSON on stdout."""

    answer: Mapping[str, Any] | None
    error: Exception | None
    out: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "_aws" not in line]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "_aws" in line]

    def values(self) -> dict[str, float]:
        """The metrics of the function as a whole."""
        (line,) = [line for line in self.metrics if not {"Report", "Feed"} & line.keys()]
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        return {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


Handler = Callable[[Mapping[str, Any], object], Mapping[str, Any]]


def call(
    handler: Handler,
    lambda_event: Mapping[str, Any],
    capsys: pytest.CaptureFixture[str],
    context: Context | None = None,
) -> Call:
    capsys.readouterr()
    answer, error = None, None
    try:
        answer = handler(lambda_event, context or Context())
    except Exception as caught:  # noqa: BLE001 - as Lambda does
        error = caught
    out, err = capsys.readouterr()
    assert err == ""
    return Call(answer, error, out)
