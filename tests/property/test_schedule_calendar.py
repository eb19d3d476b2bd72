"""The calendar against one that is judged minute by minute, in every time zone of the world."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedule_world import MINUTE, awake_minutes, london, minutes

from headwater.schedule.calendar import Calendar

ZONES = sorted(available_timezones())
# Since 1972 no zone is off by a fraction of a minute.
YEARS = range(1975, 2038)


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The days of a year on which the clocks of a zone change, and New Year's Eve."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(366)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [day for day, one, other in zip(days, offsets, offsets[1:], strict=False) if one != other] + days[
        -2:
    ]


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Calendar, datetime]:
    """A calendar, and a moment near a change of the clocks."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    moment = draw(st.sampled_from(changes(zone, draw(st.sampled_from(YEARS)))))
    start = draw(st.one_of(st.integers(0, 239), st.integers(0, 1439)))
    end = draw(st.one_of(st.just(1440), st.integers(start + 1, 1440)))
    near = [moment.date() + timedelta(days=number) for number in range(-3, 4)]
    return Calendar(
        zone,
        start,
        end,
        frozenset(draw(st.sets(st.integers(0, 6), min_size=1))) | {moment.weekday()},
        frozenset(draw(st.sets(st.sampled_from(near), max_size=3))),
    ), moment


def check(calendar: Calendar, start: datetime, end: datetime) -> None:
    expected = awake_minutes(calendar, start, end)
    found = [minute for period in calendar.periods(start, end) for minute in minutes(*period)]
    assert len(found) == len({*found})
    assert {*found} == expected
    total = sum((period.length for period in calendar.periods(start, end)), timedelta())
    total += sum((night.length for night in calendar.nights(start, end)), timedelta())
    assert total == end - start


@given(calendars())
def test_periods_are_those_of_the_clocks_of_the_zone(drawn: tuple[Calendar, datetime]) -> None:
    calendar, moment = drawn
    check(calendar, moment - timedelta(days=1), moment + timedelta(days=2))


@given(calendars(), st.integers(-2_000, 2_000))
def test_awake_and_changes_agree_with_the_periods(drawn: tuple[Calendar, datetime], offset: int) -> None:
    calendar, moment = drawn[0], drawn[1] + offset * MINUTE
    assert calendar.is_awake(moment) == bool(awake_minutes(calendar, moment, moment + MINUTE))
    following, last = calendar.next_change(moment), calendar.last_change(moment)
    if following:
        assert following.at > moment
        assert calendar.is_awake(following.at) == following.awake != calendar.is_awake(moment)
        assert calendar.is_awake(following.at - MINUTE) == calendar.is_awake(moment)
    if last:
        assert last.at <= moment
        assert calendar.is_awake(last.at) == last.awake == calendar.is_awake(moment)


SKIPPED_OR_CHANGED_AT_MIDNIGHT = (
    ("Pacific/Apia", 2011),  # without 30 December
    ("Pacific/Kwajalein", 1993),  # without 21 August
    ("America/Asuncion", 2024),
    ("Africa/Cairo", 2026),
    ("Asia/Beirut", 2026),
    ("America/Havana", 2026),
    ("Atlantic/Azores", 2026),
    ("Asia/Gaza", 2026),
    ("America/Scoresbysund", 2024),
    ("Australia/Lord_Howe", 2026),  # by half an hour
    ("Antarctica/Troll", 2026),  # by two hours
    ("Africa/Casablanca", 2026),
    ("Europe/London", 2026),
)


@pytest.mark.parametrize(("zone", "year"), SKIPPED_OR_CHANGED_AT_MIDNIGHT)
@pytest.mark.parametrize(("start", "end"), [(0, 1440), (0, 60), (30, 90), (60, 120), (90, 150), (1380, 1440)])
def test_days_of_changes_in_zones_that_are_easy_to_get_wrong(
    zone: str, year: int, start: int, end: int
) -> None:
    calendar = Calendar(ZoneInfo(zone), start, end, frozenset(range(7)))
    for moment in changes(calendar.zone, year):
        check(calendar, moment - timedelta(days=1), moment + timedelta(days=2))


def test_the_day_that_a_zone_skips_has_no_period() -> None:
    calendar = Calendar(ZoneInfo("Pacific/Apia"), 0, 1440, frozenset(range(7)))
    start, end = datetime(2011, 12, 29, 10, tzinfo=UTC), datetime(2012, 1, 1, 10, tzinfo=UTC)
    assert {period.start.astimezone(calendar.zone).date() for period in calendar.periods(start, end)} == {
        date(2011, 12, 29),
        date(2011, 12, 31),
        date(2012, 1, 1),
    }


def test_a_whole_year_in_london_minute_by_minute() -> None:
    calendar = london()
    check(calendar, *calendar.year(2026))
