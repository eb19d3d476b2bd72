"""A calendar from texts, as deployment.toml, the command line and the environment have them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from headwater.schedule.calendar import DAYS, Calendar
from schemas.refusals import refused, unknown

ZONE, FROM, TO, WORKING_DAYS, HOLIDAYS = NAMES = ("Zone", "From", "To", "WorkingDays", "Holidays")
"""The parts of a calendar. Lists are texts with commas between the items."""
WEEK: Final = ",".join(DAYS[:5])
"""The working days of most firms."""
FIRST_YEAR, LAST_YEAR = 1980, 2100
"""Years that a calendar may be about; outside them the rules of a time zone are guesses."""
MIDNIGHT: Final = 24 * 60
# All variables of a function have 4 KB together, and the other ones are names:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MOST_HOLIDAYS: Final = 200


# Names that a system has beside those of the database. What they mean depends on the machine.
_NO_ZONES: Final = {"Factory", "localtime", "posixrules"}


def read_calendar(texts: Mapping[str, str], places: Mapping[str, str]) -> tuple[Calendar | None, list[str]]:
    """Return the calendar and what is wrong with it; None if anything is.

    Args:
        texts: The text of each part. Holidays may be missing.
        places: Where each part was found, for the texts of refusals.
    """
    problems = [str(problem) for problem in _problems(texts, places)]
    if problems:
        return None, problems
    days = frozenset(DAYS.index(day) for day in _items(texts[WORKING_DAYS]))
    holidays = frozenset(map(date.fromisoformat, _items(texts.get(HOLIDAYS, ""))))
    start, end = (_minutes(texts[name]) or 0 for name in (FROM, TO))
    return Calendar(ZoneInfo(texts[ZONE]), start, end, days, holidays), []


def _problems(texts: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Exception]:
    zones = available_timezones() - _NO_ZONES
    if texts[ZONE] not in zones:
        near = unknown(places[ZONE], texts[ZONE], sorted(zones))
        hint = re.search(r"did you mean .*?\? ", str(near))
        allowed = "a time zone of the IANA database, such as Europe/London"
        yield refused(places[ZONE], texts[ZONE], f"{hint[0] if hint else ''}{allowed}")
    yield from _hours(texts, places)
    yield from _days(texts[WORKING_DAYS], places[WORKING_DAYS])
    yield from _holidays(_items(texts.get(HOLIDAYS, "")), places[HOLIDAYS])


def _hours(texts: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Exception]:
    for name in (FROM, TO):
        if _minutes(texts[name]) is None:
            yield refused(places[name], texts[name], "hours and minutes, 00:00 to 24:00")
    start, end = _minutes(texts[FROM]), _minutes(texts[TO])
    if start is not None and end is not None and start >= end:
        # Hours over midnight would belong to two days, of which one may be a holiday.
        yield refused(places[TO], texts[TO], f"later than {FROM}, which is {texts[FROM]}, on the same day")


def _days(text: str, place: str) -> Iterator[Exception]:
    days = _items(text)
    for day in days:
        if day not in DAYS:
            yield unknown(place, day, DAYS)
    if not days or len({*days}) < len(days):
        yield refused(place, text, f"one or more of {', '.join(DAYS)}, each once")


def _holidays(days: tuple[str, ...], place: str) -> Iterator[Exception]:
    for day, count in Counter(days).items():
        if not _is_date(day):
            yield refused(place, day, f"dates, such as 2026-12-25, from {FIRST_YEAR} to {LAST_YEAR}")
        elif count > 1:
            yield refused(place, day, f"each date once; it is there {count} times")
    if len(days) > MOST_HOLIDAYS:
        yield refused(place, f"{len(days)} dates", f"at most {MOST_HOLIDAYS}: take those of past years away")


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",")) if text.strip() else ()


def _minutes(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{2}):([0-5][0-9])", text)
    minutes = int(match[1]) * 60 + int(match[2]) if match else None
    return minutes if minutes is not None and minutes <= MIDNIGHT else None


def _is_date(text: str) -> bool:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day.isoformat() == text and FIRST_YEAR <= day.year <= LAST_YEAR
