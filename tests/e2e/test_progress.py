"""A large file is not loaded in silence. Everything is real but the interval: a test has no five seconds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from headwater_up import Up

from headwater.local import sample

ROWS = 60_000  # more than a second of work in each pass on a machine that has nothing else to do
LINE = re.compile(
    r"waiting: .*drop/school/large\.csv: [\d,]+ rows (checked|published), \d+% of the file, "
    r"[\d,]+ rows/s, [\d,]+ s left"
)


def test_a_drain_tells_how_far_a_large_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "large.csv"
    file.write_bytes(sample.register_csv(sample.schools(ROWS)))
    with Up() as up:
        assert up.run("drop", file, "--entity", "school").code == 0
        monkeypatch.setattr("headwater.polling.runtime_report._PRINT_SECONDS", 0.0)
        done = up.run("drain", "--timeout", "500")
    assert done.code == 0
    assert "published" in {found[1] for found in map(LINE.match, done.err.splitlines()) if found}
