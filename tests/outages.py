"""A power company's outage list, 162,107 real changes (../shared/data/README.md): how a user would declare
it, its lines, and the oracle of its table."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from pipe import write_entity

from consumers.warehouse.port import Row

CHANGES = 162_107

TEXT = ["null", "string"]
MOMENT = ["null", {"type": "long", "logicalType": "timestamp-millis"}]
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 15}
COLUMNS: Mapping[str, Any] = {
    "OBJECTID": ["null", "int"],
    "F_OUTAGE_ID": TEXT,  # as JSON: it turns from number to text
    "OUTAGE_EXTENT": "string",
    "OUTAGE_DEVICE_ID": "string",
    "OUTAGE_CIRCUIT_ID": ["null", "long"],
    "CREW_ETA": TEXT,
    "CREW_CURRENT_STATUS": "string",
    "OUTAGE_CAUSE": TEXT,
    "EST_CUSTOMERS": "int",
    "OUTAGE_LATITUDE": DECIMAL,
    "OUTAGE_LONGITUDE": DECIMAL,
    "CITY": "string",
    "COUNTY": TEXT,
    "ZIP": TEXT,
    "DEVICE_COUNT": "int",
    "OUTAGE_START": MOMENT,
    "OUTAGE_START_TEXT": TEXT,
    "LAST_UPDATE": MOMENT,
    "LAST_UPDATE_TEXT": TEXT,
    "CURRENT_ETOR": MOMENT,
    "CURRENT_ETOR_TEXT": TEXT,
    "AUTO_ETOR": MOMENT,
    "SPID": TEXT,
    "fts_flag": "string",
    "geometry_x": "double",
    "geometry_y": "double",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_outage(home: Path, table: str = "outages") -> None:
    """The entity, as a user would declare it who knows all that is to come."""
    _write(home, map(_field, COLUMNS), table)


def write_first_version(home: Path) -> None:
    """As a user would declare it who has seen the first day: an attribute that only came then, another that
    was a number, and three that were always null, which he did not want."""
    _write(home, (_numbered(_field(column)) for column in COLUMNS if column not in TEXTS))


def write_second_version(home: Path) -> None:
    """As the same user does in August 2025, beside the first, when the nulls become text."""
    write_first_version(home)
    columns = [column for column in COLUMNS if column != VANISHED]
    _write(home, (_named(_field(column)) for column in columns), version=2)


TEXTS = ("OUTAGE_START_TEXT", "LAST_UPDATE_TEXT", "CURRENT_ETOR_TEXT")
VANISHED = "OBJECTID"


def _numbered(field: dict[str, Any]) -> dict[str, Any]:
    return {"name": field["name"], "type": "long", "from": field["from"]} if _turns(field) else field


def _named(field: dict[str, Any]) -> dict[str, Any]:
    named = {"name": field["name"], "type": "string", "from": field["from"], "headwater.casts": ["long"]}
    return named if _turns(field) else field


def _turns(field: Mapping[str, Any]) -> bool:
    return bool(field["name"] == "f_outage_id")


def _write(home: Path, fields: Iterable[dict[str, Any]], table: str = "outages", version: int = 1) -> None:
    toml = f'key = ["outage_key"]\n[[source]]\ndynamodb = "{table}"\n'
    write_entity(home, "outage", toml, {"name": "outage_key", "type": "string"}, *fields, version=version)


def _field(column: str) -> dict[str, Any]:
    kind = COLUMNS[column]
    field = {"name": column.lower(), "type": kind, "from": column}
    if isinstance(kind, list):
        field["default"] = None
    if kind is MOMENT:
        field["format"] = "epoch-millis"
    if column == "F_OUTAGE_ID":
        field["headwater.json"] = True
    return field


class Change(NamedTuple):
    """One line of the file. `new` is None where the outage is over."""

    at: int
    key: str
    new: Mapping[str, Any] | None


def changes(shared_data: Path) -> Iterator[Change]:
    """The lines, their fractions as Decimal."""
    decode = json.JSONDecoder(parse_float=Decimal).decode
    with gzip.open(shared_data / "outages" / "changes.jsonl.gz", "rt") as lines:
        for line in lines:
            told = decode(line)
            yield Change(told["at"], told["key"], told.get("new"))


def item(change: Change) -> dict[str, dict[str, Any]]:
    """As DynamoDB has it."""
    attributes = {column: _attribute(value) for column, value in (change.new or {}).items()}
    return {"outage_key": {"S": change.key}, **attributes}


def _attribute(value: object) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def expected(key: str, new: Mapping[str, Any]) -> tuple[object, ...]:
    """The row, from the file's own numbers: nothing is rounded."""
    return (key, *(_value(column, new.get(column)) for column in COLUMNS))


def _value(column: str, value: Any) -> object:
    if value is None:
        return None
    if column == "F_OUTAGE_ID":
        return json.dumps(value)
    if COLUMNS[column] is MOMENT:
        return EPOCH + timedelta(milliseconds=value)
    return Decimal(value) if column.startswith(("OUTAGE_L", "geometry")) else value


def shown(row: Row) -> tuple[object, ...]:
    """A row of the table, its doubles as the shortest decimal that is that double."""
    return tuple(Decimal(repr(value)) if type(value) is float else value for value in row.values)


def live(rows: Iterable[Row]) -> dict[str, tuple[object, ...]]:
    """The rows that readers see, by key."""
    return {str(row.values[0]): shown(row) for row in rows if not row.deleted}


class Fold:
    """The outages that are on after the changes so far; `fullest` in each tenth of the file: at and which."""

    def __init__(self) -> None:
        self.on: dict[str, Mapping[str, Any]] = {}
        self.fullest: dict[int, tuple[int, dict[str, Mapping[str, Any]]]] = {}
        self._seen = self._at = 0

    def add(self, change: Change) -> None:
        if change.at != self._at:
            self._moment_is_over()
        self._seen, self._at = self._seen + 1, change.at
        if change.new is None:
            del self.on[change.key]
        else:
            self.on[change.key] = change.new

    def _moment_is_over(self) -> None:
        """Changes of one moment are one state: what lies between two of them nobody ever saw."""
        tenth = self._seen * 10 // CHANGES
        if len(self.on) > len(self.fullest.get(tenth, (0, {}))[1]):
            self.fullest[tenth] = self._at, dict(self.on)


def rows_of(on: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[object, ...]]:
    return {key: expected(key, new) for key, new in on.items()}


def request(change: Change) -> dict[str, Any]:
    """A real put or delete."""
    if change.new is None:
        return {"DeleteRequest": {"Key": {"outage_key": {"S": change.key}}}}
    return {"PutRequest": {"Item": item(change)}}
