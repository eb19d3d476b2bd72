"""T-SQL's functions of days and moments as SQLite stores them, and all functions of ours for a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from consumers.reporting.definition.literals import clock_text
from consumers.reporting.sqlite import decimals as sqlite_decimals
from consumers.reporting.sqlite import texts as sqlite_texts
from consumers.reporting.sqlite.decimals import of_values

_STEPS = {"DAY": 1, "DAYOFYEAR": 1, "WEEK": 7}
_SECONDS = {"HOUR": 3_600, "MINUTE": 60, "SECOND": 1}


def _date_add(part: str, number: int, text: str) -> str:
    moment = datetime.fromisoformat(text)
    if part in _SECONDS:
        moved = moment + timedelta(seconds=_SECONDS[part] * number)
    elif part in _STEPS:
        moved = moment + timedelta(days=_STEPS[part] * number)
    else:
        months = moment.year * 12 + moment.month - 1 + {"MONTH": 1, "QUARTER": 3, "YEAR": 12}[part] * number
        year, month = divmod(months, 12)
        moved = moment.replace(year=year, month=month + 1, day=min(moment.day, _days(year, month + 1)))
    day = moved.date().isoformat()
    return (
        day
        if len(text) == 10
        else f"{day}T{moved.time().isoformat('microseconds')[: _end(text) - 11]}{_zone(text)}"
    )


def _zone(text: str) -> str:
    return "+00:00" if text.endswith("+00:00") else ""


def _end(text: str) -> int:
    """Where its digits end."""
    return len(text) - len(_zone(text))


def _moment(text: str, digits: int, zoned: int) -> str:
    """With so many digits of a second, rounded."""
    step = 10 ** (6 - min(digits, 6))
    given = datetime.fromisoformat(text[: _end(text)])
    rest = given.microsecond % step
    made = given + timedelta(microseconds=step - rest if rest * 2 >= step > 1 else -rest)
    return f"{made.date().isoformat()}T{clock_text(made.time(), digits)}{'+00:00' if zoned else ''}"


def _time(text: str, digits: int) -> str:
    return _moment(f"1900-01-01T{text}", digits, 0)[11:]


def _days(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day


def _date_diff(part: str, start: str, end: str) -> int:
    """How many ends of such a part lie between."""
    if part in _SECONDS:
        return _steps(end, _SECONDS[part]) - _steps(start, _SECONDS[part])
    a, b = date.fromisoformat(start[:10]), date.fromisoformat(end[:10])
    if part == "DAY":
        return (b - a).days
    months = (b.year - a.year) * 12 + b.month - a.month
    if part == "MONTH":
        return months
    if part == "QUARTER":
        return (b.year * 4 + (b.month - 1) // 3) - (a.year * 4 + (a.month - 1) // 3)
    return b.year - a.year


def _steps(text: str, seconds: int) -> int:
    """Whole ones since the day before the first."""
    at = datetime.fromisoformat(text)
    return (at.toordinal() * 86_400 + at.hour * 3_600 + at.minute * 60 + at.second) // seconds


def _end_of_month(text: str) -> str:
    day = date.fromisoformat(text[:10])
    return day.replace(day=_days(day.year, day.month)).isoformat()


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **sqlite_decimals.FUNCTIONS,
    **sqlite_texts.FUNCTIONS,
    "tsql_date_add": (3, _date_add),
    "tsql_date_diff": (3, _date_diff),
    "tsql_end_of_month": (1, _end_of_month),
    "tsql_date_from_parts": (3, lambda year, month, day: date(year, month, day).isoformat()),
    "tsql_moment": (3, _moment),
    "tsql_time": (2, _time),
}
DATE_PARTS = frozenset({"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
TIME_PARTS = frozenset(_SECONDS)
"""Not of a DATE."""


def _aggregate(make: Any) -> Any:
    """typeshed's own type of them is not to be met by a class whose step takes one value."""
    return make


def register(connection: sqlite3.Connection) -> None:
    """Makes them known to a connection."""
    for name, (arguments, function) in [*_FUNCTIONS.items(), _LIKE]:
        connection.create_function(name, arguments, of_values(function), deterministic=True)
    connection.create_aggregate("decimal_sum", 1, _aggregate(sqlite_decimals.Sum))
    connection.create_aggregate("decimal_min", 1, _aggregate(sqlite_decimals.Least))
    connection.create_aggregate("decimal_max", 1, _aggregate(sqlite_decimals.Greatest))


_LIKE = ("like", (3, sqlite_texts.like))
"""LIKE ... ESCAPE."""
