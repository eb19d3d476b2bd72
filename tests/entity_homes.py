"""Entity folders written by hand, and how the loader refuses them."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog.loader import load_entity
from schemas.errors import ConfigurationError

Avro = dict[str, Any]

CSV = """
key = ["urn"]
[[source]]
csv = "links"
mode = "upsert"
"""
DYNAMODB = """
key = ["urn"]
[[source]]
dynamodb = "links-table"
"""
URN: Avro = {"name": "urn", "type": "int"}


def record(*fields: object, **more: Any) -> Avro:
    return {"type": "record", "name": "Link", "fields": list(fields), **more}


def write(home: Path, name: str = "link", toml: str = CSV, avsc: Avro | str | None = None) -> Path:
    """An entity folder under home/entities."""
    folder = home / "entities" / name
    folder.mkdir(parents=True)
    (folder / "entity.toml").write_text(toml)
    text = avsc if isinstance(avsc, str) else json.dumps(record(URN) if avsc is None else avsc)
    (folder / "v1.avsc").write_text(text)
    return folder


def refusal(folder: Path, file: str = "entity.toml") -> str:
    """What the error says after naming the file, which it must."""
    with pytest.raises(ConfigurationError) as caught:
        load_entity(folder)
    named, text = str(caught.value).split(": ", 1)
    assert named == str(folder / file if file else folder)
    assert str(folder) not in text
    return text
