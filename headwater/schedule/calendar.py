"""The hours in which an installation is awake: a time zone, hours, working days and holidays. Pure.

Every working day has one period: from the first moment at which the clocks of the zone show its beginning or
later, to the last at which they show less than its end. Where clocks go back, an hour that occurs twice is
awake twice; where they go forward over the beginning, the period begins with the change; a day that a zone
skips has no period. Moments are in UTC, so that lengths are those that really elapse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = timedelta(days=1)
_LONGEST = timedelta(days=400)
"""How far ahead a change is searched for: a year that consists of holidays, and some days."""


class Period(NamedTuple):
    """A span of time in UTC, without its end."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """The time that really elapses."""
        return self.end - self.start


class Change(NamedTuple):
    """A moment in UTC, and whether the installation is awake from then on."""

    at: datetime
    awake: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """The working hours of a place. `start` and `end` are minutes: 0 <= start < end <= 1440."""

    zone: ZoneInfo
    start: int
    end: int
    days: frozenset[int] = frozenset(range(5))
    """Working days; Monday is 0."""
    holidays: frozenset[date] = frozenset()

    def is_awake(self, moment: datetime) -> bool:
        """Return whether a moment is within a period."""
        return any(period.start <= moment for period in self.periods(moment, moment + timedelta(seconds=1)))

    def periods(self, start: datetime, end: datetime) -> Iterator[Period]:
        """Yield what of the periods is between two moments, in order, without overlaps."""
        last = start
        for day in self._days(start, end):
            period = self._period(day)
            begin, finish = max(period.start, last), min(period.end, end)
            if begin < finish:
                yield Period(begin, finish)
                last = finish

    def nights(self, start: datetime, end: datetime) -> Iterator[Period]:
        """Yield what of the time between two moments is in no period."""
        last = start
        for period in self.periods(start, end):
            if last < period.start:
                yield Period(last, period.start)
            last = period.end
        if last < end:
            yield Period(last, end)

    def next_change(self, moment: datetime) -> Change | None:
        """Return the first change after a moment; None if there is none in the next 400 days."""
        end = moment + _LONGEST
        edges = (edge for edge in self._edges(moment, end) if moment < edge.at < end)
        return next(edges, None)

    def last_change(self, moment: datetime) -> Change | None:
        """Return the last change up to a moment; None if there is none in the 400 days before it."""
        start, after = moment - _LONGEST, moment + _DAY
        edges = [edge for edge in self._edges(start, after) if start < edge.at <= moment]
        return edges[-1] if edges else None

    def year(self, year: int) -> Period:
        """Return a calendar year of the zone."""
        return Period(self._first(datetime(year, 1, 1)), self._first(datetime(year + 1, 1, 1)))  # noqa: DTZ001

    def _edges(self, start: datetime, end: datetime) -> Iterator[Change]:
        for period in self._joined(start, end):
            yield Change(period.start, awake=True)
            yield Change(period.end, awake=False)

    def _joined(self, start: datetime, end: datetime) -> Iterator[Period]:
        """Yield the periods, those that touch as one: from midnight to midnight on two working days."""
        joined: Period | None = None
        for period in self.periods(start, end):
            if joined and joined.end == period.start:
                joined = Period(joined.start, period.end)
                continue
            if joined:
                yield joined
            joined = period
        if joined:
            yield joined

    def _days(self, start: datetime, end: datetime) -> Iterator[date]:
        # Two days more on both sides: no zone is further from UTC, and clocks may go back over midnight.
        day, last = start.date() - 2 * _DAY, end.date() + 2 * _DAY
        while day <= last:
            if day.weekday() in self.days and day not in self.holidays:
                yield day
            day += _DAY

    def _period(self, day: date) -> Period:
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001
        start, end = (midnight + timedelta(minutes=minutes) for minutes in (self.start, self.end))
        return Period(self._first(start), self._last(end))

    def _first(self, shown: datetime) -> datetime:
        """Return the first moment at which the clocks of the zone show a time, or a later one."""
        return self._moment(shown, 0)

    def _last(self, shown: datetime) -> datetime:
        """Return the moment from which the clocks of the zone never again show an earlier time."""
        moment = self._moment(shown, 1)
        # Clocks that go back to exactly this time show no earlier one.
        returned = self._shown(moment - timedelta(seconds=1)) >= shown
        return self._moment(shown, 0) if returned else moment

    def _moment(self, shown: datetime, fold: int) -> datetime:
        moment = shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        if self._shown(moment) == shown:
            return moment
        # Clocks skip the time: the two interpretations of it are before and after the change.
        # https://docs.python.org/3/library/datetime.html#datetime.datetime.fold
        before, after = sorted(shown.replace(tzinfo=self.zone, fold=f).astimezone(UTC) for f in (0, 1))
        while after - before > timedelta(seconds=1):
            middle = (before + (after - before) / 2).replace(microsecond=0)
            before, after = (before, middle) if self._shown(middle) >= shown else (middle, after)
        return after

    def _shown(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)
