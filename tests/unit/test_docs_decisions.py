"""The form of DECISIONS.md, and the commands of docs/benchmarks.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INDEX, *ENTRIES = re.split(r"^(?=## )", (ROOT / "DECISIONS.md").read_text(), flags=re.M)
LINES, WIDTH = 10, 120


def test_every_decision_has_the_next_number() -> None:
    numbers = [int(n) for entry in ENTRIES for n in re.findall(r"\A## (\d+)\. ", entry)]
    assert numbers == list(range(1, len(ENTRIES) + 1))


def test_every_decision_has_at_most_ten_lines() -> None:
    text = {
        entry.splitlines()[0]: [line for line in entry.splitlines()[1:] if line.strip()] for entry in ENTRIES
    }
    assert [heading for heading, lines in text.items() if len(lines) > LINES] == []
    assert [line for lines in text.values() for line in lines if len(line) > WIDTH] == []


def test_the_index_lists_every_decision_and_no_other() -> None:
    rows = re.findall(r"^\|.*\|([\d, ]+)\|$", INDEX, re.M)
    assert {int(n) for row in rows for n in row.split(",")} == set(range(1, len(ENTRIES) + 1))


def test_the_benchmarks_page_names_benchmarks_that_exist() -> None:
    modules = [file.stem for file in (ROOT / "benchmarks").glob("bench_*.py")]
    named = re.findall(r"python -m benchmarks[ .](\w+)", (ROOT / "docs" / "benchmarks.md").read_text())
    assert named
    assert [name for name in named if name != "NAME" and not any(name in module for module in modules)] == []
