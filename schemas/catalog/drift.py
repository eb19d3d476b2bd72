"""Attributes and columns that no schema names: seen by name, never by value (INV-7).

A sighting is a fact without a clock or a count: on that day of the source these names were there. So a retry,
or another container, makes the same object, and days can be counted where sightings can not (INV-5).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from schemas.payload.codec import Schema
from schemas.payload.fields import ANY_SOURCE

PREFIX: Final = "drift/"
"""In the source account's bucket."""
MAX_NAMES: Final = 100
"""Of one source of one entity and day, that one container tells."""
OTHER_FORM: Final = "(a name of another form)"
"""For what may be a value that came to stand in the place of a name."""
MORE_NAMES: Final = "(more names)"
KEY_TEXTS: Final = "(one key in several texts)"
"""Stands for no name: rows of a file had one key, such as 1 and 01, and were one row of the table."""

_NAME = re.compile(r"(?!.*\d{5})[A-Za-z_][\w .,():/&'-]{0,63}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unknown(StrEnum):
    """What `unknown` in entity.toml says of such names."""

    IGNORE = "ignore"
    REPORT = "report"
    REJECT = "reject"


class Sighting(NamedTuple):
    """Names that were there on one day (UTC) of the source."""

    entity: str
    source: str
    day: date
    names: tuple[str, ...]


class Drift(NamedTuple):
    """One name, and the first and the last day on which it was there."""

    entity: str
    source: str
    name: str
    days: int
    first: date
    last: date


def known_names(schemas: Iterable[Schema], source: str) -> frozenset[str]:
    """What a source calls the fields of any version, those that are dropped, too."""
    names: set[str] = set()
    for schema in schemas:
        names.update(field.source_name(source) for field in schema.fields)
        names.update(_dropped(name, given, source) for name, given in schema.dropped.items())
    return frozenset(names)


def _dropped(name: str, given: object, source: str) -> str:
    by_source = given if isinstance(given, Mapping) else {ANY_SOURCE: given}
    return str(by_source.get(source, by_source.get(ANY_SOURCE, name)))


def safe_name(name: str) -> str:
    """The name, or OTHER_FORM where it does not look like one: too long, not ASCII, an `@`, five digits in
    a row. KEY_TEXTS as it is."""
    return name if name == KEY_TEXTS or _NAME.fullmatch(name) else OTHER_FORM


def name_list(names: Iterable[str]) -> str:
    """The names as they stand in a sentence, ten at most."""
    some = sorted({safe_name(name) for name in names})
    return ", ".join(some[:10]) + (f" and {len(some) - 10} more" if len(some) > 10 else "")


def day_of(occurred_at: int) -> date:
    """`occurred_at`: microseconds since 1970."""
    return (_EPOCH + timedelta(microseconds=occurred_at)).date()


def sighting_keys(sighting: Sighting) -> list[str]:
    """The keys of its objects, one for each name, in their order. The key says all: the object is empty.

    So whatever containers see first, a day has as many objects as names, and reading them is listing them.
    """
    source = quote(sighting.source, safe="")
    folder = f"{PREFIX}{sighting.day}/{sighting.entity}/{source}/"
    return [f"{folder}{quote(name, safe='')}" for name in sorted(sighting.names)]


def sighting_of(key: str) -> Sighting:
    """What one of `sighting_keys` says. Raises ValueError for any other key."""
    day, entity, source, name = key.removeprefix(PREFIX).split("/")
    return Sighting(entity, unquote(source), date.fromisoformat(day), (unquote(name),))


def fold_sightings(sightings: Iterable[Sighting]) -> list[Drift]:
    """By entity, source and name, in this order."""
    days: dict[tuple[str, str, str], set[date]] = {}
    for entity, source, day, names in sightings:
        for name in names:
            days.setdefault((entity, source, name), set()).add(day)
    return [Drift(*of, len(there), min(there), max(there)) for of, there in sorted(days.items())]
