"""A feed of CSV files as a source: its properties in entity.toml. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from schemas.catalog.entity import Catalog, Entity
from schemas.errors import ConfigurationError
from schemas.evolution.formats import reads_differently
from schemas.payload.codec import Schema
from schemas.payload.fields import NO_DEFAULT, Field, FieldType, fits_strptime
from schemas.refusals import missing, only_known, refused, unknown
from schemas.sources.kind import RENAMED, Setting, SourceKind, boolean, sources_of

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "or another text encoding of Python")
_CELLS = ("parsing changed",)


class Mode(StrEnum):
    """The meaning of a file: further facts, the present state of some keys, or that of all keys."""

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
    """True: the first row names the columns. Otherwise these are the columns, and files have no such row."""
    effective: str | None = None
    """strptime pattern for the date in a file name. Without it the last upload wins."""
    trim: bool = False
    """True if blanks around a value are removed."""
    min_rows: int = 1
    """Fewest rows of a snapshot that sweeps."""
    reject_limit: float | int | None = None
    """Most rejected rows of a file: a number (int), or a share of its rows (float, 0 to 1)."""
    quoting: bool = True
    """True if quotes enclose text, as in RFC 4180; otherwise they are ordinary characters."""
    skip_lines: int = 0
    """Lines above the header to skip."""
    older_files: bool = False
    """True if files with the columns of an older version are accepted; later fields take their defaults."""
    max_deleted: float | int = 0.2
    """Most rows that a snapshot may delete: a number (int), or a share of them (float, 0 to 1) beyond ten."""

    @property
    def allows_no_key(self) -> bool:
        """True for append: a row is identified by its file and number."""
        return self.mode is Mode.APPEND


def entity_of_feed(catalog: Catalog, feed: str) -> tuple[Entity, CsvSource] | None:
    """Return the one entity that receives the rows of a feed, or None for an unknown feed."""
    pairs = sources_of(catalog.entities.values(), CsvSource)
    return next((pair for pair in pairs if pair[1].feed == feed), None)


def feeds(catalog: Catalog) -> tuple[str, ...]:
    """Return the names of all feeds."""
    return tuple(source.feed for _, source in sources_of(catalog.entities.values(), CsvSource))


def _read(where: str, properties: Mapping[str, Any], schema: Schema) -> CsvSource:
    only_known(where, properties, KIND.properties)
    feed = properties["csv"]
    if not isinstance(feed, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", feed):
        raise refused(f"{where}, csv", feed, "the name of a feed: up to 100 of A-Z, a-z, 0-9, _, - and .")
    name = f"csv:{feed}"
    return CsvSource(
        name=name,
        feed=feed,
        mode=_mode(where, properties),
        encoding=text_encoding(f"{where}, encoding", properties.get("encoding", "utf-8")),
        delimiter=_delimiter(where, properties.get("delimiter", ",")),
        header=_header(where, properties.get("header", True), name, schema),
        effective=_effective(where, properties),
        trim=boolean(f"{where}, trim", properties.get("trim", False)),
        min_rows=_count(f"{where}, min_rows", properties.get("min_rows", 1)),
        reject_limit=_reject_limit(where, properties),
        quoting=boolean(f"{where}, quoting", properties.get("quoting", True)),
        skip_lines=_count(f"{where}, skip_lines", properties.get("skip_lines", 0)),
        older_files=_older_files(where, properties),
        max_deleted=_rows_or_share(f"{where}, max_deleted", properties.get("max_deleted", 0.2)),
    )


def _mode(where: str, properties: Mapping[str, Any]) -> Mode:
    if "mode" not in properties:
        raise missing(where, "mode", ", ".join(Mode))
    if properties["mode"] not in list(Mode):
        raise unknown(f"{where}, mode", properties["mode"], Mode)
    return Mode(properties["mode"])


def text_encoding(where: str, value: object) -> str:
    """Return Python's canonical name of an encoding. Raises ConfigurationError."""
    try:
        "".encode(str(value))  # refuses codecs that are not text encodings, such as base64
        return codecs.lookup(str(value)).name
    except (LookupError, ValueError):
        raise unknown(where, value, ENCODINGS) from None


def _delimiter(where: str, value: object) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n\0':
        raise refused(f"{where}, delimiter", value, "one character, but no quote, line end or NUL")
    return value


