"""T-SQL's functions on values as SQLite stores them: decimals and days are text."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Any

_EXACT = Context(prec=100)
_MIDDLE = Decimal(10) ** 39
_STEPS = {"DAY": 1, "DAYOFYEAR": 1, "WEEK": 7}
_SECONDS = {"HOUR": 3_600, "MINUTE": 60, "SECOND": 1}


class _Sum:
    """To the last digit, of the greatest scale among the values."""

    def __init__(self) -> None:
        self._sum: Decimal | None = None

    def step(self, value: str | None) -> None:
        if value is not None:
            self._sum = _EXACT.add(self._sum or Decimal(0), Decimal(value))

    def finalize(self) -> str | None:
        return None if self._sum is None else format(self._sum, "f")


class _Least:
    def __init__(self) -> None:
        self._value: Decimal | None = None

    def step(self, value: str | None) -> None:
        if value is not None and (self._value is None or self._wins(Decimal(value), self._value)):
            self._value = Decimal(value)

    def _wins(self, value: Decimal, other: Decimal) -> bool:
        return value < other

    def finalize(self) -> str | None:
        return None if self._value is None else format(self._value, "f")


class _Greatest(_Least):
    def _wins(self, value: Decimal, other: Decimal) -> bool:
        return value > other


def _decimal(operation: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, Any], str | None]:
    def on_text(one: Any, other: Any) -> str | None:
        if one is None or other is None:
            return None
        return format(operation(Decimal(str(one)), Decimal(str(other))), "f")

    return on_text


def _compared(one: Any, other: Any) -> int | None:
    """-1, 0 or 1."""
    if one is None or other is None:
        return None
    a, b = Decimal(str(one)), Decimal(str(other))
    return (a > b) - (a < b)


def _rounded(value: Any, scale: int) -> str | None:
    """CAST(... AS DECIMAL(p, scale)) rounds half away from zero."""
    if value is None:
        return None
    return format(Decimal(str(value)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _EXACT), "f")


def _truncated(value: Any) -> int | None:
    """CAST(... AS INT) cuts."""
    return None if value is None else int(Decimal(str(value)).to_integral_value(ROUND_DOWN))


def _sortable(value: Any) -> str | None:
    """Text whose order is that of the numbers."""
    return None if value is None else f"{_EXACT.add(Decimal(str(value)), _MIDDLE):.38f}"


def _date_add(part: str, number: int | None, text: str | None) -> str | None:
    if number is None or text is None:
        return None
    moment = datetime.fromisoformat(text)
    if part in _STEPS:
        moved = moment + timedelta(days=_STEPS[part] * number)
    else:
        months = moment.year * 12 + moment.month - 1 + {"MONTH": 1, "QUARTER": 3, "YEAR": 12}[part] * number
        year, month = divmod(months, 12)
        moved = moment.replace(year=year, month=month + 1, day=min(moment.day, _days(year, month + 1)))
    return moved.date().isoformat() if len(text) == 10 else moved.isoformat(text[10], _precision(text))


def _precision(text: str) -> str:
    return "microseconds" if len(text) >= 26 else "milliseconds"


def _days(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day


def _date_diff(part: str, start: str | None, end: str | None) -> int | None:
    """How many ends of such a part lie between."""
    if start is None or end is None:
        return None
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


def _end_of_month(text: str | None) -> str | None:
    if text is None:
        return None
    day = date.fromisoformat(text[:10])
    return day.replace(day=_days(day.year, day.month)).isoformat()


@lru_cache(maxsize=1_000)
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.findall(r"\[\^?[^\]]*\]|.", text, re.DOTALL)
    of = {"%": ".*", "_": "."}
    return re.compile(
        "".join(of.get(part) or (part if len(part) > 1 else re.escape(part)) for part in parts), re.DOTALL
    )


def _like(pattern: Any, text: Any) -> int | None:
    """Case counts, as in a binary collation; [a-z] and [^a] are T-SQL's."""
    if pattern is None or text is None:
        return None
    return _pattern(str(pattern)).fullmatch(str(text)) is not None


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "decimal_add": (2, _decimal(_EXACT.add)),
    "decimal_subtract": (2, _decimal(_EXACT.subtract)),
    "decimal_multiply": (2, _decimal(_EXACT.multiply)),
    "decimal_compare": (2, _compared),
    "decimal_round": (2, _rounded),
    "decimal_truncate": (1, _truncated),
    "decimal_sortable": (1, _sortable),
    "tsql_date_add": (3, _date_add),
    "tsql_date_diff": (3, _date_diff),
    "tsql_end_of_month": (1, _end_of_month),
    "like": (2, _like),
    "upper": (1, lambda text: None if text is None else str(text).upper()),
    "lower": (1, lambda text: None if text is None else str(text).lower()),
}
DATE_PARTS = frozenset({"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
TIME_PARTS = frozenset(_SECONDS)
"""Of DATEDIFF alone."""


def _aggregate(make: Any) -> Any:
    """typeshed's own type of them is not to be met by a class whose step takes one value."""
    return make


def register(connection: sqlite3.Connection) -> None:
    """Makes them known to a connection."""
    for name, (arguments, function) in _FUNCTIONS.items():
        connection.create_function(name, arguments, function, deterministic=True)
    connection.create_aggregate("decimal_sum", 1, _aggregate(_Sum))
    connection.create_aggregate("decimal_min", 1, _aggregate(_Least))
    connection.create_aggregate("decimal_max", 1, _aggregate(_Greatest))
