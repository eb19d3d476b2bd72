"""Texts as T-SQL reads them where another type is asked for, in the forms that hang on no setting of a login.

https://learn.microsoft.com/sql/t-sql/data-types/date-transact-sql#supported-string-literal-formats-for-date
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

_DAY = re.compile(
    r"(?P<y>\d{4})(?:(?P<m>\d\d)(?P<d>\d\d)|(?P<s>[-/.])(?P<m2>\d\d?)(?P=s)(?P<d2>\d\d?)|)(?=$|[ T])",
    re.ASCII,
)
_TIME = re.compile(
    r"(?P<h>\d\d?)(?::(?P<m>\d\d?)(?::(?P<s>\d\d?)(?:\.(?P<f>\d{1,7}))?)?)? *(?P<half>[AaPp][Mm])?", re.ASCII
)
_UTC = re.compile(r" *(?:Z|[+-]00:00)$")
_OFFSET = re.compile(r"[+-]\d\d:\d\d$")
_UUID = re.compile(r"\{?(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_FORMS = "write '20260131', '2026-01-31' or '2026-01-31T23:59:59.999'"
NO_DAY = date(1900, 1, 1)
"""What T-SQL takes where a text names no day."""


class UnreadableError(ValueError):
    """A text is none of the type; says what to write."""


def day_and_time(text: str) -> tuple[date, time, int]:
    """A day, a time of it, and its tenths of a microsecond. Raises UnreadableError."""
    rest = text.strip(" ")
    if _OFFSET.search(rest) and not _UTC.search(rest):
        raise UnreadableError("SQL Server overlooks the offset of a text: write the time in UTC without one")
    rest = _UTC.sub("", rest)
    found = _DAY.match(rest)
    day = _day(found) if found else NO_DAY
    clock = rest[found.end() + 1 :].strip(" ") if found else rest
    if found and rest[found.end() :] == "T":
        raise UnreadableError(_FORMS)
    return (day, *_clock(clock)) if clock else (day, time(), 0)


def _day(found: re.Match[str]) -> date:
    try:
        return date(int(found["y"]), int(found["m"] or found["m2"] or 1), int(found["d"] or found["d2"] or 1))
    except ValueError:
        raise UnreadableError("there is no such day") from None


def _clock(text: str) -> tuple[time, int]:
    found = _TIME.fullmatch(text)
    if found is None or not (found["m"] or found["half"]):
        raise UnreadableError(f"SQL Server may read it in another way under another language: {_FORMS}")
    hour, fraction = int(found["h"]), (found["f"] or "").ljust(7, "0")
    if half := (found["half"] or "").upper():
        if not 1 <= hour <= 12:
            raise UnreadableError("there is no such time")
        hour = hour % 12 + (12 if half == "PM" else 0)
    try:
        made = time(hour, int(found["m"] or 0), int(found["s"] or 0), int(fraction[:6]))
    except ValueError:
        raise UnreadableError("there is no such time") from None
    return made, int(fraction[6])


def date_text(text: str) -> str:
    return day_and_time(text)[0].isoformat()


def moment_text(text: str, digits: int, zoned: bool) -> str:
    """As SQLite stores a moment with so many digits of a second."""
    day, clock, tenths = day_and_time(text)
    fraction = f"{clock.microsecond:06}{tenths}"
    if fraction[min(digits, 6) :].strip("0"):
        raise UnreadableError(f"of a second it has more than {min(digits, 6)} digits: write no more")
    return f"{day.isoformat()}T{clock_text(clock, digits)}{'+00:00' if zoned else ''}"


def time_text(text: str, digits: int) -> str:
    """As SQLite stores a time of day with so many digits of a second."""
    _, clock, tenths = day_and_time(text)
    if f"{clock.microsecond:06}{tenths}"[min(digits, 6) :].strip("0"):
        raise UnreadableError(f"of a second it has more than {min(digits, 6)} digits: write no more")
    return clock_text(clock, digits)


def clock_text(clock: time, digits: int) -> str:
    return clock.isoformat("microseconds")[: 9 + min(digits, 6) if digits else 8]


def uuid_text(text: str) -> str:
    found = _UUID.fullmatch(text.rstrip(" "))
    if found is None:
        raise UnreadableError("it is no UNIQUEIDENTIFIER: write '6f9619ff-8b86-d011-b42d-00cf4fc964ff'")
    return str(UUID(found["uuid"]))


_LIMITS = {1: (0, 2**8), 2: (-(2**15), 2**15), 4: (-(2**31), 2**31), 8: (-(2**63), 2**63)}


def fitting_int(value: int, size: int) -> int:
    low, high = _LIMITS[size]
    if not low <= value < high:
        raise UnreadableError("the number is too large for its type")
    return value


def int_of(text: str, size: int) -> int:
    """T-SQL takes blanks around it, and nothing at all for 0."""
    if not re.fullmatch(r"[+-]?\d*", text.strip(" "), re.ASCII) or text.strip(" ") in ("+", "-"):
        raise UnreadableError("it is no whole number: write digits alone")
    return fitting_int(int(text.strip(" ") or 0), size)


def decimal_of(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text.strip(" ")):
        raise UnreadableError("it is no DECIMAL: write it as 1234.5")
    return Decimal(text.strip(" "))


def float_of(text: str) -> float:
    if not text.strip(" "):
        return 0.0
    if not _FLOAT.fullmatch(text.strip(" ")):
        raise UnreadableError("it is no FLOAT: write it as 1234.5")
    return float(text)


def bit_of(text: str) -> int:
    known = {"true": 1, "false": 0}.get(text.strip(" ").lower())
    if known is not None:
        return known
    if not re.fullmatch(r"[+-]?\d*", text.strip(" "), re.ASCII):
        raise UnreadableError("it is no BIT: write 1 or 0")
    return int(int(text.strip(" ") or 0) != 0)


def moment_of(text: str) -> datetime:
    """A moment or a day as SQLite stores it."""
    return datetime.fromisoformat(text)
