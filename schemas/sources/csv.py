"""A feed of CSV files as a source: its properties in entity.toml. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from schemas.errors import ConfigurationError
from schemas.evolution.formats import reads_differently
from schemas.payload.avsc import fits_strptime
from schemas.payload.codec import Schema
from schemas.payload.fields import NO_DEFAULT, Field, FieldType
from schemas.refusals import missing, only_known, refused, unknown
from schemas.sources.kind import RENAMED, Setting, SourceKind, boolean, sources_of

if TYPE_CHECKING:
    from schemas.catalog.entity import Catalog, Entity

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "or another text encoding of Python")
_CELLS = ("cells read otherwise",)


class Mode(StrEnum):
    """What a file of a feed says: more facts, the present state of some keys, or of all keys."""

    APPEND = "append"
    UPSERT = "upsert"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A feed of CSV files under drop/<feed>/."""

    name: str
    """`csv:<feed>`, unique in the installation."""
    feed: str
    mode: Mode
    encoding: str = "utf-8"
    delimiter: str = ","
    header: Literal[True] | tuple[str, ...] = True
    """True: the first row names the columns. Names: the files have no such row, these are their columns."""
    effective: str | None = None
    """The pattern of strptime that finds a date in a file's name; without it the last upload wins."""
    trim: bool = False
    """Whether blanks around a value are left out."""
    min_rows: int = 1
    """A snapshot of fewer rows sweeps nothing."""
    reject_limit: float | int | None = None
    """Rejected rows that a file may have: a number of rows (int) or a share of them (float, 0 to 1)."""
    quoting: bool = True
    """Whether quotes enclose text, as in RFC 4180; without it they are characters like any other."""
    skip_lines: int = 0
    """Lines above the header that are no rows."""
    older_files: bool = False
    """Whether files with the columns of an older version are taken, with the defaults of later fields."""
    max_deleted: float | int = 0.2
    """Rows that a snapshot may delete: a number (int), or a share of them (float, 0 to 1) beyond ten."""

    @property
    def allows_no_key(self) -> bool:
        """True for facts that are only ever added: each row is known by its file and number."""
        return self.mode is Mode.APPEND


def entity_of_feed(catalog: Catalog, feed: str) -> tuple[Entity, CsvSource] | None:
    """The one entity that takes the rows of a feed; None for an unknown feed."""
    pairs = sources_of(catalog.entities.values(), CsvSource)
    return next((pair for pair in pairs if pair[1].feed == feed), None)


def feeds(catalog: Catalog) -> tuple[str, ...]:
    """Names of all feeds."""
    return tuple(source.feed for _, source in sources_of(catalog.entities.values(), CsvSource))


