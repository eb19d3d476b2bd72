"""Attributes and columns that no schema names, reported by name and never by value (INV-7).

A sighting states that names occurred in the source on a day. It has no clock and no count, so that a retry or
another container writes the same object. Days can be counted, occurrences cannot (INV-5).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from schemas.payload.codec import Schema
from schemas.payload.fields import ANY_SOURCE

DRIFT_PREFIX: Final = "drift/"
"""Prefix of the keys of sightings in the bucket of the source account."""
MAX_NAMES: Final = 100
"""Most names that one container reports of one entity, source and day."""
OTHER_FORM: Final = "(a name of another form)"
"""Replaces a text that may be a value, for example in a file without a header."""
MORE_NAMES: Final = "(more names)"
KEY_TEXTS: Final = "(one key in several texts)"
"""Reports, instead of a name, rows of a file with one key in different texts, such as 1 and 01.

They became one row of the table.
"""

# Five digits in a row, an @ or a long text suggest a value, such as an account number or a mail address.
_NAME = re.compile(r"(?!.*\d{5})[A-Za-z_][\w .,():/&'-]{0,63}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unknown(StrEnum):
    """The setting `unknown` in entity.toml: what to do about such names."""

    IGNORE = "ignore"
    REPORT = "report"
    REJECT = "reject"


class Sighting(NamedTuple):
    """Names that occurred on one day (UTC) of the source."""

    entity: str
    source: str
    day: date
    names: tuple[str, ...]


class Drift(NamedTuple):
    """One name, the number of days on which it occurred, and the first and the last of them."""

    entity: str
    source: str
    name: str
    days: int
    first: date
    last: date


def known_names(schemas: Iterable[Schema], source: str) -> frozenset[str]:
    """Return the names that a source uses for the fields of any version, also for dropped ones."""
    names: set[str] = set()
    for schema in schemas:
        names.update(field.source_name(source) for field in schema.fields)
        names.update(_dropped(name, from_names, source) for name, from_names in schema.dropped.items())
    return frozenset(names)


def _dropped(name: str, from_names: object, source: str) -> str:
    by_source = from_names if isinstance(from_names, Mapping) else {ANY_SOURCE: from_names}
    return str(by_source.get(source, by_source.get(ANY_SOURCE, name)))


def safe_name(name: str) -> str:
    """Return the name, or OTHER_FORM if it may be a value. KEY_TEXTS is returned unchanged."""
    return name if name == KEY_TEXTS or _NAME.fullmatch(name) else OTHER_FORM


def name_list(names: Iterable[str]) -> str:
    """Return at most ten of the names, to be shown in a sentence."""
    safe = sorted({safe_name(name) for name in names})
    return ", ".join(safe[:10]) + (f" and {len(safe) - 10} more" if len(safe) > 10 else "")


def day_of(occurred_at: int) -> date:
    """Return the day in UTC of a moment in microseconds since 1970."""
    return (_EPOCH + timedelta(microseconds=occurred_at)).date()


def sighting_keys(sighting: Sighting) -> list[str]:
    """Return the keys of the objects of a sighting, one for each name, sorted. The objects are empty."""
    # One object for each name, whatever containers see first: a day has as many objects as names, and a
    # listing reads them all without a GET.
    source = quote(sighting.source, safe="")
    folder = f"{DRIFT_PREFIX}{sighting.day}/{sighting.entity}/{source}/"
    return [f"{folder}{quote(name, safe='')}" for name in sorted(sighting.names)]


def sighting_of(key: str) -> Sighting:
    """Return the sighting of one name that a key states: the inverse of `sighting_keys`.

    Raises ValueError for any other key.
    """
    day, entity, source, name = key.removeprefix(DRIFT_PREFIX).split("/")
    return Sighting(entity, unquote(source), date.fromisoformat(day), (unquote(name),))


def fold_sightings(sightings: Iterable[Sighting]) -> list[Drift]:
    """Return the drift of all names, in order of entity, source and name."""
    days: dict[tuple[str, str, str], set[date]] = {}
    for entity, source, day, names in sightings:
        for name in names:
            days.setdefault((entity, source, name), set()).add(day)
    return [
        Drift(entity, source, name, days=len(seen), first=min(seen), last=max(seen))
        for (entity, source, name), seen in sorted(days.items())
    ]
