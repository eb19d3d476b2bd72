"""The folder of `up --state DIR`, which holds the embedded AWS and the tables.

The embedded AWS writes every change there before it answers (journal.py), and the tables are a SQLite file
there, so that a stop of any kind loses nothing that was answered. A lock on a file allows one `up` at a time;
the operating system releases it when the processes that hold it end.
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
"""Versions that wrote the folder. A folder without this file is not a state."""
_OLD = "headwater-state.zip"
_LOCK = "lock"
_LOCK_SECONDS = 2.0  # after `kill -9` the embedded AWS needs a moment to notice that its parent has ended
_FORMAT = 3  # raised whenever what it pickles is renamed or moved
_START_BYTES = 64 * 1024 * 1024  # free space needed to start
_LEAST_BYTES = 16 * 1024 * 1024  # free space needed to go on
_SCRATCH = "headwater-"


class StateFolder:
    """A state folder, locked by this process.

    Raises ConfigurationError, and changes nothing, if the folder can't be used: another `up` uses it, it
    can't be written to, its disk is full, or it contains something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _refuse_foreign(folder)
        _make(folder)
        self.lock = _locked(folder)
        self._before = self._read()  # only with the lock: another process might still be writing
        _require_space(folder)
        self._write(stopped=None)

    @property
    def origin(self) -> str | None:
        """Return a message about the restored state, or None for a new one."""
        if self._before is None:
            return None
        if self._before["stopped"]:
            return f"restored what the clean stop of {self._before['stopped']} left in {self.folder}"
        return (
            f"restored {self.folder} after a run that did not stop cleanly: every change that it had "
            "answered is there, and what was in flight goes on"
        )

    def check(self) -> None:
        """Raise TransientError if the disk is nearly full."""
        if (free := shutil.disk_usage(self.folder).free) < _LEAST_BYTES:
            raise TransientError(
                f"--state {self.folder} has only {free // 1024} KiB left on its disk: nothing is lost, but "
                "make room before you start again"
            )

    def stopped(self) -> None:
        """Record a clean stop, with nothing in flight."""
        self._write(stopped=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def close(self) -> None:
        """Release the lock."""
        os.close(self.lock)

    def _read(self) -> dict[str, Any] | None:
        file = self.folder / FILE
        if not file.exists():
            return None
        try:
            state: dict[str, Any] = json.loads(file.read_text())
            different = [name for name, value in _writer().items() if state[name] != value]
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(f"{file} can't be read: name another folder for --state") from error
        if different:
            written_by, current = (
                ", ".join(f"{name} {writer[name]}" for name in different) for writer in (state, _writer())
            )
            raise ConfigurationError(
                f"--state {self.folder} was written with {written_by}, but this is {current}: use the same, "
                "or name another folder"
            )
        return state

    def _write(self, stopped: str | None) -> None:
        # Written beside the file and renamed, so that a kill leaves the old or the new content.
        unfinished = self.folder / f"{FILE}.tmp"
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps({**_writer(), "stopped": stopped}))
        unfinished.replace(self.folder / FILE)


@contextmanager
def scratch() -> Iterator[Path]:
    """Provide a temporary folder. Removes first the folders that killed processes left behind."""
    parent = Path(tempfile.gettempdir())
    for lock_file in parent.glob(f"{_SCRATCH}*/{_LOCK}"):
        _remove_abandoned(lock_file)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, ignore_cleanup_errors=True) as folder:
        lock = _locked(Path(folder))
        try:
            yield Path(folder)
        finally:
            os.close(lock)


def _remove_abandoned(file: Path) -> None:
    """Remove the folder of a lock file, unless a process holds the lock or another user owns the folder."""
    # The temporary folder is shared by all users: O_NOFOLLOW and the checks of owner and symbolic link keep
    # others from having a folder of this user removed.
    with suppress(OSError):  # locked, or already removed by another process
        if file.parent.lstat().st_uid != os.getuid() or file.parent.is_symlink():
            return
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent, ignore_errors=True)
        finally:
            os.close(descriptor)


def _writer() -> dict[str, Any]:
    """Return what must be equal for a state to be readable, since it contains pickled objects of moto."""
    return {"format": _FORMAT, "moto": version("moto"), "region": region()}


def _refuse_foreign(folder: Path) -> None:
    """Raise ConfigurationError if the folder contains anything but a state. Changes nothing."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigurationError(f"--state {folder} is not a folder: name one")
    try:
        names = {entry.name for entry in folder.iterdir()} - {_LOCK}
    except OSError as error:
        raise _unusable(folder, error) from error
    if _OLD in names:
        raise ConfigurationError(
            f"--state {folder} holds {_OLD}, which an older version of Headwater wrote and this one can't "
            "read: name another folder, or start that version to take the data out"
        )
    if names and FILE not in names:
        raise ConfigurationError(
            f"--state {folder} holds no {FILE}, but {sorted(names)[0]}: "
            "name another folder, or remove this one to start fresh"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # mkdir leaves an existing folder as it is, and its mode is subject to the umask
    except OSError as error:
        raise _unusable(folder, error) from error


def _locked(folder: Path) -> int:
    """Lock the folder. Return the file descriptor; a child that inherits it holds the lock as well."""
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
                        f"--state {folder} is in use by another `headwater up`: stop that one, or name "
                        "another folder"
                    ) from None
                time.sleep(0.1)
    except OSError as error:
        raise _unusable(folder, error) from error


def _require_space(folder: Path) -> None:
    if (free := shutil.disk_usage(folder).free) < _START_BYTES:
        raise ConfigurationError(
            f"--state {folder} has only {free // 1024} KiB left on its disk, and needs "
            f"{_START_BYTES // 1024} to start: make room, or name another folder"
        )


def _unusable(folder: Path, error: OSError) -> ConfigurationError:
    why = os.strerror(error.errno or 0)
    return ConfigurationError(f"--state {folder} can't be used ({why}): name a folder that you may write to")
