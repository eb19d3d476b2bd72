"""`headwater` as a user runs it: commands as processes, and `up` as one that goes on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest import mock

import boto3
from boto3.dynamodb.types import TypeSerializer

from headwater.cli import main

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without anything that speaks to Headwater or AWS, and with `more`."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("HEADWATER", "AWS_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **(more or {})}


PROGRAM = ("-m", "headwater")
ON_MSSQL = (str(ROOT / "tests" / "with_babelfish.py"),)
"""The same with a plugin that the URL asks for where the server of the tests needs it."""


def command(*argv: str, program: Sequence[str] = PROGRAM) -> list[str]:
    return [sys.executable, *program, *argv]


def headwater(
    *argv: str | Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 90,
    program: Sequence[str] = PROGRAM,
) -> Done:
    """Runs one command to its end."""
    done = subprocess.run(
        command(*map(str, argv), program=program),
        cwd=ROOT,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Up:
    """A running `headwater up`, and commands in the environment that it prints. Killed on leaving."""

    def __init__(
        self,
        *argv: str | Path,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
        folder: Path | None = None,
    ) -> None:
        """`folder`: where temporary files go, instead of one of its own."""
        self._folder = tempfile.TemporaryDirectory(prefix="headwater-up-")  # of what a kill leaves behind
        self._clients: dict[str, Any] = {}
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed on leaving; a pipe would fill up
        self.process = subprocess.Popen(
            command("up", *map(str, argv), program=program),
            cwd=ROOT,
            env={**clean_environment(environment), "TMPDIR": str(folder or self._folder.name)},
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        try:
            self.environment = {**(environment or {}), **self._exports()}
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()
        self._folder.cleanup()

    @property
    def port(self) -> int:
        return int(self.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])

    def run(self, *argv: str | Path) -> Done:
        """Runs a command as its client, in this process: a new one costs more than most commands do."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, clean_environment(self.environment), clear=True),
            contextlib.chdir(ROOT),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main([str(word) for word in argv])
        return Done(code, out.getvalue(), err.getvalue())

    def json(self, *argv: str | Path) -> Any:
        """What a command prints with --json; it must end well."""
        done = self.run(*argv, "--json")
        assert done.code == 0, done
        return json.loads(done.out)

    def client(self, service: str) -> Any:
        """A boto3 client of its AWS."""
        if service not in self._clients:
            self._clients[service] = boto3.client(  # type: ignore[call-overload]
                service,
                endpoint_url=self.environment["AWS_ENDPOINT_URL"],
                region_name=self.environment["AWS_DEFAULT_REGION"],
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._clients[service]

    def put(self, table: str, item: Mapping[str, Any]) -> None:
        """Puts an item in plain Python form."""
        self.client("dynamodb").put_item(TableName=table, Item=TypeSerializer().serialize(item)["M"])

    def said(self) -> str:
        """Its stderr so far."""
        self._stderr.seek(0)
        return self._stderr.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """A clean stop; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=90)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def _exports(self) -> dict[str, str]:
        assert self.process.stdout is not None
        found: dict[str, str] = {}
        while "HEADWATER_STATE" not in found:
            line = self.process.stdout.readline()
            assert line, f"up has ended: {self.said()}"
            export, assignment = shlex.split(line)
            assert export == "export"
            name, _, value = assignment.partition("=")
            found[name] = value
        return found


def is_listening(port: int) -> bool:
    """Whether anybody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
