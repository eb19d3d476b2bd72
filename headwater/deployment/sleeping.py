"""The schedule of a deployment, against the retention of its stream and the windows of its warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

from headwater.deployment.stacks import Stack, Value
from headwater.deployment.warehouses import DAY, WEEK, length, minutes
from headwater.schedule.calendar import Calendar, Period
from headwater.schedule.figures import HOUR, longest_night
from headwater.schedule.reading import NAMES, read_calendar
from schemas.refusals import refused

MARGIN = 48
"""Hours that remain after the longest night to notice and correct a consumer that does not read."""
_YEARS = range(2026, 2036)
"""Years that are judged whatever the holidays are, so that the same file always gives the same answer."""


def sleeping(stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield what is wrong with the schedule, and a retention or windows that do not go with it."""
    by_name = {stack.template.name: stack for stack in stacks if stack.where == "reporting"}
    schedule, stream = by_name.get("schedule"), by_name.get("stream")
    if schedule is None or not {*NAMES} <= schedule.values.keys():
        return
    texts = {name: schedule.values[name].text for name in NAMES}
    calendar, problems = read_calendar(texts, {name: schedule.values[name].where for name in NAMES})
    yield from problems
    if calendar and stream and stream.values["RetentionHours"].text.isdecimal():
        yield from _retention(calendar, stream)
    if calendar and "warehouse" in by_name:
        values = by_name["warehouse"].values
        yield from _windows(calendar, values["BackupWindow"], DAY)
        yield from _windows(calendar, values["MaintenanceWindow"], WEEK)


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


def _windows(calendar: Calendar, value: Value, every: int) -> Iterator[str]:
    """Yield a window, which recurs after so many minutes, that finds the database off for a fortnight."""
    # RDS does neither to a database that is stopped:
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithAutomatedBackups.html
    window = minutes(value.text)
    if window is None:
        return
    lasts = timedelta(minutes=length(window, every))
    fortnight, monday = 2 * WEEK, datetime(_YEARS[0], 1, 5, tzinfo=UTC)
    starts = [timedelta(minutes=window[0] + number * every) for number in range(fortnight // every)]
    plain = replace(calendar, holidays=frozenset())
    for first in (monday + number * timedelta(minutes=fortnight) for number in range(26)):
        if not any(_is_on(plain, first + start, lasts) for start in starts):
            allowed = "a time in UTC at which the schedule keeps the database on, in summer and in winter"
            yield str(refused(value.where, value.text, allowed))
            return


def _is_on(calendar: Calendar, start: datetime, lasts: timedelta) -> bool:
    periods = calendar.periods(start, start + lasts)
    return sum((period.length for period in periods), timedelta()) == lasts


def _longest(calendar: Calendar) -> Period:
    years = {*_YEARS, *(holiday.year for holiday in calendar.holidays)}
    return longest_night(calendar, min(years), max(years))
