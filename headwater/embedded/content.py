"""Where the embedded AWS keeps bytes: in files, so that its memory does not grow with what it holds.

A file is written once and never changed. None is removed while the server runs: a replay of the journal may
need the content of an object that was deleted since the snapshot. `sweep` removes what a new snapshot does
not name.
"""

from __future__ import annotations

import copy
import uuid
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

SEGMENT_BYTES = 64 * 1024 * 1024


class Content:
    """A folder of content files."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        """`keep`: the content of deleted objects stays until `sweep`."""
        self.folder = folder
        self.keep = keep
        folder.mkdir(exist_ok=True)

    def sweep(self, named: Collection[str]) -> None:
        """Removes every file that is not named."""
        for file in self.folder.iterdir():
            if file.name not in named:
                file.unlink()


class ObjectBody:
    """The content of one S3 object: the part of a file's interface that moto uses. Holds no open file."""

    content: Content  # of the process; set once, before the first object

    def __init__(self, *_: Any, **__: Any) -> None:
        self.name = uuid.uuid4().hex
        self._place = 0
        self._owned = True

    def __deepcopy__(self, memo: object) -> ObjectBody:
        """moto lists versions as copies of its objects; the end of a copy leaves the content alone."""
        twin = copy.copy(self)
        twin._owned = False
        return twin

    @property
    def _path(self) -> Path:
        return self.content.folder / self.name

    def seek(self, place: int) -> None:
        self._place = place

    def truncate(self) -> None:
        self._path.write_bytes(b"")

    def write(self, content: bytes) -> None:
        with self._path.open("r+b") as file:
            file.seek(self._place)
            file.write(content)
        self._place += len(content)

    def read(self, size: int = -1) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._place)
            found = file.read(size)
        self._place += len(found)
        return found

    def close(self) -> None:
        """Called when the object is deleted."""
        if self._owned and not self.content.keep:
            self._path.unlink(missing_ok=True)


class Place(NamedTuple):
    """Where a record's bytes are."""

    name: str
    offset: int
    length: int


class Spool:
    """The bytes of Kinesis records, appended to files of up to SEGMENT_BYTES."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._held: Counter[str] = Counter()
        self._name = ""
        self._size = SEGMENT_BYTES

    def append(self, payload: bytes) -> Place:
        """Writes the bytes; returns where they are."""
        if self._size >= SEGMENT_BYTES:
            self._name, self._size = f"stream-{uuid.uuid4().hex}", 0
        with (self._content.folder / self._name).open("ab") as file:
            self._size = file.tell()
            file.write(payload)
        self._held[self._name] += 1
        place = Place(self._name, self._size, len(payload))
        self._size += len(payload)
        return place

    def read(self, place: Place) -> bytes:
        """The bytes at that place."""
        with (self._content.folder / place.name).open("rb") as file:
            file.seek(place.offset)
            return file.read(place.length)

    def release(self, name: str) -> None:
        """A record of this file has expired; after the last one the file is removed."""
        self._held[name] -= 1
        if not self._held[name] and name != self._name and not self._content.keep:
            (self._content.folder / name).unlink(missing_ok=True)
