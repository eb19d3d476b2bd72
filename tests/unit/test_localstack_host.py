"""The installation of LocalStack for `make e2e` names what is missing, before it downloads anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

HOST = Path(__file__).resolve().parents[1] / "localstack" / "host"
TOOLS = ("javac", "jar", "mvn", "node", "npm", "go", "flock")


def install(tmp_path: Path, tools: set[str]) -> subprocess.CompletedProcess[str]:
    """Run the installation where only these tools are on the PATH, none of which does anything."""
    path = tmp_path / "path"
    path.mkdir()
    for name in ("bash", "dirname", "mkdir"):
        (path / name).symlink_to(str(shutil.which(name)))
    for name in tools:
        (path / name).symlink_to(str(shutil.which("true")))
    return subprocess.run(
        [path / "bash", HOST, "install", tmp_path / "localstack"],
        env={"PATH": str(path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("missing", TOOLS)
def test_a_tool_that_is_not_on_the_path_is_named(tmp_path: Path, missing: str) -> None:
    done = install(tmp_path, {*TOOLS} - {missing})
    assert done.returncode == 2
    assert f"not on the PATH: {missing} (" in done.stderr
    assert [*(tmp_path / "localstack").iterdir()] == []


def test_all_tools_that_are_missing_are_named_at_once(tmp_path: Path) -> None:
    done = install(tmp_path, set())
    assert [name for name in TOOLS if f"{name} (" not in done.stderr] == []


def test_another_python_than_3_13_is_refused(tmp_path: Path) -> None:
    done = install(tmp_path, {*TOOLS})
    assert done.returncode == 2
    assert "Python 3.13 is needed" in done.stderr
