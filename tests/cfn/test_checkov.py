"""checkov finds nothing but what a template excepts, with the reason beside it.

It pins older libraries than the project's, so that it has an environment of its own (.ci/checkov.txt).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cfn_templates import FOLDER, load_world, rendered

PROGRAM = os.environ.get("HEADWATER_CHECKOV", "")

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="checkov is not installed: HEADWATER_CHECKOV names no program"),
    pytest.mark.timeout(600),
]


def test_nothing_is_found(tmp_path: Path) -> None:
    for file in FOLDER.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    for name, template in rendered().items():
        (tmp_path / f"{name}.json").write_text(json.dumps(template.body))
    command = [PROGRAM, "--directory", tmp_path, "--framework", "cloudformation", "--output", "json"]
    run = subprocess.run(
        [*command, "--compact", "--quiet", "--skip-download"], capture_output=True, text=True, check=False
    )
    report = json.loads(run.stdout)
    failed = [
        (check["check_id"], check["resource"], check["file_path"])
        for check in report["results"]["failed_checks"]
    ]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] == sum(
        len(template.resources) for template in load_world().values()
    )
