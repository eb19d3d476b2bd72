"""The links of England's schools register, three real files (../shared/data/README.md): how a user would
declare them, and the oracle of their table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pipe import write_entity

from consumers.warehouse.port import Row

LINK_TOML = """
key = ["urn", "link_urn", "link_type"]
[[source]]
csv = "school_links"
mode = "snapshot"
encoding = "cp1252"
effective = "links_%Y%m%d.csv"
"""
LINK_FIELDS: Sequence[Mapping[str, Any]] = (
    {"name": "urn", "type": "int", "from": "URN"},
    {"name": "link_urn", "type": "int", "from": "LinkURN"},
    {"name": "link_name", "type": "string", "from": "LinkName"},
    {"name": "link_type", "type": "string", "from": "LinkType"},
    {
        "name": "established_on",
        "type": ["null", {"type": "int", "logicalType": "date"}],
        "default": None,
        "from": "LinkEstablishedDate",
        "format": "%d-%m-%Y",
    },
)
FILES = ("links_20230421.csv", "links_20240129.csv", "links_20250422.csv")


def write_links(home: Path) -> None:
    """The entity, as a user would declare it."""
    write_entity(home, "school_link", LINK_TOML, *LINK_FIELDS)


def rows_of(file: Path) -> dict[tuple[object, ...], tuple[object, ...]]:
    """What the file says, by key."""
    text = io.StringIO(file.read_bytes().decode("cp1252"), newline="")
    rows: dict[tuple[object, ...], tuple[object, ...]] = {}
    for row in csv.DictReader(text):
        day = row["LinkEstablishedDate"]
        key = int(row["URN"]), int(row["LinkURN"]), row["LinkType"]
        established = datetime.strptime(day, "%d-%m-%Y").date() if day else None  # noqa: DTZ007 - a date
        assert key not in rows
        rows[key] = (*key[:2], row["LinkName"], key[2], established)
    return rows


def seen(rows: Sequence[Row]) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The live rows, by key."""
    return {(*row.values[:2], row.values[3]): row.values for row in rows if not row.deleted}
