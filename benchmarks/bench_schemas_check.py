"""`headwater schemas check` over many entities: a user's CI calls it on every change.

The raw limit is what nobody can leave out: the files are read, and the json and tomllib modules parse them.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

ENTITIES = 200
VERSIONS = 10
ROUNDS = 3


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    with tempfile.TemporaryDirectory() as home:
        make_home(Path(home))
        rounds = [
            (_seconds(lambda: _check(home)), _seconds(lambda: _read(Path(home)))) for _ in range(ROUNDS)
        ]
    ours, bare = (min(seconds) for seconds in zip(*rounds, strict=True))
    name = f"schemas check: {ENTITIES} entities of {VERSIONS} versions"
    return [
        (name, ours * 1_000, bare / ours, "ms"),
        ("  bare reading and parsing of their files", bare * 1_000, 1.0, "ms"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()  # the machine is not ours alone
    work()
    return time.process_time() - start


def _check(home: str) -> None:
    """The whole command, but for the interpreter's start."""
    from headwater.cli import main

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = main(["schemas", "check", "--home", home])
    if code != 3:
        raise AssertionError(f"exit code {code}: the last version wants a rebuild")


def _read(home: Path) -> None:
    for folder in (home / "entities").iterdir():
        for file in folder.iterdir():
            text = file.read_text()
            tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)


def make_home(home: Path, entities: int = ENTITIES, versions: int = VERSIONS) -> None:
    """Entities of as many versions, 12 fields in the first and one change of each kind after it."""
    for number in range(entities):
        folder = home / "entities" / f"entity_{number}"
        folder.mkdir(parents=True)
        (folder / "entity.toml").write_text(
            f'key = ["id"]\n[[source]]\ncsv = "feed_{number}"\nmode = "upsert"\n'
        )
        for version, fields in enumerate(_versions(number, versions), 1):
            record = {"type": "record", "name": f"Entity{number}", "fields": fields}
            (folder / f"v{version}.avsc").write_text(json.dumps(record, indent=2))


def _versions(entity: int, count: int) -> Iterator[list[dict[str, Any]]]:
    """Each with a change since the one before; the last one's asks for a rebuild. No two entities have a
    field in common."""
    title, amount = f"title_{entity}", f"amount_{entity}"
    fields: list[dict[str, Any]] = [
        {"name": "id", "type": "string", "maxLength": 64},
        {"name": title, "type": "string", "from": "Title", "maxLength": 100},
        {"name": amount, "type": _decimal(10, 2)},
        {"name": f"count_{entity}", "type": "int", "default": 0},
        {"name": f"on_{entity}", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {"name": f"state_{entity}", "type": {"type": "enum", "name": "State", "symbols": ["open", "closed"]}},
        *({"name": f"note_{n}_{entity}", "type": ["null", "string"], "default": None} for n in range(6)),
    ]
    yield fields
    for version in range(2, count):
        added = {"name": f"added_{version}_{entity}", "type": ["null", "long"], "default": None}
        fields = [{**each, "maxLength": 100 * version} if each["name"] == title else each for each in fields]
        fields = [*fields, added]
        yield fields
    yield [{**each, "type": _decimal(14, 4)} if each["name"] == amount else each for each in fields]


def _decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
