"""An embedded AWS with names of each test's own, and an entity."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.aws import Aws, connect
from headwater.embedded.aws import EmbeddedAws
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.settings import Settings


@pytest.fixture(scope="module")
def embedded_aws() -> Iterator[Aws]:
    before = dict(os.environ)
    with EmbeddedAws() as server:
        os.environ.update(server.environment())
        yield connect()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def settings() -> Settings:
    """Names of each test's own, so that tests never meet."""
    own = uuid.uuid4().hex[:8]
    return Settings(stream=f"events-{own}", log_bucket=f"log-{own}", source_bucket=f"source-{own}")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """One entity from a table of the test's own, with keys of a number and a text, and one from a feed."""
    table = f"readings-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / "entities" / "reading"
    folder.mkdir(parents=True)
    (folder / "entity.toml").write_text(
        f'key = ["n", "sk"]\n[[source]]\ndynamodb = "{table}"\n[[source]]\ncsv = "reading"\nmode = "upsert"\n'
    )
    (folder / "v1.avsc").write_text(
        '{"type": "record", "name": "Reading", "fields": ['
        '{"name": "n", "type": "long"}, {"name": "sk", "type": "string", "maxLength": 9}]}'
    )
    return load_catalog(tmp_path)