def _header(where: str, value: object, source: str, schema: Schema) -> Literal[True] | tuple[str, ...]:
    where = f"{where}, header"
    if value is True:
        return True
    if value is False:
        return tuple(field.source_name(source) for field in schema.fields)
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise refused(where, value, "true, false (columns as in the schema), or a list of the columns")
    if len({*value}) < len(value):
        raise refused(where, value, "each column once")
    for field in schema.fields:
        if field.default is NO_DEFAULT and field.source_name(source) not in value:
            raise missing(
                where, field.source_name(source), f"every column without a default, as field {field.name}"
            )
    return tuple(value)


def _effective(where: str, properties: Mapping[str, Any]) -> str | None:
    value = properties.get("effective")
    if value is not None and ("/" in str(value) or not fits_strptime(value, "%Y%m%d")):
        raise refused(
            f"{where}, effective", value, 'a file name with a whole date in it, as "links_%Y%m%d.csv"'
        )
    return value


def _count(where: str, value: object) -> int:
    if type(value) is not int or value < 0:  # a TOML boolean would pass isinstance
        raise refused(where, value, "a whole number from 0")
    return value


def _older_files(where: str, properties: Mapping[str, Any]) -> bool:
    """Return the property, which is only allowed with a header: it identifies the version of a file."""
    value = boolean(f"{where}, older_files", properties.get("older_files", False))
    if value and properties.get("header", True) is not True:
        raise refused(f"{where}, older_files", value, "false where header is not true")
    return value


def _reject_limit(where: str, properties: Mapping[str, Any]) -> float | int | None:
    value = properties.get("reject_limit")
    return None if value is None else _rows_or_share(f"{where}, reject_limit", value)


def _rows_or_share(where: str, value: object) -> float | int:
    if type(value) is int and value >= 0:
        return value
    if type(value) is float and 0 <= value <= 1:
        return value
    raise refused(where, value, "a number of rows (10) or a share of them (0.05)")


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
    # With `effective` added or removed, positions begin with a date or no longer do.
    if "null" in (before, now):
        return "order of files changed"
    old, new = (Field("f", FieldType.DATE, format=pattern) for pattern in (before, now))
    return "order of files changed" if reads_differently(old, new) else "date pattern changed"


def _trimmed(entity: Entity, source: CsvSource, _before: str, _now: str) -> str:
    has_text = any(field.kind in (FieldType.STRING, FieldType.ENUM) for field in entity.key_fields)
    # The sweep of the next snapshot deletes the rows with the old keys.
    swept = source.mode is Mode.SNAPSHOT
    return "key texts changed" if has_text and not swept else "parsing changed"


SETTINGS = (
    Setting("csv", "the source's name is part of the hash of every key", RENAMED),
    Setting(
        "mode", "decides whether a file deletes rows that it lacks, but no key or position", ("mode changed",)
    ),
    Setting("encoding", "decides the text of cells; a supplier may change it", _CELLS),
    Setting("delimiter", "decides the boundaries of cells; a supplier may change it", _CELLS),
    Setting("header", "decides which cell is which field; a supplier may add columns", _CELLS),
    Setting(
        "effective",
        "decides the format of positions, and so which file is newer; a pattern may change if it reads the "
        "same date from file names",
        ("order of files changed", "date pattern changed"),
        _dated,
    ),
    Setting(
        "trim",
        "decides the text of keys: refused if the key contains text, unless the sweep of a snapshot deletes "
        "the rows with the old keys",
        ("key texts changed", "parsing changed"),
        _trimmed,
    ),
    Setting("min_rows", "no key or position depends on it"),
    Setting("reject_limit", "no key or position depends on it"),
    Setting("quoting", "decides the boundaries of cells; a supplier may change it", _CELLS),
    Setting("skip_lines", "a supplier may add or remove a title; rows are counted from the header"),
    Setting("older_files", "decides which files are accepted, but no key or position"),
    Setting("max_deleted", "decides whether a file deletes rows that it lacks, but no key or position"),
)

KIND = SourceKind(
    name="csv",
    value="<feed>",
    type=CsvSource,
    keyless="csv with mode append",
    settings=SETTINGS,
    read=_read,
    check_together=_one_entity_per_feed,
)
