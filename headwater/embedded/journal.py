"""The state of the embedded AWS on disk: a snapshot, and a journal of the requests since then.

A request that may change something is written to the journal before it is executed, and executed before it is
answered. At the start the snapshot is loaded and the requests of the journal are executed again, each with
its original time and random seed, so that sequence numbers, versions and times are the same as before. The
journal is not synced: an answered request survives `kill -9` of every process, but not a power cut.

Files, of which only the greatest number is current: `aws-000001.snapshot` (absent for 1) and
`aws-000001.journal`.
"""

from __future__ import annotations

import copyreg
import importlib
import io
import json
import os
import pickle
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from headwater.embedded.content import Content, ObjectBody, Place

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

_HEAD = struct.Struct(">II")  # length of the entry, and its CRC-32
_LEAST_BYTES = 32 * 1024 * 1024
"""A journal is replaced by a snapshot when it is larger than this and than the last snapshot, so that the
cost of snapshots stays proportional to that of the requests."""
_READS = ("Get", "List", "Describe", "Scan", "Query", "BatchGet", "Receive")


class JournalEntry(NamedTuple):
    """A request as received, and the time of its execution in seconds since the epoch."""

    at: float
    environ: dict[str, Any]
    body: bytes


def changes(environ: dict[str, Any]) -> bool:
    """Return True if the request may change the state."""
    # SQS's ReceiveMessage counts as a read although it hides messages: after a restart they are delivered
    # again at once, as if they had never been received.
    if environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS"):
        return False
    return not environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2].startswith(_READS)


class Journal:
    """The state in a folder. Raises OSError if the folder can't be written to."""

    def __init__(self, folder: Path, content: Content) -> None:
        self._folder = folder
        self._content = content
        self._number = max((int(path.stem[4:]) for path in folder.glob("aws-*.journal")), default=1)
        self._file = self._path("journal").open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, entry: JournalEntry) -> None:
        """Append the request, whole or not at all. Raises OSError."""
        packed = _pack(entry)
        try:
            if self._file.write(packed) != len(packed):
                raise OSError("no space")
        except OSError:
            self._file.truncate(self._size)  # later entries must not follow half an entry
            raise
        self._size += len(packed)

    def load(self) -> None:
        """Load the snapshot into moto, if there is one."""
        path = self._path("snapshot")
        if path.exists():
            with path.open("rb") as file:
                for backend, attributes in _Unpickler(file).load():
                    backend.__dict__.update(attributes)

    def entries(self) -> Iterator[JournalEntry]:
        """Yield the requests since the snapshot, in order, and cut off an incomplete last entry."""
        # An incomplete entry was interrupted by a kill, and its request was never executed.
        good = 0
        with self._path("journal").open("rb") as file:
            for entry in _unpack(file):
                good = file.tell()
                yield entry
        self._file.truncate(good)
        self._size = good

    def is_long(self) -> bool:
        """Return True if the journal should be replaced by a snapshot."""
        snapshot = self._path("snapshot")
        return self._size > max(_LEAST_BYTES, snapshot.stat().st_size if snapshot.exists() else 0)

    def replace(self) -> None:
        """Write a snapshot of moto's present state and begin an empty journal."""
        # The old files are removed last: a kill at any point leaves one complete pair. The constructor takes
        # the greatest number with a journal, which is created after its snapshot.
        old_files = (self._path("journal"), self._path("snapshot"))
        self._number += 1
        named = self._write_snapshot()
        self._file.close()
        self._file = self._path("journal").open("ab", buffering=0)
        self._size = 0
        for path in old_files:
            path.unlink(missing_ok=True)
        self._content.sweep(named)

    def _write_snapshot(self) -> set[str]:
        """Write the snapshot and return the names of all content files that it references."""
        unfinished = self._path("unfinished")
        with unfinished.open("wb") as file:
            pickler = _Pickler(file)
            pickler.dump(_backends())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path("snapshot"))
        return pickler.named

    def _path(self, kind: str) -> Path:
        return self._folder / f"aws-{self._number:06d}.{kind}"


def replay(application: Wsgi, entry: JournalEntry) -> None:
    """Execute the request again and discard the answer."""
    environ = {
        "wsgi.version": (1, 0),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **entry.environ,
        "wsgi.input": io.BytesIO(entry.body),
    }
    for _ in application(environ, lambda *_: None):  # WSGI: the answer has to be consumed
        pass


def _pack(entry: JournalEntry) -> bytes:
    # The other values are streams and functions of the server; `replay` replaces them.
    environ = {
        name: value for name, value in entry.environ.items() if isinstance(value, (str, bool, list, dict))
    }
    content = json.dumps([entry.at, environ]).encode() + b"\n" + entry.body
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def _unpack(file: io.BufferedReader) -> Iterator[JournalEntry]:
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        content = file.read(length)
        if len(content) != length or zlib.crc32(content) != checksum:
            return
        head_line, _, body = content.partition(b"\n")
        at, environ = json.loads(head_line)
        yield JournalEntry(at, environ, body)


def _backends() -> list[tuple[Any, dict[str, Any]]]:
    """Return every backend that was used, with its attributes."""
    return [(backend, dict(backend.__dict__)) for _, backend in _addresses()]


class _Pickler(pickle.Pickler):
    """A pickler that stores backends by address, and collects the names of referenced content files."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.named: set[str] = set()
        self._addresses = {id(backend): address for address, backend in _addresses()}
        # Locks can't be pickled; the next process gets new ones.
        self.dispatch_table = copyreg.dispatch_table | {
            type(threading.Lock()): lambda _: (threading.Lock, ()),
            type(threading.RLock()): lambda _: (threading.RLock, ()),
        }

    def persistent_id(self, obj: Any) -> Any:
        from moto.core.base_backend import BackendDict, BaseBackend

        if isinstance(obj, (ObjectBody, Place)):
            self.named.add(obj.name)
        if isinstance(obj, BackendDict):
            return (obj.service_name,)
        if isinstance(obj, BaseBackend):
            return self._addresses[id(obj)]
        return None


class _Unpickler(pickle.Unpickler):
    """An unpickler that resolves addresses of backends to those of this process."""

    def persistent_load(self, pid: Any) -> Any:
        from moto.backends import get_backend

        service, *path = pid  # without a path: the dictionary of all accounts and regions
        backend: Any = get_backend(service)
        for name in path:
            backend = backend[name]
        return backend


def _addresses() -> Iterator[tuple[tuple[str, str, str], Any]]:
    """Yield service, account and region of every backend that was used, with the backend."""
    services: list[Any] = vars(importlib.import_module("moto.core.base_backend").BackendDict)["_instances"]
    for service in services:
        for account, region, backend in service.iter_backends():
            yield (service.service_name, account, region), backend
