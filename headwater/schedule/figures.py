"""What a calendar comes to: the share of hours off in a year, and the longest night. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from headwater.schedule.calendar import Calendar, Period

HOUR = timedelta(hours=1)
_MARGIN = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class YearFigures:
    """The hours of one year of the calendar's zone. The longest night counts as a whole."""

    year: int
    hours: float
    awake: float
    longest: Period

    @property
    def off(self) -> float:
        """Hours off."""
        return self.hours - self.awake

    @property
    def share_off(self) -> float:
        """Hours off as a share of all hours, 0 to 1."""
        return self.off / self.hours


def figures(calendar: Calendar, year: int) -> YearFigures:
    """Return the figures of a year."""
    whole = calendar.year(year)
    awake = sum((period.length for period in calendar.periods(*whole)), timedelta())
    return YearFigures(year, whole.length / HOUR, awake / HOUR, longest_night(calendar, year, year))


def longest_night(calendar: Calendar, first: int, last: int) -> Period:
    """Return the longest time off that touches these years, the first one if several are equal.

    It is cut off 400 days before and after the years.
    """
    start, end = calendar.year(first).start, calendar.year(last).end
    nights = calendar.nights(start - _MARGIN, end + _MARGIN)
    mine = (night for night in nights if start < night.end and night.start < end)
    return _longest(mine, Period(start, start))


def _longest(nights: Iterable[Period], none: Period) -> Period:
    return max(nights, key=lambda night: night.length, default=none)
