"""The event source mapping that a deployed schedule turns on and off, and why it is off at a moment. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headwater.deployment.states import DeployedStack
from headwater.schedule.calendar import Calendar
from headwater.schedule.reading import NAMES, read_calendar


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The consumer's mapping at a moment."""

    mapping: str
    """Its UUID."""
    asleep: bool
    """True if the schedule wants it off."""
    why_off: str
    """What explains that it is off."""


def scheduled_mapping(
    schedule: DeployedStack | None, consumers: DeployedStack | None, now: datetime
) -> Scheduled | None:
    """Return the mapping that a schedule turns on and off; None without a schedule or a consumer.

    The deployed hours count, not those of the file. A tag that keeps everything on needs no attention here:
    the mapping is enabled then.
    """
    if schedule is None or consumers is None or schedule.is_empty:
        return None
    mapping = consumers.outputs.get("ConsumerMappingId")
    if mapping is None or not {*NAMES} <= schedule.parameters.keys():
        return None
    calendar, _ = read_calendar(schedule.parameters, {name: name for name in NAMES})
    return None if calendar is None else _at(calendar, mapping, now)


def _at(calendar: Calendar, mapping: str, now: datetime) -> Scheduled:
    if calendar.is_awake(now):
        return Scheduled(
            mapping, asleep=False, why_off="the schedule turns it on as soon as the warehouse is on"
        )
    change = calendar.next_change(now)
    until = f"until {change.at:%Y-%m-%dT%H:%M:%SZ}" if change else "for more than a year"
    return Scheduled(mapping, asleep=True, why_off=f"it sleeps by the schedule {until}")
