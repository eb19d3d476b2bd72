"""`up --state DIR`: a folder in which the embedded AWS and the tables are kept while `up` runs.

The embedded AWS writes every change there before it answers (embedded_journal.py), and the tables are a
SQLite file there, so a stop of any kind loses nothing that was answered. One `up` at a time: a lock on a
file, which ends with the processes that hold it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headwater.embedded.aws import region
from schemas.errors import ConfigurationError, TransientError

FILE = "state.json"
"""Says what wrote the folder; a folder without it is not a state."""
_OLD = "headwater-state.zip"
_LOCK = "lock"
_LOCK_SECONDS = 2.0  # after `kill -9` the embedded AWS needs a moment to see that its parent is gone
_FORMAT = 2
_START_BYTES = 64 * 1024 * 1024
_LEAST_BYTES = 16 * 1024 * 1024
_SCRATCH = "headwater-"


class State:
    """A state folder, locked by this process.

    Raises ConfigurationError, and changes nothing, when the folder can't be used: another `up` uses it, it
    can't be written to, its disk is full, or what it holds is something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _refuse_foreign(folder)
        _make(folder)
        self.lock = _locked(folder)
        self._before = self._read()
        _require_space(folder)
        self._write(stopped=None)

    @property
    def origin(self) -> str | None:
        """What the state goes on from, for a person; None for a new one."""
        if self._before is None:
            return None
        if self._before["stopped"]:
            return f"restored what the clean stop of {self._before['stopped']} left in {self.folder}"
        return (
            f"restored {self.folder} after a run that did not stop cleanly: every change that it "
            f"had answered "
            "is there, and what was in flight goes on"
        )

    def check(self) -> None:
        """Raises TransientError when the disk is nearly full."""
        if (free := shutil.disk_usage(self.folder).free) < _LEAST_BYTES:
            raise TransientError(
                f"--state {self.folder} has only {free // 1024} KiB left on its disk: nothing is "
                f"lost, but make "
                "room before you start again"
            )

    def stopped(self) -> None:
        """Nothing is in flight any more."""
        self._write(stopped=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def close(self) -> None:
        """Lets go of the lock."""
        os.close(self.lock)

    def _read(self) -> dict[str, Any] | None:
        file = self.folder / FILE
        if not file.exists():
            return None
        try:
            found: dict[str, Any] = json.loads(file.read_text())
            different = [name for name, value in _writer().items() if found[name] != value]
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(f"{file} can't be read: name another folder for --state") from error
        if different:
            there, here = ({name: each[name] for name in different} for each in (found, _writer()))
            raise ConfigurationError(
                f"--state {self.folder} was written with {_said(there)}, but this is {_said(here)}: use the "
                "same, or name another folder"
            )
        return found

    def _write(self, stopped: str | None) -> None:
        unfinished = self.folder / f"{FILE}.tmp"
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps({**_writer(), "stopped": stopped}))
        unfinished.replace(self.folder / FILE)


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, removed at the end; those that killed processes left behind are removed first."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{_SCRATCH}*/{_LOCK}"):
        _remove_abandoned(left)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, ignore_cleanup_errors=True) as folder:
        lock = _locked(Path(folder))
        try:
            yield Path(folder)
        finally:
            os.close(lock)


def _remove_abandoned(file: Path) -> None:
    """Its folder, unless a process holds the lock or it belongs to another user."""
    with suppress(OSError):
        if file.parent.lstat().st_uid != os.getuid() or file.parent.is_symlink():
            return
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent, ignore_errors=True)
        finally:
            os.close(descriptor)


def _writer() -> dict[str, Any]:
    """What has to be the same for a state to be read: it holds moto's own objects."""
    return {"format": _FORMAT, "moto": version("moto"), "region": region()}


def _said(writer: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in writer.items())


def _refuse_foreign(folder: Path) -> None:
    """Looks without touching anything."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigurationError(f"--state {folder} is not a folder: name one")
    try:
        found = {entry.name for entry in folder.iterdir()} - {_LOCK}
    except OSError as error:
        raise _unusable(folder, error) from error
    if _OLD in found:
        raise ConfigurationError(
            f"--state {folder} holds {_OLD}, which an older version of Headwater wrote and this one "
            f"can't read: "
            "name another folder, or start that version to take the data out"
        )
    if found and FILE not in found:
        raise ConfigurationError(
            f"--state {folder} holds no {FILE}, but {sorted(found)[0]}: "
            "name another folder, or remove this one to start fresh"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, error) from error


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock, and whoever inherits it."""
    give_up = time.monotonic() + _LOCK_SECONDS
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() > give_up:
                    os.close(descriptor)
                    raise ConfigurationError(
                        f"--state {folder} is in use by another `headwater up`: stop that one, or "
                        f"name another folder"
                    ) from None
                time.sleep(0.1)
    except OSError as error:
        raise _unusable(folder, error) from error


def _require_space(folder: Path) -> None:
    if (free := shutil.disk_usage(folder).free) < _START_BYTES:
        raise ConfigurationError(
            f"--state {folder} has only {free // 1024} KiB left on its disk, and needs "
            f"{_START_BYTES // 1024} to "
            "start: make room, or name another folder"
        )


def _unusable(folder: Path, error: OSError) -> ConfigurationError:
    why = os.strerror(error.errno or 0)
    return ConfigurationError(f"--state {folder} can't be used ({why}): name a folder that you may write to")
