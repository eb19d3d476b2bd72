"""The LocalStack of the end-to-end tests: that of `make up` where it answers, else one in host mode.

Run as a program it exits with 0 where that of `make up` answers.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
OF_MAKE_UP = "127.0.0.1:4566"
FOLDER = "HEADWATER_LOCALSTACK"
"""Variable that names where LocalStack for host mode is installed."""

START_SECONDS = 120


def answers(host: str) -> bool:
    """Whether a LocalStack takes requests there; any other server is none."""
    try:
        with urlopen(f"http://{host}/_localstack/health", timeout=5) as answer:
            return "services" in json.load(answer)
    except (OSError, ValueError):
        return False


@contextmanager
def running() -> Iterator[str]:
    """Host and port of a LocalStack: that of `make up`, else one in host mode."""
    if answers(OF_MAKE_UP):
        yield OF_MAKE_UP
        return
    with in_host_mode() as host:
        yield host


@contextmanager
def in_host_mode(**environment: str) -> Iterator[str]:
    """Host and port of a LocalStack with more variables in its environment.

    It is gone when the context is left, and also when this process ends in any other way.
    """
    port = free_port()
    folder = os.environ.get(FOLDER) or ROOT / ".localstack"
    program = [ROOT / "tests" / "localstack" / "host", "run", folder, str(port)]
    variables = {**os.environ, **environment}
    # Its own session: Ctrl-C is for us. It ends when the pipe does.
    with subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True, env=variables) as process:
        assert process.stdin is not None
        try:
            _await(process, f"127.0.0.1:{port}")
            yield f"127.0.0.1:{port}"
        finally:
            process.stdin.close()
            process.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _await(process: subprocess.Popen[bytes], host: str) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not answers(host):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"LocalStack did not start in host mode (exit code {process.returncode})")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(not answers(OF_MAKE_UP))
