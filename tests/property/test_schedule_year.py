"""A simulated year: the function is called every five minutes, and every hour the account is judged.

What it should be comes from the clocks of the zone minute by minute, not from the calendar's own periods.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_world import MINUTE, at, awake_minutes, london

from headwater.schedule.calendar import Calendar, Period
from headwater.schedule.figures import HOUR, figures, longest_night
from headwater.schedule.override import TAG
from headwater.schedule.parts import Power
from headwater.schedule.reconciler import reconcile
from headwater.schedule.simulated import RESTART, WAREHOUSE, SimulatedAccount

ROUND = 5 * MINUTE
TO_WAKE, TO_SLEEP = timedelta(minutes=40), timedelta(minutes=55)
"""Durations of the simulated account, the wait for calls that may be running, and rounds between them."""


class Hour(NamedTuple):
    """What the account is at the end of an hour, and for how long it should be that."""

    now: datetime
    awake: bool
    since: datetime
    powers: frozenset[Power]


def simulate(
    account: SimulatedAccount, calendar: Calendar, year: Period, kept_on: Period | None = None
) -> Iterator[Hour]:
    """Run a year, with the tag between two moments, and yield its hours."""
    awake = awake_minutes(calendar, *year)
    if kept_on:
        awake |= {m for m in _rounds(*year) if kept_on.start <= m < kept_on.end}
    was, since = True, year.start
    for now in _rounds(*year):
        account.advance(now)
        if kept_on and now == kept_on.start:
            account.machines["workbench"].tags[TAG] = kept_on.end.isoformat()
        found = reconcile(account, calendar, now)
        assert found.problems == ()
        assert found.awake == (now in awake)
        if found.awake is not was:
            was, since = found.awake, now
        if now.minute == 0:
            yield Hour(now, was, since, frozenset(machine.power for machine in account.machines.values()))


def _rounds(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += ROUND


def judge(hour: Hour) -> None:
    if hour.awake and hour.now - hour.since >= TO_WAKE:
        assert hour.powers == {Power.ON}, hour
    if not hour.awake and TO_SLEEP <= hour.now - hour.since < RESTART:
        assert hour.powers == {Power.OFF}, hour


@pytest.mark.timeout(600)
def test_london_2026_hour_by_hour() -> None:
    calendar = london()
    year = calendar.year(2026)
    account = SimulatedAccount(year.start)
    evening = Period(at("2026-06-05T19:00Z"), at("2026-06-06T14:00Z"))  # into a Saturday
    hours = list(simulate(account, calendar, year, evening))
    for hour in hours:
        judge(hour)
    assert len(hours) == 8760
    by_day = {hour.now.date(): hour for hour in hours if hour.now.hour == 12}
    for day in ("2026-01-03", "2026-04-03", "2026-12-28", "2026-03-29", "2026-10-25"):
        assert not by_day[date.fromisoformat(day)].awake
    assert by_day[date(2026, 6, 6)].awake  # by the tag
    # What AWS charges for: half an hour more than the calendar's each night, and the tag's evening.
    nights = len(list(calendar.nights(*year)))
    expected = figures(calendar, 2026).awake + 19
    assert expected + nights * 0.4 <= account.machines[WAREHOUSE].seconds_on / 3600 <= expected + nights * 0.6


def test_both_changes_of_the_clocks_move_the_morning_in_utc() -> None:
    calendar = london()
    days = ("2026-03-27", "2026-03-30", "2026-10-23", "2026-10-26")
    mornings = [calendar.next_change(at(f"{day}T00:00Z")) for day in days]
    assert [morning and morning.at.isoformat(timespec="minutes") for morning in mornings] == [
        "2026-03-27T07:00+00:00",
        "2026-03-30T06:00+00:00",
        "2026-10-23T06:00+00:00",
        "2026-10-26T07:00+00:00",
    ]


@pytest.mark.timeout(600)
def test_a_fortnight_of_holidays_with_the_seventh_day() -> None:
    holidays = frozenset(date(2026, 8, 3) + timedelta(days=number) for number in range(12))
    calendar = Calendar(ZoneInfo("Europe/Paris"), 480, 1080, holidays=holidays)
    span = Period(at("2026-07-31T00:00Z"), at("2026-08-18T00:00Z"))
    account = SimulatedAccount(span.start)
    hours = list(simulate(account, calendar, span))
    for hour in hours:
        judge(hour)
    asleep = [hour for hour in hours if not hour.awake and hour.now - hour.since > RESTART]
    runs = [key for key, _ in groupby(hour.powers == {Power.OFF} for hour in asleep)]
    assert runs in ([True], [True, False, True])  # the restart is over within an hour or two
    # Friday, Monday, and the seventh day's restart until it was stopped again.
    assert 20 < account.machines[WAREHOUSE].seconds_on / 3600 < 32


@cache
def oracle(start: int, end: int) -> tuple[float, float]:
    """Share off, and the longest night in hours, of London's 2026 by minutes."""
    calendar = london(start, end)
    year = calendar.year(2026)
    awake = awake_minutes(calendar, *year)
    longest = run = 0
    for number in range(int((year.end - year.start) / MINUTE)):
        run = 0 if year.start + number * MINUTE in awake else run + 1
        longest = max(longest, run)
    return 1 - len(awake) / ((year.end - year.start) / MINUTE), longest / 60


