"""T-SQL's functions of texts, which count in code units of UTF-16, and what it reads texts as."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from consumers.reporting.definition.literals import UnreadableError
from consumers.reporting.sqlite.reads import stored

_PARTS = re.compile(r"\[\^?\]?[^\]]*\]|.", re.DOTALL)


def _units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _substring(text: Any, start: int, length: int) -> str:
    """Raises ValueError for a negative length, as SQL Server does, and for half a character."""
    if length < 0:
        raise ValueError("a negative length")
    end = max(start + length - 1, 0)
    return _units(str(text))[2 * max(start - 1, 0) : 2 * end].decode("utf-16-le")


def _left(text: Any, length: int) -> str:
    return _substring(text, 1, length)


def _right(text: Any, length: int) -> str:
    units = len(_units(str(text))) // 2
    return _substring(text, max(units - length, 0) + 1, min(length, units) if length >= 0 else length)


def _position(wanted: Any, text: Any, start: int) -> int:
    """0 where it is not there, or is empty."""
    units, part = _units(str(text)), _units(str(wanted))
    at = 2 * max(start - 1, 0)
    while part and (at := units.find(part, at)) >= 0:
        if at % 2 == 0:
            return at // 2 + 1
        at += 1
    return 0


def _cased(change: Callable[[str], str]) -> Callable[[Any], str]:
    """Letter by letter: none becomes two."""
    return lambda text: "".join(made if len(made := change(each)) == 1 else each for each in str(text))


def _ansi(text: Any) -> str:
    """As VARCHAR. Raises ValueError for what SQL Server makes ? of."""
    str(text).encode("cp1252")
    return str(text)


def _fitting(text: Any, size: int) -> str:
    """A number as text. Raises ValueError where SQL Server has no room for it."""
    if len(str(text)) > size:
        raise ValueError("the text of a number is longer than its type")
    return str(text)


def _read(text: str, kind: str, size: int, scale: int, is_try: int) -> Any:
    """CAST of a text. Raises ValueError where it is none of that kind; TRY_CAST gives NULL."""
    try:
        return stored(text, kind, size, scale)
    except (UnreadableError, ArithmeticError):
        if is_try:
            return None
        raise


@lru_cache(maxsize=1_000)
def _pattern(text: str, escape: str) -> re.Pattern[str]:
    made, parts = "", iter(_pieces(text, escape))
    for part, is_literal in parts:
        if is_literal:
            made += re.escape(part)
        elif len(part) > 1:
            made += _set(part)
        else:
            made += {"%": ".*", "_": "."}.get(part) or re.escape(part)
    return re.compile(made, re.DOTALL)


def _pieces(text: str, escape: str) -> list[tuple[str, bool]]:
    """Wildcards and characters; those after an escape are themselves."""
    made, at = [], 0
    while at < len(text):
        if escape and text[at] == escape and at + 1 < len(text):
            made.append((text[at + 1], True))
            at += 2
            continue
        found = _PARTS.match(text, at)
        piece = found[0] if found else text[at]
        made.append((piece, False))
        at += len(piece)
    return made


def _set(part: str) -> str:
    """[a-f] and [^a-f]; - is a range between two characters alone."""
    inner, negated = part[1:-1], ""
    if inner.startswith("^"):
        inner, negated = inner[1:], "^"
    escaped = "".join(f"\\{each}" if each in "\\[]^&~|" else each for each in inner)
    return f"[{negated}{escaped}]" if inner else "(?!)"


def like(pattern: Any, text: Any, escape: str = "") -> int:
    """Case counts, as in a binary collation, and so do blanks at the end."""
    return _pattern(str(pattern), escape).fullmatch(str(text)) is not None


def _uuid_sortable(text: str) -> str:
    """SQL Server compares the last six bytes first, then group by group from the right, and within the first
    three groups the bytes from the left as they are stored, which is little-endian."""
    a, b, c, d, e = text.split("-")
    return "-".join((e, d, _turned(c), _turned(b), _turned(a)))


def _uuid_unsorted(text: str) -> str:
    e, d, c, b, a = text.split("-")
    return "-".join((_turned(a), _turned(b), _turned(c), d, e))


def _turned(text: str) -> str:
    return bytes.fromhex(text)[::-1].hex()


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "like": (2, like),
    "upper": (1, _cased(str.upper)),
    "lower": (1, _cased(str.lower)),
    "tsql_len": (1, lambda text: len(_units(str(text).rstrip(" "))) // 2),
    "tsql_bytes": (1, lambda text: len(_units(str(text)))),
    "tsql_substring": (3, _substring),
    "tsql_left": (2, _left),
    "tsql_right": (2, _right),
    "tsql_position": (3, _position),
    "tsql_ansi": (1, _ansi),
    "tsql_fitting": (2, _fitting),
    "tsql_read": (5, _read),
    "tsql_uuid_sortable": (1, _uuid_sortable),
    "tsql_uuid_unsorted": (1, _uuid_unsorted),
}
