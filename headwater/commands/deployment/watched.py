"""What is wrong in an account at this moment: alarms that went off, and event source mappings that fail.

Only reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headwater.commands.deployment.account import Account
from schemas.aws_errors import aws_errors

_RUNBOOK = re.compile(r"Runbook: (\S+)")  # a line of every alarm of the templates
_FINE = ("No records processed", "OK")
# https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
_BY_A_PERSON = ("User action", "USER_INITIATED")


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm in the state ALARM."""

    name: str
    since: datetime
    reason: str
    runbook: str | None
    """The page that its description names."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """An event source mapping of a function of the installation."""

    id: str
    function: str
    source: str
    state: str
    why: str
    """Why it is in this state, or what its last batch met; empty if it works."""

    @property
    def works(self) -> bool:
        """True if it is enabled, and its last batch succeeded."""
        return not self.why and self.state in ("Enabled", "Enabling", "Creating", "Updating")


def alarms(account: Account, prefix: str) -> list[Alarm]:
    """Return the alarms of this prefix that went off, the oldest first. Raises ConfigurationError."""
    client = account.client("cloudwatch")
    with aws_errors(f"DescribeAlarms of {prefix}*"):
        pages = client.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=prefix, StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found = [
            one
            for page in pages
            for kind in ("MetricAlarms", "CompositeAlarms")
            for one in page.get(kind, ())
        ]
    # moto applies one filter only.
    alarming = [_alarm(one) for one in found if one["StateValue"] == "ALARM"]
    return sorted(alarming, key=lambda alarm: (alarm.since, alarm.name))


def _alarm(answer: Mapping[str, Any]) -> Alarm:
    runbook = _RUNBOOK.search(answer.get("AlarmDescription", ""))
    return Alarm(
        name=answer["AlarmName"],
        # Only AWS has the time of the transition; emulators do not.
        since=answer.get("StateTransitionedTimestamp", answer["StateUpdatedTimestamp"]),
        reason=answer.get("StateReason", ""),
        runbook=runbook and runbook[1],
    )


def mappings(account: Account, prefix: str) -> list[EventSource]:
    """Return the event source mappings of all functions of this prefix. Raises ConfigurationError."""
    client = account.client("lambda")
    with aws_errors("ListEventSourceMappings"):
        pages = client.get_paginator("list_event_source_mappings").paginate()
        found = [one for page in pages for one in page["EventSourceMappings"]]
    return sorted(_mappings(found, prefix), key=lambda one: (one.function, one.source))


def _mappings(answers: Iterable[Mapping[str, Any]], prefix: str) -> Iterator[EventSource]:
    for answer in answers:
        function = answer["FunctionArn"].partition(":function:")[2].partition(":")[0]
        if function.startswith(prefix):
            # arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/TIME
            source = answer.get("EventSourceArn", "").split(":", 5)[-1]
            state = answer.get("State", "Unknown")
            yield EventSource(answer["UUID"], function, source, state, _why(state, answer))


def _why(state: str, answer: Mapping[str, Any]) -> str:
    if state in ("Disabled", "Disabling"):
        reason = answer.get("StateTransitionReason", "")
        return "somebody disabled it" if not reason or reason in _BY_A_PERSON else reason
    result = answer.get("LastProcessingResult", "")
    return "" if result.startswith(_FINE) else result
