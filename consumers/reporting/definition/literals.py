"""Conversion of text as T-SQL does it, in forms that depend on no setting of a login.

https://learn.microsoft.com/sql/t-sql/data-types/date-transact-sql#supported-string-literal-formats-for-date
"""

from __future__ import annotations

import re
from datetime import date, time
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
"""The date that T-SQL assumes for a text without one."""


class UnreadableError(ValueError):
    """A text that is no value of the type; the message names a form that is."""


def day_and_time(text: str) -> tuple[date, time, int]:
    """Return the day, the time of day, and tenths of a microsecond. Raises UnreadableError."""
    rest = text.strip(" ")
    # DATETIME2 drops an offset silently, so that the moment would be off by it.
    if _OFFSET.search(rest) and not _UTC.search(rest):
        raise UnreadableError("SQL Server ignores the offset of a text: write the time in UTC without one")
    rest = _UTC.sub("", rest)
    match = _DAY.match(rest)
    day = _day(match) if match else NO_DAY
    clock = rest[match.end() + 1 :].strip(" ") if match else rest
    if match and rest[match.end() :] == "T":
        raise UnreadableError(_FORMS)
    return (day, *_clock(clock)) if clock else (day, time(), 0)


def _day(match: re.Match[str]) -> date:
    try:
        return date(int(match["y"]), int(match["m"] or match["m2"] or 1), int(match["d"] or match["d2"] or 1))
    except ValueError:
        raise UnreadableError("there is no such day") from None


def _clock(text: str) -> tuple[time, int]:
    match = _TIME.fullmatch(text)
    # An hour alone, as in '10', is a time only with AM or PM.
    if match is None or not (match["m"] or match["half"]):
        raise UnreadableError(f"SQL Server may read it in another way under another language: {_FORMS}")
    # T-SQL keeps seven digits: six go into `time`, the seventh is returned beside it.
    hour, fraction = int(match["h"]), (match["f"] or "").ljust(7, "0")
    if half := (match["half"] or "").upper():
        if not 1 <= hour <= 12:
            raise UnreadableError("there is no such time")
        hour = hour % 12 + (12 if half == "PM" else 0)
    try:
        clock = time(hour, int(match["m"] or 0), int(match["s"] or 0), int(fraction[:6]))
    except ValueError:
        raise UnreadableError("there is no such time") from None
    return clock, int(fraction[6])


def date_text(text: str) -> str:
    """Return the day of a text as ISO 8601. Raises UnreadableError."""
    return day_and_time(text)[0].isoformat()


def moment_text(text: str, digits: int, zoned: bool) -> str:
    """Return the moment as SQLite stores it, with so many digits of a second. Raises UnreadableError."""
    day, clock, tenths = day_and_time(text)
    fraction = f"{clock.microsecond:06}{tenths}"
    if fraction[min(digits, 6) :].strip("0"):
        raise UnreadableError(f"it has more than {min(digits, 6)} digits of a second: leave the others out")
    return f"{day.isoformat()}T{clock_text(clock, digits)}{'+00:00' if zoned else ''}"


def time_text(text: str, digits: int) -> str:
    """Return the time of day as SQLite stores it, with so many digits of a second. Raises UnreadableError."""
    _, clock, tenths = day_and_time(text)
    if f"{clock.microsecond:06}{tenths}"[min(digits, 6) :].strip("0"):
        raise UnreadableError(f"it has more than {min(digits, 6)} digits of a second: leave the others out")
    return clock_text(clock, digits)


def clock_text(clock: time, digits: int) -> str:
    """Return the time with so many digits of a second, at most six."""
    return clock.isoformat("microseconds")[: 9 + min(digits, 6) if digits else 8]


def uuid_text(text: str) -> str:
    """Return a UNIQUEIDENTIFIER in lower case. Raises UnreadableError."""
    match = _UUID.fullmatch(text.rstrip(" "))
    if match is None:
        raise UnreadableError("it is not a UNIQUEIDENTIFIER: write '6f9619ff-8b86-d011-b42d-00cf4fc964ff'")
    return str(UUID(match["uuid"]))


_LIMITS = {1: (0, 2**8), 2: (-(2**15), 2**15), 4: (-(2**31), 2**31), 8: (-(2**63), 2**63)}


def fitting_int(value: int, size: int) -> int:
    """Return the value if an int of `size` bytes holds it. Raises UnreadableError."""
    low, high = _LIMITS[size]
    if not low <= value < high:
        raise UnreadableError("the number is too large for its type")
    return value


def int_of(text: str, size: int) -> int:
    """Return a text as an int of `size` bytes.

    As in T-SQL, blanks around it are ignored, and blank text is 0. Raises UnreadableError.
    """
    if not re.fullmatch(r"[+-]?\d*", text.strip(" "), re.ASCII) or text.strip(" ") in ("+", "-"):
        raise UnreadableError("it is not a whole number: write digits only")
    return fitting_int(int(text.strip(" ") or 0), size)


def decimal_of(text: str) -> Decimal:
    """Return a text as a decimal. Raises UnreadableError."""
    if not _NUMBER.fullmatch(text.strip(" ")):
        raise UnreadableError("it is not a DECIMAL: write it as 1234.5")
    return Decimal(text.strip(" "))


def float_of(text: str) -> float:
    """Return a text as a float; blank text is 0, as in T-SQL. Raises UnreadableError."""
    if not text.strip(" "):
        return 0.0
    if not _FLOAT.fullmatch(text.strip(" ")):
        raise UnreadableError("it is not a FLOAT: write it as 1234.5")
    return float(text)


def bit_of(text: str) -> int:
    """Return a text as 0 or 1; every number but 0 is 1. Raises UnreadableError."""
    known = {"true": 1, "false": 0}.get(text.strip(" ").lower())
    if known is not None:
        return known
    if not re.fullmatch(r"[+-]?\d*", text.strip(" "), re.ASCII):
        raise UnreadableError("it is not a BIT: write 1 or 0")
    return int(int(text.strip(" ") or 0) != 0)
