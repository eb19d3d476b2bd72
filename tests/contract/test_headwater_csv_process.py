"""The process that reads CSV files, against a real HTTP AWS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.embedded.aws import EmbeddedAws
from headwater.sources.csv.process import CsvProcess
from schemas.errors import ConfigurationError, TransientError

ROOT = Path(__file__).resolve().parents[2]
NOTHING: dict[str, Any] = {"Records": []}
TAKEN = {"batchItemFailures": []}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture
def csv_process(server: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[CsvProcess]:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    with CsvProcess() as made:
        yield made


def test_the_answer_is_that_of_the_handler(csv_process: CsvProcess) -> None:
    assert csv_process(NOTHING, None) == TAKEN
    assert csv_process.pid not in (None, os.getpid())
    message = {"eventSource": "aws:sqs", "messageId": "m", "body": "no notification"}
    refused = {"batchItemFailures": [{"itemIdentifier": "m"}]}  # there is no bucket for its dead letter
    assert csv_process({"Records": [message]}, None) == refused


def test_what_the_handler_raises_is_raised_here(
    csv_process: CsvProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="nowhere"):
        csv_process(NOTHING, None)


def test_a_process_that_was_killed_is_started_again(csv_process: CsvProcess) -> None:
    csv_process(NOTHING, None)
    first = csv_process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with pytest.raises(TransientError, match="ended"):
        csv_process(NOTHING, None)
    assert csv_process(NOTHING, None) == TAKEN
    assert csv_process.pid != first


def test_it_works_in_any_folder_and_takes_no_module_from_there(
    csv_process: CsvProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "schemas.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert csv_process(NOTHING, None) == TAKEN


def test_leaving_ends_the_process(csv_process: CsvProcess) -> None:
    with CsvProcess() as made:
        made(NOTHING, None)
        pid = made.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_ends_when_its_parent_is_killed(server: EmbeddedAws) -> None:
    """It holds the output that the parent was started with: that ends with the last of the two."""
    code = (
        "import time; from headwater.sources.csv.process import CsvProcess\n"
        "process = CsvProcess(); process({'Records': []}, None); print('ready', flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **server.environment()},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert parent.stdout.read() == b""
    parent.stdout.close()


def test_a_bug_is_told_by_its_traceback(csv_process: CsvProcess) -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        csv_process({"Records": [{"eventSource": "aws:sqs"}]}, None)
    assert csv_process(NOTHING, None) == TAKEN
