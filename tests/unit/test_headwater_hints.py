"""A command that a message proposes runs as it stands when it is copied into a shell."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from headwater import cli


def run_hint(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command between backticks as a shell would; returns its exit code."""
    words = shlex.split(re.findall(r"`([^`]*headwater [^`]*)`", text)[-1])
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    assert words.pop(0) == "headwater"
    return cli.main(words)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder whose name has a blank, with one proposed entity."""
    monkeypatch.delenv("HEADWATER_HOME", raising=False)
    (tmp_path / "a.csv").write_text("id,n\n1,2\n2,3\n")
    home = tmp_path / "my home"
    assert cli.main(["schemas", "new", "thing", "--from", str(tmp_path / "a.csv"), "--out", str(home)]) == 0
    return home


def test_after_schemas_new(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_hint(capsys.readouterr().err, monkeypatch) == 0
    assert (home / "entities" / "thing" / "published.json").exists()


def test_after_reports_new(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["reports", "new", "all_things", "--from", "thing", "--out", str(home)]) == 0
    assert run_hint(capsys.readouterr().err, monkeypatch) == 0
    assert "all_things" in capsys.readouterr().out
    assert os.environ["HEADWATER_HOME"] == str(home)
