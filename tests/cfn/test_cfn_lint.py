"""cfn-lint finds nothing in any template, the rendered ones included, informational rules included."""

import json
from pathlib import Path

import pytest
from cfn_templates import FOLDER, rendered
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_found_in_a_template(file: Path) -> None:
    assert [str(match) for match in lint_file(file, config=ManualArgs(include_checks=["I"]))] == []


@pytest.mark.parametrize("name", sorted(rendered()))
def test_nothing_is_found_in_a_rendered_template(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.json"
    file.write_text(json.dumps(rendered()[name].body))
    # Its parameter for the name of the source stack is for alarms and keys: an installation has both.
    assert [str(match) for match in lint_file(file, config=ManualArgs(include_checks=["I"]))] == []
