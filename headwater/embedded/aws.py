"""The embedded AWS: moto's server as a child process on 127.0.0.1, which ends with its parent."""

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
_ROOT = Path(__file__).parents[2]  # working directory of the child, so that `-m` imports this same package
_BIND_SECONDS = 2.0  # after `kill -9` the old server needs a moment to notice that its parent has ended


class EmbeddedAws:
    """A running server, as a context manager. It is empty unless it restores a state.

    Raises ConfigurationError before anything is started if the port is taken or moto is not installed, and
    afterwards if the state can't be read.
    """

    def __init__(
        self,
        port: int | None = None,
        folder: Path | None = None,
        *,
        keep: bool = False,
        lock: int | None = None,
    ) -> None:
        """Start the server.

        Args:
            port: TCP port; None for any free one.
            folder: Folder for the server's files; None for a temporary one.
            keep: Keep the whole state in `folder`, and restore what is there.
            lock: File descriptor of a lock. The server inherits it, since it may outlive its parent by a
                moment.
        """
        _require_moto()
        listener = _listen(port or 0)
        self._scratch = None if folder else tempfile.TemporaryDirectory(prefix="headwater-aws-")
        self._folder = folder or Path(self._scratch.name if self._scratch else "")
        with listener:
            self.endpoint = f"http://{HOST}:{listener.getsockname()[1]}"
            self._process = _start(listener, self._folder, keep, lock)
        # The child has inherited the socket, so that the parent can close its own copy.
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
        """Return the environment variables with which a client reaches this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": region(),
            **_past_any_proxy(),
        }

    def check(self) -> None:
        """Raise TransientError if the server has ended unexpectedly (killed, out of memory)."""
        if self._process.poll() is not None:
            raise TransientError("the embedded AWS has ended and its content is lost: start again")

    def stop(self) -> None:
        """End the server. It may have ended already."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # the server ends at the end of its standard input
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
        status = self._process.stdout.readline().strip()
        if status == b"unreadable":
            raise ConfigurationError(
                f"the state in {self._folder} can't be read: use the versions of Headwater and moto that "
                "wrote it, or name another folder to start fresh"
            )
        if status != b"ready":  # b"" if the process has ended, since the pipe is closed
            raise ConfigurationError(
                "the embedded AWS did not start: install it again with `pip install 'headwater[local]'`"
            )


def region() -> str:
    """Return the region of the embedded AWS."""
    return os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def _past_any_proxy() -> dict[str, str]:
    """Return the variables that exempt this server from the proxy, if one is set."""
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
    """Return a listening socket. Raises ConfigurationError if the port is taken."""
    # Bound here and not by the child, so that a taken port is noticed before anything is started.
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
        # moto calls boto3 itself, which fails on a profile of the user's that is not configured here.
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        pass_fds=descriptors,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # moto's tracebacks may hold field values (INV-7)
        start_new_session=True,  # Ctrl-C is for the parent alone
    )