def _read(where: str, given: Mapping[str, Any], schema: Schema) -> CsvSource:
    only_known(where, given, KIND.properties)
    feed = given["csv"]
    if not isinstance(feed, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", feed):
        raise refused(f"{where}, csv", feed, "the name of a feed: up to 100 of A-Z, a-z, 0-9, _, - and .")
    name = f"csv:{feed}"
    return CsvSource(
        name=name,
        feed=feed,
        mode=_mode(where, given),
        encoding=text_encoding(f"{where}, encoding", given.get("encoding", "utf-8")),
        delimiter=_delimiter(where, given.get("delimiter", ",")),
        header=_header(where, given.get("header", True), name, schema),
        effective=_effective(where, given),
        trim=boolean(f"{where}, trim", given.get("trim", False)),
        min_rows=_count(f"{where}, min_rows", given.get("min_rows", 1)),
        reject_limit=_reject_limit(where, given),
        quoting=boolean(f"{where}, quoting", given.get("quoting", True)),
        skip_lines=_count(f"{where}, skip_lines", given.get("skip_lines", 0)),
        older_files=_older_files(where, given),
        max_deleted=_rows_or_share(f"{where}, max_deleted", given.get("max_deleted", 0.2)),
    )


def _mode(where: str, given: Mapping[str, Any]) -> Mode:
    if "mode" not in given:
        raise missing(where, "mode", ", ".join(Mode))
    if given["mode"] not in list(Mode):
        raise unknown(f"{where}, mode", given["mode"], Mode)
    return Mode(given["mode"])


def text_encoding(where: str, found: object) -> str:
    """Python's own name of an encoding. Raises ConfigurationError."""
    try:
        "".encode(str(found))
        return codecs.lookup(str(found)).name
    except (LookupError, ValueError):
        raise unknown(where, found, ENCODINGS) from None


def _delimiter(where: str, found: object) -> str:
    if not isinstance(found, str) or len(found) != 1 or found in '"\r\n\0':
        raise refused(f"{where}, delimiter", found, "one character, but no quote, line end or NUL")
    return found


def _header(where: str, found: object, source: str, schema: Schema) -> Literal[True] | tuple[str, ...]:
    where = f"{where}, header"
    if found is True:
        return True
    if found is False:
        return tuple(field.source_name(source) for field in schema.fields)
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise refused(where, found, "true, false (columns as in the schema), or a list of the columns")
    if len({*found}) < len(found):
        raise refused(where, found, "each column once")
    for field in schema.fields:
        if field.default is NO_DEFAULT and field.source_name(source) not in found:
            raise missing(
                where, field.source_name(source), f"every column without a default, as field {field.name}"
            )
    return tuple(found)


def _effective(where: str, given: Mapping[str, Any]) -> str | None:
    found = given.get("effective")
    if found is not None and ("/" in str(found) or not fits_strptime(found, "%Y%m%d")):
        raise refused(
            f"{where}, effective", found, 'a file name with a whole date in it, as "links_%Y%m%d.csv"'
        )
    return found


def _count(where: str, found: object) -> int:
    if type(found) is not int or found < 0:
        raise refused(where, found, "a whole number from 0")
    return found


def _older_files(where: str, given: Mapping[str, Any]) -> bool:
    """Only a header can tell which version's columns a file has."""
    found = boolean(f"{where}, older_files", given.get("older_files", False))
    if found and given.get("header", True) is not True:
        raise refused(f"{where}, older_files", found, "false where header is not true")
    return found


def _reject_limit(where: str, given: Mapping[str, Any]) -> float | int | None:
    found = given.get("reject_limit")
    return None if found is None else _rows_or_share(f"{where}, reject_limit", found)


def _rows_or_share(where: str, found: object) -> float | int:
    if type(found) is int and found >= 0:
        return found
    if type(found) is float and 0 <= found <= 1:
        return found
    raise refused(where, found, "a number of rows (10) or a share of them (0.05)")


def _one_entity_per_feed(entities: Iterable[Entity]) -> None:
    takers: dict[str, str] = {}
    for entity, source in sources_of(entities, CsvSource):
        if source.feed in takers:
            both = f"{takers[source.feed]} and {entity.name}"
            raise ConfigurationError(
                f"feed {source.feed}: found it in {both}; allowed: one entity for a feed"
            )
        takers[source.feed] = entity.name


def _dated(_entity: Entity, _source: CsvSource, before: str, now: str) -> str:
    if "null" in (before, now):
        return "order of files changed"
    old, new = (Field("f", FieldType.DATE, format=each) for each in (before, now))
    return "order of files changed" if reads_differently(old, new) else "dated otherwise"


def _trimmed(entity: Entity, source: CsvSource, _before: str, _now: str) -> str:
    has_text = any(field.kind in (FieldType.STRING, FieldType.ENUM) for field in entity.key_fields)
    swept = source.mode is Mode.SNAPSHOT
    return "key texts changed" if has_text and not swept else "cells read otherwise"


SETTINGS = (
    Setting("csv", "the source's name is part of the hash of every key", RENAMED),
    Setting(
        "mode", "decides whether a file deletes what it leaves out, but no key or position", ("mode changed",)
    ),
    Setting("encoding", "decides the texts of cells; a supplier may switch to another", _CELLS),
    Setting("delimiter", "decides what a cell is; a supplier may switch to another", _CELLS),
    Setting("header", "decides which cell is which field; a supplier may add columns", _CELLS),
    Setting(
        "effective",
        "decides the form of positions, hence which file is newer; a pattern may change where it reads the "
        "same date from a name",
        ("order of files changed", "dated otherwise"),
        _dated,
    ),
    Setting(
        "trim",
        "decides the texts of keys: refused where the key has a text, unless a snapshot's sweep removes the "
        "rows with the former keys",
        ("key texts changed", "cells read otherwise"),
        _trimmed,
    ),
    Setting("min_rows", "no key or position depends on it"),
    Setting("reject_limit", "no key or position depends on it"),
    Setting("quoting", "decides what a cell is; a supplier may switch to another form", _CELLS),
    Setting("skip_lines", "a supplier may add or drop a title; rows are counted from the header"),
    Setting("older_files", "decides which files are taken, but no key or position"),
    Setting("max_deleted", "decides whether a file deletes what it leaves out, but no key or position"),
)

KIND = SourceKind(
    name="csv",
    value="<feed>",
    type=CsvSource,
    settings=SETTINGS,
    read=_read,
    check_together=_one_entity_per_feed,
)
