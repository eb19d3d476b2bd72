"""`headwater schemas` on an empty home, whatever the environment of the tests says."""

from pathlib import Path

import pytest
from new_schemas import New
from schema_homes import Schemas


@pytest.fixture
def schemas(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Schemas:
    for variable in ("HEADWATER_WAREHOUSE", "HEADWATER_WAREHOUSE_SECRET", "HEADWATER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return Schemas(tmp_path, capsys)


@pytest.fixture
def new(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> New:
    monkeypatch.delenv("HEADWATER_HOME", raising=False)
    return New(tmp_path, Schemas(tmp_path / "home", capsys))
