"""The embedded AWS: moto's server as a child process on 127.0.0.1, gone when its parent is."""

import errno
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas.errors import ConfigurationError, TransientError

CREDENTIALS: Mapping[str, str] = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
HOST = "127.0.0.1"
DEFAULT_REGION = "eu-west-1"
_ROOT = Path(__file__).parents[2]  # where `-m` finds this very package
_BIND_SECONDS = 2.0  # after `kill -9` the old server needs a moment to see that its parent is gone


class EmbeddedAws:
    """A context manager around the running server, empty at the start unless it goes on from a state.

    Raises ConfigurationError before anything is started when the port is taken or moto is not installed, and
    when the state can't be read.
    """

    def __init__(
        self,
        port: int | None = None,
        folder: Path | None = None,
        *,
        keep: bool = False,
        lock: int | None = None,
    ) -> None:
        """`folder` takes the server's content; `keep`: everything, and what is there is taken up. `lock`: a
        file descriptor that the server holds open, since it may outlive its parent by a moment."""
        _require_moto()
        listener = _listen(port or 0)
        self._scratch = None if folder else tempfile.TemporaryDirectory(prefix="headwater-aws-")
        self._folder = folder or Path(self._scratch.name if self._scratch else "")
        with listener:
            self.endpoint = f"http://{HOST}:{listener.getsockname()[1]}"
            self._process = _start(listener, self._folder, keep, lock)
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """What a client needs in its environment to reach this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": region(),
            **_past_any_proxy(),
        }

    def check(self) -> None:
        """Raises TransientError when the server has ended by itself (killed, out of memory)."""
        if self._process.poll() is not None:
            raise TransientError("the embedded AWS has ended and its content is lost: start again")

    def stop(self) -> None:
        """Ends the server; harmless when it has ended already."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._scratch:
            self._scratch.cleanup()

    def _await_ready(self) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if said == b"unreadable":
            raise ConfigurationError(
                f"the state in {self._folder} can't be read: use the version of Headwater and moto "
                f"that wrote it, "
                "or name another folder to start fresh"
            )
        if said != b"ready":
            raise ConfigurationError(
                "the embedded AWS did not start: install it again with `pip install 'headwater[local]'`"
            )


def region() -> str:
    """The region that the embedded AWS is asked for."""
    return os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def _past_any_proxy() -> dict[str, str]:
    """Where a proxy is set it is not for this server."""
    if not urllib.request.getproxies() or urllib.request.proxy_bypass(HOST):
        return {}
    others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    hosts = f"{others},{HOST}" if others else HOST
    return {"no_proxy": hosts, "NO_PROXY": hosts}


def _require_moto() -> None:
    if any(importlib.util.find_spec(name) is None for name in ("moto", "flask", "werkzeug")):
        raise ConfigurationError(
            "the embedded AWS is not installed: `pip install 'headwater[local]'`, "
            "or set AWS_ENDPOINT_URL to an endpoint that is running"
        )


def _listen(port: int) -> socket.socket:
    """A listening socket bound by us, so that a taken port is known before anything is started."""
    give_up = time.monotonic() + _BIND_SECONDS
    while True:
        try:
            return socket.create_server((HOST, port), backlog=128)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > give_up:
                raise ConfigurationError(
                    f"port {port} cannot be used ({os.strerror(error.errno or 0)}): "
                    "name another with --port, or leave it out for any free one"
                ) from error
            time.sleep(0.1)


def _start(listener: socket.socket, folder: Path, keep: bool, lock: int | None) -> "subprocess.Popen[bytes]":
    descriptors = [listener.fileno(), *([] if lock is None else [lock])]
    arguments = [str(listener.fileno()), str(folder.absolute()), "keep" if keep else "forget"]
    return subprocess.Popen(
        [sys.executable, "-m", "headwater.embedded.server", *arguments],
        cwd=_ROOT,
        pass_fds=descriptors,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # moto's tracebacks may hold field values (INV-7)
        start_new_session=True,  # Ctrl-C is for the parent alone
    )
