"""`headwater demo`: what it tells is so, and nothing is left of it."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

from headwater_up import ROOT, clean_environment, command, headwater, is_listening


def port_in(told: str) -> int:
    found = re.search(r"http://127\.0\.0\.1:(\d+)", told)
    assert found
    return int(found[1])


def test_the_demo_shows_the_main_job_within_a_minute_and_leaves_nothing(tmp_path: Path) -> None:
    """Even where the environment speaks of another installation."""
    other = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "HEADWATER_WAREHOUSE": "sqlite:////nowhere/w.db"}
    done = headwater("demo", environment={**other, "TMPDIR": str(tmp_path)}, timeout=60)
    assert (done.code, done.err) == (0, ""), done
    steps = dict(re.findall(r"^(\d)\. (.*(?:\n .*)*)", done.out, re.MULTILINE))
    assert list(steps) == ["1", "2", "3", "4", "5", "6"]
    assert "class_group 60 insert; subscription 30 insert; teacher 60 insert" in steps["1"]
    assert "0 of 60 home addresses are in the log" in steps["1"]
    assert "subscription 2 delete, 3 update; teacher 1 delete, 1 insert" in steps["2"]
    assert "subscription 28 rows and 2 tombstones, teacher 60 rows and 1 tombstone" in steps["2"]
    assert "platform_usage 89 rows, school 30 rows" in steps["3"]
    assert "rejected  row 7, column minutes: " in steps["3"]
    assert "school 29 rows and 2 tombstones" in steps["4"]
    assert steps["5"].count("every row is equal, revision 2 replaces 1") == 2
    assert "30 rows as of " in steps["6"]
    assert "gone since: 100029, 100030; new since: 100031" in steps["6"]
    assert "headwater up" in done.out
    assert not is_listening(port_in(done.out))
    assert list(tmp_path.iterdir()) == []


def test_the_demo_interrupted_leaves_nothing_either(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        command("demo"),
        cwd=ROOT,
        env=clean_environment({"TMPDIR": str(tmp_path)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    told = ""
    while "1. DynamoDB" not in told:
        line = demo.stdout.readline()
        assert line, demo.communicate()
        told += line
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (130, "interrupted\n")
    assert not is_listening(port_in(told))
    assert list(tmp_path.iterdir()) == []
