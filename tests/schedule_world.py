"""What tests of the schedule share: England's calendar of 2026, and a calendar judged minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from headwater.schedule.calendar import Calendar

# https://www.gov.uk/bank-holidays: England and Wales
ENGLAND_2026 = frozenset(
    map(
        date.fromisoformat,
        (
            *("2026-01-01", "2026-04-03", "2026-04-06", "2026-05-04"),
            *("2026-05-25", "2026-08-31", "2026-12-25", "2026-12-28"),
        ),
    )
)
MINUTE = timedelta(minutes=1)


def london(start: int = 7, end: int = 20) -> Calendar:
    """The calendar of a firm in London in 2026, with whole hours."""
    return Calendar(ZoneInfo("Europe/London"), start * 60, end * 60, holidays=ENGLAND_2026)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def awake_minutes(calendar: Calendar, start: datetime, end: datetime) -> set[datetime]:
    """The minutes in UTC that are awake, from what the clocks of the zone show in every minute.

    The other direction than the calendar's own: from UTC to local time, one minute after the other.
    """
    working: dict[date, list[datetime]] = {}
    for minute in minutes(start - timedelta(days=2), end + timedelta(days=2)):
        shown = minute.astimezone(calendar.zone)
        day, of_day = shown.date(), shown.hour * 60 + shown.minute
        is_working = day.weekday() in calendar.days and day not in calendar.holidays
        if is_working and calendar.start <= of_day < calendar.end:
            working.setdefault(day, []).append(minute)
    # A clock that goes back may leave the hours and enter them again: what is between is awake, too.
    awake = {minute for hours in working.values() for minute in minutes(hours[0], hours[-1] + MINUTE)}
    return {minute for minute in awake if start <= minute < end}


def minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += MINUTE
