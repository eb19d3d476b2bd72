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
from headwater.commands.deployment.scheduled import Scheduled
from schemas.aws_errors import aws_errors

_RUNBOOK = re.compile(r"Runbook: (\S+)")  # a line of every alarm of the templates
_FINE = ("No records processed", "OK")
# https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
_BY_A_CALL = ("", "USER_ACTION", "USER_INITIATED")


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
    asleep: bool = False
    """True if the schedule has turned it off until the next working day."""

    @property
    def works(self) -> bool:
        """True if it is enabled, and its last batch succeeded."""
        return not self.why and self.state in ("Enabled", "Enabling", "Creating", "Updating")

    @property
    def is_fine(self) -> bool:
        """True if nobody has to look at it."""
        return self.works or self.asleep


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


def mappings(account: Account, prefix: str, scheduled: Scheduled | None = None) -> list[EventSource]:
    """Return the event source mappings of all functions of this prefix. Raises ConfigurationError.

    Args:
        account: The account of the functions.
        prefix: How the names of the functions begin.
        scheduled: The mapping that a schedule turns on and off.
    """
    client = account.client("lambda")
    with aws_errors("ListEventSourceMappings"):
        pages = client.get_paginator("list_event_source_mappings").paginate()
        found = [one for page in pages for one in page["EventSourceMappings"]]
    return sorted(_mappings(found, prefix, scheduled), key=lambda one: (one.function, one.source))


def _mappings(
    answers: Iterable[Mapping[str, Any]], prefix: str, scheduled: Scheduled | None
) -> Iterator[EventSource]:
    for answer in answers:
        function = answer["FunctionArn"].partition(":function:")[2].partition(":")[0]
        if function.startswith(prefix):
            # arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/TIME
            source = answer.get("EventSourceArn", "").split(":", 5)[-1]
            state = answer.get("State", "Unknown")
            own = scheduled if scheduled and scheduled.mapping == answer["UUID"] else None
            is_off = state in ("Disabled", "Disabling") and _is_turned_off(answer)
            why = own.why_off if own and is_off else _why(state, answer)
            asleep = own is not None and own.asleep and is_off
            yield EventSource(answer["UUID"], function, source, state, why, asleep)


def _why(state: str, answer: Mapping[str, Any]) -> str:
    if state in ("Disabled", "Disabling"):
        return "somebody disabled it" if _is_turned_off(answer) else answer["StateTransitionReason"]
    result = answer.get("LastProcessingResult", "")
    return "" if result.startswith(_FINE) else result


def _is_turned_off(answer: Mapping[str, Any]) -> bool:
    """Return whether a call has disabled the mapping, as opposed to Lambda itself."""
    # Spelled "User action" or USER_INITIATED in pages of AWS, "User initiated" by emulators.
    return answer.get("StateTransitionReason", "").upper().replace(" ", "_") in _BY_A_CALL
