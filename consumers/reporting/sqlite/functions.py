"""T-SQL's date functions on values as SQLite stores them, and the registration of all functions."""

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
        # Adding months keeps the day, or takes the last day of a shorter month, as DATEADD does.
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
    """Return where the digits of a moment end, before its zone."""
    return len(text) - len(_zone(text))


def _moment(text: str, digits: int, zoned: int) -> str:
    """Return a moment rounded to so many digits of a second."""
    # SQLite keeps microseconds: a seventh digit of DATETIME2 is not stored.
    step = 10 ** (6 - min(digits, 6))
    moment = datetime.fromisoformat(text[: _end(text)])
    rest = moment.microsecond % step
    rounded = moment + timedelta(microseconds=step - rest if rest * 2 >= step > 1 else -rest)
    return f"{rounded.date().isoformat()}T{clock_text(rounded.time(), digits)}{'+00:00' if zoned else ''}"


def _time(text: str, digits: int) -> str:
    return _moment(f"1900-01-01T{text}", digits, 0)[11:]


def _days(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day


def _date_diff(part: str, start: str, end: str) -> int:
    """Return how many boundaries of a part are between two moments, as DATEDIFF does."""
    if part in _SECONDS:
        return _steps(end, _SECONDS[part]) - _steps(start, _SECONDS[part])
    # Only the calendar counts: from 31 December to 1 January is one YEAR, as in T-SQL.
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
    """Return the whole steps of so many seconds since the day before 0001-01-01."""
    moment = datetime.fromisoformat(text)
    seconds_of_day = moment.hour * 3_600 + moment.minute * 60 + moment.second
    return (moment.toordinal() * 86_400 + seconds_of_day) // seconds


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
"""Parts that a DATE does not have."""


def _aggregate(make: Any) -> Any:
    """Return the class unchanged.

    Hides it from typeshed, whose protocol allows no `step` with one typed argument.
    """
    return make


def register(connection: sqlite3.Connection) -> None:
    """Register all functions with a connection."""
    for name, (arguments, function) in [*_FUNCTIONS.items(), _LIKE]:
        # Deterministic functions may be used in indexes, and are called once for constant arguments.
        connection.create_function(name, arguments, of_values(function), deterministic=True)
    connection.create_aggregate("decimal_sum", 1, _aggregate(sqlite_decimals.Sum))
    connection.create_aggregate("decimal_min", 1, _aggregate(sqlite_decimals.Least))
    connection.create_aggregate("decimal_max", 1, _aggregate(sqlite_decimals.Greatest))


_LIKE = ("like", (3, sqlite_texts.like))
"""LIKE ... ESCAPE, which SQLite calls with a third argument."""
