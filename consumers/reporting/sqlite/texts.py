"""T-SQL's text functions, which count UTF-16 code units, and the conversion of text."""

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
    """Return part of a text.

    Raises ValueError for a negative length, as SQL Server does, and for half a character.
    """
    if length < 0:
        raise ValueError("a negative length")
    end = max(start + length - 1, 0)
    # T-SQL counts from 1, and a start before 1 shortens the length.
    return _units(str(text))[2 * max(start - 1, 0) : 2 * end].decode("utf-16-le")


def _left(text: Any, length: int) -> str:
    return _substring(text, 1, length)


def _right(text: Any, length: int) -> str:
    units = len(_units(str(text))) // 2
    return _substring(text, max(units - length, 0) + 1, min(length, units) if length >= 0 else length)


def _position(searched: Any, text: Any, start: int) -> int:
    """Return the position from 1, or 0 where the text does not occur or is empty."""
    units, part = _units(str(text)), _units(str(searched))
    at = 2 * max(start - 1, 0)
    while part and (at := units.find(part, at)) >= 0:
        # A match at an odd byte spans two code units.
        if at % 2 == 0:
            return at // 2 + 1
        at += 1
    return 0


def _cased(change: Callable[[str], str]) -> Callable[[Any], str]:
    """Change letters one by one; a letter that would become two stays as it is."""
    return lambda text: "".join(
        changed if len(changed := change(letter)) == 1 else letter for letter in str(text)
    )


def _ansi(text: Any) -> str:
    """Return a text as VARCHAR. Raises ValueError for characters that SQL Server would replace by a question
    mark."""
    # SQL Server would replace the character silently; here the statement fails.
    str(text).encode("cp1252")
    return str(text)


def _fitting(text: Any, size: int) -> str:
    """Return a number as text. Raises ValueError where it is longer than the type."""
    if len(str(text)) > size:
        raise ValueError("the text of a number is longer than its type")
    return str(text)


def _read(text: str, kind: str, size: int, scale: int, is_try: int) -> Any:
    """Return a text as CAST converts it.

    Raises ValueError where it can't be converted; TRY_CAST then returns NULL.
    """
    try:
        return stored(text, kind, size, scale)
    except (UnreadableError, ArithmeticError):
        if is_try:
            return None
        raise


# A pattern is constant in most reports, and LIKE is called for each row.
@lru_cache(maxsize=1_000)
def _pattern(text: str, escape: str) -> re.Pattern[str]:
    pattern, parts = "", iter(_pieces(text, escape))
    for part, is_literal in parts:
        if is_literal:
            pattern += re.escape(part)
        elif len(part) > 1:
            pattern += _set(part)
        else:
            pattern += {"%": ".*", "_": "."}.get(part) or re.escape(part)
    return re.compile(pattern, re.DOTALL)


def _pieces(text: str, escape: str) -> list[tuple[str, bool]]:
    """Return wildcards and characters, with True for characters behind an escape, which are literal."""
    pieces, at = [], 0
    while at < len(text):
        if escape and text[at] == escape and at + 1 < len(text):
            pieces.append((text[at + 1], True))
            at += 2
            continue
        match = _PARTS.match(text, at)
        piece = match[0] if match else text[at]
        pieces.append((piece, False))
        at += len(piece)
    return pieces


def _set(part: str) -> str:
    """Return a regular expression of a set as [a-f] or [^a-f], in which only - between two characters is
    special."""
    inner, negated = part[1:-1], ""
    if inner.startswith("^"):
        inner, negated = inner[1:], "^"
    escaped = "".join(f"\\{character}" if character in "\\[]^&~|" else character for character in inner)
    # An empty set matches nothing.
    return f"[{negated}{escaped}]" if inner else "(?!)"


def like(pattern: Any, text: Any, escape: str = "") -> int:
    """Return whether a text matches a LIKE pattern.

    Case and trailing blanks count, as in a binary collation.
    """
    return _pattern(str(pattern), escape).fullmatch(str(text)) is not None


def _uuid_sortable(text: str) -> str:
    """Return the groups of a UUID in the order in which SQL Server compares them.

    It compares the last six bytes first, then group by group from the right; the first three groups as they
    are stored, little-endian.
    """
    a, b, c, d, e = text.split("-")
    return "-".join((e, d, _reversed_bytes(c), _reversed_bytes(b), _reversed_bytes(a)))


def _uuid_unsorted(text: str) -> str:
    """Return the UUID of `_uuid_sortable`."""
    e, d, c, b, a = text.split("-")
    return "-".join((_reversed_bytes(a), _reversed_bytes(b), _reversed_bytes(c), d, e))


def _reversed_bytes(text: str) -> str:
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
