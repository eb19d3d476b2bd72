"""What the documents show: commands run, links lead to files, and functions exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

from headwater.cli import parser

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
QUICKSTART = (ROOT / "docs" / "quickstart.md").read_text()
FILES = dict(re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", QUICKSTART, re.M | re.S))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
NAMED = re.findall(
    r"`((?:schemas|producers|consumers|replay|headwater)(?:\.\w+)+)`",
    (ROOT / "docs" / "architecture.md").read_text(),
)
SHOWN = {
    line: page.name
    for page in PAGES
    for script in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.M | re.S)
    for line in script.splitlines()
    if line.startswith("headwater ")
}
SCRIPTS = re.findall(r"^```sh\n(.*?)^```$", QUICKSTART, re.M | re.S)


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script as a reader's shell runs it, but that it stops at the first command that fails."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    commands = script.replace(". .venv/bin/activate", "set -e")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWATER", "AWS_"))}
    return subprocess.run(
        ["bash", "-c", commands],
        cwd=folder,
        env={**ours, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,  # below that of pytest: what was printed is shown
        check=False,
    )


def test_the_quickstart_has_the_scripts_and_files_that_are_tried_here() -> None:
    assert len(SCRIPTS) == 2
    assert {"schools.csv", "edubase.csv"} <= FILES.keys()


def test_using_it_goes_as_the_quickstart_says(tmp_path: Path) -> None:
    done = run(SCRIPTS[0], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Carlton Primary School" in done.stdout


def test_adding_a_source_goes_as_the_quickstart_says(tmp_path: Path) -> None:
    done = run(SCRIPTS[1], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"head_last_name +string\(200\) +mask", done.stdout)
    table = done.stdout.rpartition("establishment_name")[2]
    assert "100021 " in table
    assert re.search(r"^100021 .*\*\*\*", table, re.M)
    assert not re.search("Example|Sample|Specimen|NW5", table)  # the names and postcodes of the file


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_that_a_page_shows_is_one(line: str) -> None:
    command, *_ = re.split(r" && | > ", line)
    options = parser().parse_args(shlex.split(command, comments=True)[1:])
    assert callable(options.run)


def test_the_pages_show_commands() -> None:
    assert {"quickstart.md", "dead-letters.md", "evolution.md"} <= set(SHOWN.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("name", NAMED)
def test_architecture_names_what_exists(name: str) -> None:
    resolve_name(name)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert not [page for page in pages if f"]({page})" not in index]


@pytest.mark.parametrize("target", re.findall(r"(?:`|^    )make (\w+)", README + QUICKSTART, re.M))
def test_make_has_every_target_that_a_page_names(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
