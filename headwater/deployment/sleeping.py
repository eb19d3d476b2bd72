"""The schedule of a deployment, against the retention of its stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil

from headwater.deployment.stacks import Stack
from headwater.schedule.calendar import Calendar, Period
from headwater.schedule.figures import HOUR, longest_night
from headwater.schedule.reading import NAMES, read_calendar
from schemas.refusals import refused

MARGIN = 48
"""Hours that remain after the longest night to notice and correct a consumer that does not read."""
_YEARS = range(2026, 2036)
"""Years that are judged whatever the holidays are, so that the same file always gives the same answer."""


def sleeping(stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield what is wrong with the schedule, and a retention that it does not leave enough time."""
    by_name = {stack.template.name: stack for stack in stacks if stack.where == "reporting"}
    schedule, stream = by_name.get("schedule"), by_name.get("stream")
    if schedule is None or not {*NAMES} <= schedule.values.keys():
        return
    texts = {name: schedule.values[name].text for name in NAMES}
    calendar, problems = read_calendar(texts, {name: schedule.values[name].where for name in NAMES})
    yield from problems
    if calendar and stream and stream.values["RetentionHours"].text.isdecimal():
        yield from _retention(calendar, stream)


def _retention(calendar: Calendar, stream: Stack) -> Iterator[str]:
    # The consumer is off at night, and the stream must keep what it has not read:
    # https://docs.aws.amazon.com/streams/latest/dev/kinesis-extended-retention.html
    found = stream.values["RetentionHours"]
    night = _longest(calendar)
    needed = ceil(night.length / HOUR) + MARGIN
    if int(found.text) < needed:
        start, end = (moment.astimezone(calendar.zone).isoformat(timespec="minutes") for moment in night)
        yield str(
            refused(
                found.where,
                int(found.text),
                f"at least {needed}: the longest night of the schedule has {needed - MARGIN} hours, "
                f"{start} to {end}, and {MARGIN} more are to notice a consumer that does not read",
            )
        )


def _longest(calendar: Calendar) -> Period:
    years = {*_YEARS, *(holiday.year for holiday in calendar.holidays)}
    return longest_night(calendar, min(years), max(years))
