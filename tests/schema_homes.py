"""Homes of entities as folders, and `headwater schemas` run on them in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from consumers.warehouse.engines import open_warehouse
from headwater.cli import main
from schemas.catalog.loader import load_entity

Avro = dict[str, Any]

TOML = 'key = ["urn"]\n[[source]]\ncsv = "{name}"\nmode = "upsert"\n'
URN: Avro = {"name": "urn", "type": "int"}


def f(kind: Any, name: str = "f", **more: Any) -> Avro:
    return {"name": name, "type": kind, **more}


def optional(name: str) -> Avro:
    return f(["null", "int"], name, default=None)


HIDDEN = f("string", **{"headwater.private": "hash"})
ADDED, WIDENED, REBUILT = [f("int"), optional("g")], [f("long")], [f("double")]


def entity(home: Path, name: str, *versions: Sequence[Avro], toml: str = TOML) -> Path:
    """The folder of an entity with these versions' fields, `urn` before them."""
    folder = home / "entities" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "entity.toml").write_text(toml.replace("{name}", name))
    for number, fields in enumerate(versions, 1):
        write(folder, number, [URN, *fields])
    return folder


def write(folder: Path, version: int, fields: Sequence[Avro]) -> None:
    record = {"type": "record", "name": "Row", "fields": list(fields)}
    (folder / f"v{version}.avsc").write_text(json.dumps(record))


class Ran(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[list[str]]:
        """Of a table: the cells of each row."""
        return [line.split("  ") for line in self.out.splitlines()[2:]]


class Schemas:
    """`headwater schemas` on one home."""

    def __init__(self, home: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._captured = captured

    def run(self, *words: str | Path, home: bool = True) -> Ran:
        self._captured.readouterr()
        with mock.patch.dict(os.environ):  # `--warehouse` goes there
            code = main(["schemas", *map(str, words), *(["--home", str(self.home)] if home else [])])
        return Ran(code, *self._captured.readouterr())

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.run(*words, "--json").out)

    def found(self, *words: str | Path) -> list[Avro]:
        """The findings of a check."""
        found: list[Avro] = self.json("check", *words)["findings"]
        return found


def pairs(found: list[Avro]) -> list[tuple[Any, ...]]:
    return [(each["from"], each["to"], each["field"], each["rule"]) for each in found]


def warehouse_of(schemas: Schemas, folder: Path) -> str:
    url = f"sqlite:///{schemas.home / 'warehouse.db'}"
    warehouse = open_warehouse(url, [load_entity(folder)])
    warehouse.ensure()
    warehouse.close()
    return url
