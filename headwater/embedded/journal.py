"""The embedded AWS on disk: a snapshot, and a journal of the requests since.

A request that may change something is in the journal before it is carried out, and is carried out before it
is answered. The start loads the snapshot and carries out the journal's requests again, each at its own time
and with its own random numbers, so that sequence numbers, versions and times come out as they were. Written
with plain writes: what a client was told survives `kill -9` of every process, not a power cut.

Files, of which one number is current: `aws-000001.snapshot` (absent for 1) and `aws-000001.journal`.
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

_HEAD = struct.Struct(">II")  # length of what follows, and its CRC-32
_LEAST_BYTES = 32 * 1024 * 1024
"""A journal below this size is not replaced by a snapshot; nor is one smaller than the last snapshot."""
_READS = ("Get", "List", "Describe", "Scan", "Query", "BatchGet", "Receive")


class Entry(NamedTuple):
    """A request as it came, and the time (seconds since the epoch) at which it was carried out."""

    at: float
    environ: dict[str, Any]
    body: bytes


def changes(environ: dict[str, Any]) -> bool:
    """Whether the request may change anything. SQS's ReceiveMessage hides what it gives; a start gives it
    again at once, as if it had never been received."""
    if environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS"):
        return False
    return not environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2].startswith(_READS)


class Journal:
    """The state in one folder. Raises OSError where the folder can't be written to."""

    def __init__(self, folder: Path, content: Content) -> None:
        self._folder = folder
        self._content = content
        self._number = max((int(path.stem[4:]) for path in folder.glob("aws-*.journal")), default=1)
        self._file = self._path("journal").open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, entry: Entry) -> None:
        """Appends the request, whole or not at all. Raises OSError."""
        packed = _pack(entry)
        try:
            if self._file.write(packed) != len(packed):
                raise OSError("no space")
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(packed)

    def load(self) -> None:
        """What the snapshot holds, if there is one, into moto."""
        path = self._path("snapshot")
        if path.exists():
            with path.open("rb") as file:
                for backend, held in _Unpickler(file).load():
                    backend.__dict__.update(held)

    def entries(self) -> Iterator[Entry]:
        """The requests since the snapshot, in order. What a kill left half-written was never carried out: it
        is cut off."""
        good = 0
        with self._path("journal").open("rb") as file:
            for entry in _unpack(file):
                good = file.tell()
                yield entry
        self._file.truncate(good)
        self._size = good

    def is_long(self) -> bool:
        """Whether a snapshot should take this journal's place."""
        snapshot = self._path("snapshot")
        return self._size > max(_LEAST_BYTES, snapshot.stat().st_size if snapshot.exists() else 0)

    def replace(self) -> None:
        """A snapshot of what moto holds now, and an empty journal. The old ones go when both are there."""
        before = (self._path("journal"), self._path("snapshot"))
        self._number += 1
        named = self._snapshot()
        self._file.close()
        self._file = self._path("journal").open("ab", buffering=0)
        self._size = 0
        for path in before:
            path.unlink(missing_ok=True)
        self._content.sweep(named)

    def _snapshot(self) -> set[str]:
        """Returns the names of all content files that it needs."""
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


def replay(application: Wsgi, entry: Entry) -> None:
    """Carries the request out again; nobody waits for the answer."""
    environ = {
        "wsgi.version": (1, 0),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **entry.environ,
        "wsgi.input": io.BytesIO(entry.body),
    }
    for _ in application(environ, lambda *_: None):
        pass


def _pack(entry: Entry) -> bytes:
    kept = {
        name: value for name, value in entry.environ.items() if isinstance(value, (str, bool, list, dict))
    }
    content = json.dumps([entry.at, kept]).encode() + b"\n" + entry.body
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def _unpack(file: io.BufferedReader) -> Iterator[Entry]:
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        content = file.read(length)
        if len(content) != length or zlib.crc32(content) != checksum:
            return
        said, _, body = content.partition(b"\n")
        at, environ = json.loads(said)
        yield Entry(at, environ, body)


def _backends() -> list[tuple[Any, dict[str, Any]]]:
    """Every backend that was used, and what it holds."""
    return [(backend, dict(backend.__dict__)) for _, backend in _addresses()]


class _Pickler(pickle.Pickler):
    """Leaves out what the next process has anyway, and notes which content files are needed."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.named: set[str] = set()
        self._addresses = {id(backend): address for address, backend in _addresses()}
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
    """Names of backends become those of this process."""

    def persistent_load(self, pid: Any) -> Any:
        from moto.backends import get_backend

        service, *place = pid
        found: Any = get_backend(service)
        for name in place:
            found = found[name]
        return found


def _addresses() -> Iterator[tuple[tuple[str, str, str], Any]]:
    """Service, account and region of every backend that was used."""
    services: list[Any] = vars(importlib.import_module("moto.core.base_backend").BackendDict)["_instances"]
    for service in services:
        for account, region, backend in service.iter_backends():
            yield (service.service_name, account, region), backend
