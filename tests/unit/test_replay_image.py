"""replay/Dockerfile, read without Docker. tests/localstack runs the package that it unpacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from cfn.packaging.archive import write_zip
from cfn.packaging.sides import REPLAY

TEXT = (Path(__file__).resolve().parents[2] / "replay" / "Dockerfile").read_text()
INSTRUCTIONS = [tuple(line.split(" ", 1)) for line in TEXT.splitlines() if line and not line.startswith("#")]


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def test_the_base_image_is_the_python_of_the_byte_code_and_has_a_tag() -> None:
    bases = {rest.split()[0] for rest in arguments("FROM")}
    assert bases == {"python:3.13-slim"}


def test_the_image_runs_as_a_user_without_rights_to_the_end() -> None:
    assert arguments("USER") == ["10001"]
    after = INSTRUCTIONS[INSTRUCTIONS.index(("USER", "10001")) :]
    assert {name for name, _ in after} <= {"USER", "ENTRYPOINT", "CMD"}
    assert any("--uid 10001" in rest for rest in arguments("RUN"))


def test_the_image_holds_no_secret_and_downloads_nothing() -> None:
    assert arguments("ARG") == ["PACKAGE"]
    assert not re.search(r"password|secret|token|_KEY|https?://|\bADD\b|pip|apt", TEXT, re.IGNORECASE)


def test_the_entry_is_that_of_the_package() -> None:
    (entry,) = map(json.loads, arguments("ENTRYPOINT"))
    assert entry == ["python", "-m", "headwater"]
    assert REPLAY.entries == (f"{entry[-1]}.__main__",)
    (environment,) = arguments("ENV")
    assert dict(one.split("=") for one in environment.split())["PYTHONPATH"] == "/var/task"


def test_the_step_that_unpacks_does_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.py").write_text("print('unpacked')")
    write_zip(tmp_path / "in", tmp_path / "package.zip")
    (step,) = (json.loads(rest) for rest in arguments("RUN") if rest.startswith("["))
    places = {
        "python": sys.executable,
        "/package.zip": str(tmp_path / "package.zip"),
        "/var/task": str(tmp_path / "out"),
    }
    subprocess.run([places.get(word, word) for word in step], check=True)
    assert (tmp_path / "out" / "a.py").read_text() == "print('unpacked')"


def test_what_is_copied_is_the_package_alone() -> None:
    assert arguments("COPY") == ["${PACKAGE} /package.zip", "--from=unpacked /var/task /var/task"]