@pytest.mark.parametrize(
    ("start", "end", "percent", "longest"), [(7, 20, 62.5, 107), (7, 19, 65.3, 108), (8, 18, 71.1, 110)]
)
def test_share_off_and_longest_night_of_london_2026(
    start: int, end: int, percent: float, longest: int
) -> None:
    found = figures(london(start, end), 2026)
    assert (round(found.share_off * 100, 1), found.longest.length / HOUR) == (percent, longest)
    assert (pytest.approx(found.share_off), longest) == oracle(start, end)
    assert found.longest.start.date() == date(2026, 4, 2)  # Maundy Thursday


def test_a_night_with_a_change_of_the_clocks_has_its_real_length() -> None:
    calendar = Calendar(ZoneInfo("Europe/London"), 420, 1200)
    lengths = {
        change.at.date(): period.length / HOUR
        for period in calendar.nights(*calendar.year(2026))
        if (change := calendar.next_change(period.start - MINUTE))
    }
    assert lengths[date(2026, 3, 20)] == 59
    assert lengths[date(2026, 3, 27)] == 58
    assert lengths[date(2026, 10, 23)] == 60


ZONES = sorted(available_timezones())


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    start = draw(st.integers(0, 22 * 60))
    holidays = st.dates(date(2026, 1, 1), date(2026, 12, 31))
    return Calendar(
        ZoneInfo(draw(st.sampled_from(ZONES))),
        start,
        draw(st.integers(start + 30, 1440)),
        frozenset(draw(st.sets(st.integers(0, 6), min_size=1))),
        frozenset(draw(st.sets(holidays, max_size=15))),
    )


@pytest.mark.timeout(600)
@settings(max_examples=3)
@given(calendars())
def test_two_months_of_a_calendar_and_a_zone_that_nobody_chose(calendar: Calendar) -> None:
    year = calendar.year(2026)
    account = SimulatedAccount(year.start)
    awake = 0
    for hour in simulate(account, calendar, Period(year.start, year.start + timedelta(days=60))):
        judge(hour)
        awake += hour.awake
    found = figures(calendar, 2026)
    assert found.awake + found.off == pytest.approx(found.hours)


@settings(max_examples=4)
@given(calendars())
def test_figures_of_a_calendar_and_a_zone_that_nobody_chose(calendar: Calendar) -> None:
    year = calendar.year(2026)
    awake = awake_minutes(calendar, *year)
    found = figures(calendar, 2026)
    assert found.awake == pytest.approx(len(awake) / 60)
    night = longest_night(calendar, 2026, 2026)
    start, end = max(night.start, year.start), min(night.end, year.end)
    assert not awake & {start + number * MINUTE for number in range(int((end - start) / MINUTE))}


def test_a_calendar_without_a_working_day_sleeps_all_year() -> None:
    everyday = frozenset(date(2026, 1, 1) + timedelta(days=number) for number in range(-500, 1200))
    calendar = Calendar(ZoneInfo("UTC"), 420, 1200, holidays=everyday)
    assert figures(calendar, 2026).share_off == 1
    assert calendar.next_change(datetime(2026, 5, 1, tzinfo=UTC)) is None
    assert calendar.last_change(datetime(2026, 5, 1, tzinfo=UTC)) is None
