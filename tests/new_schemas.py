"""`headwater schemas new` from a file, for the tests of what it proposes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from schema_homes import Avro, Ran, Schemas

from schemas.catalog.loader import load_entity


class New:
    """`headwater schemas new thing --from <file>`."""

    def __init__(self, folder: Path, schemas: Schemas) -> None:
        self.folder, self.schemas = folder, schemas

    def run(self, text: str | bytes, *words: str, name: str = "thing") -> Ran:
        (self.folder / "sample.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        wanted = ["new", name, "--from", self.folder / "sample.csv", "--out", self.schemas.home, *words]
        return self.schemas.run(*wanted, home=False)

    def fields(self, text: str | bytes, *words: str, name: str = "thing") -> dict[str, Avro]:
        done = self.run(text, *words, name=name)
        assert done.code == 0, done.err
        read = json.loads((self.made.with_name(name) / "v1.avsc").read_text())
        return {each["name"]: each for each in read["fields"]}

    def field(self, field_name: str, values: Sequence[str], name: str = "thing") -> Avro:
        """What is proposed for a column of these values; another one is the key."""
        rows = "".join(f"k{number};{value}\n" for number, value in enumerate(values))
        [_, field] = self.fields(f"Key;{field_name}\n{rows}", name=name).values()
        return field

    def refusal(self, text: str | bytes, *words: str) -> str:
        done = self.run(text, *words)
        assert (done.code, done.out) == (2, "")
        assert not self.made.exists()
        return (
            done.err.removeprefix("headwater: ").removeprefix(f"{self.folder / 'sample.csv'}: ").rstrip("\n")
        )

    @property
    def made(self) -> Path:
        return self.schemas.home / "entities" / "thing"


def key_of(new: New) -> tuple[str, ...]:
    return load_entity(new.made).key
