"""Files for the content of the embedded AWS, so that its memory does not grow with the amount of data.

A file is written once and never changed. With a state, no file is removed while the server runs: a replay of
the journal may need the content of an object that was deleted since the snapshot. `sweep` removes the files
that a new snapshot does not reference.
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
        """`keep`: keep the content of deleted objects until `sweep`."""
        self.folder = folder
        self.keep = keep
        folder.mkdir(exist_ok=True)

    def sweep(self, named: Collection[str]) -> None:
        """Remove every file whose name is not in `named`."""
        for file in self.folder.iterdir():
            if file.name not in named:
                file.unlink()


class ObjectBody:
    """The content of an S3 object, with the part of the file interface that moto uses. Keeps no file open."""

    content: Content  # one for the process, set before the first object is created

    def __init__(self, *_: Any, **__: Any) -> None:
        self.name = uuid.uuid4().hex
        self._position = 0
        self._owned = True

    def __deepcopy__(self, memo: object) -> ObjectBody:
        """Return a copy that does not own the content."""
        # moto lists the versions of an object as deep copies; closing a copy must not remove the file.
        twin = copy.copy(self)
        twin._owned = False
        return twin

    @property
    def _path(self) -> Path:
        return self.content.folder / self.name

    def seek(self, position: int) -> None:
        self._position = position

    def truncate(self) -> None:
        self._path.write_bytes(b"")

    def write(self, content: bytes) -> None:
        with self._path.open("r+b") as file:
            file.seek(self._position)
            file.write(content)
        self._position += len(content)

    def read(self, size: int = -1) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._position)
            content = file.read(size)
        self._position += len(content)
        return content

    def close(self) -> None:
        """Remove the content. moto calls this when the object is deleted."""
        if self._owned and not self.content.keep:
            self._path.unlink(missing_ok=True)


class Place(NamedTuple):
    """File name, offset and length of a record's bytes."""

    name: str
    offset: int
    length: int


class Spool:
    """The bytes of Kinesis records, appended to segment files of about SEGMENT_BYTES."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._live: Counter[str] = Counter()  # records of each segment that have not expired
        self._name = ""
        self._size = SEGMENT_BYTES  # full: the first record begins a segment

    def append(self, payload: bytes) -> Place:
        """Append the bytes and return their place."""
        if self._size >= SEGMENT_BYTES:
            self._name, self._size = f"stream-{uuid.uuid4().hex}", 0
        with (self._content.folder / self._name).open("ab") as file:
            self._size = file.tell()  # the real size: an earlier write may have failed halfway
            file.write(payload)
        self._live[self._name] += 1
        place = Place(self._name, self._size, len(payload))
        self._size += len(payload)
        return place

    def read(self, place: Place) -> bytes:
        """Return the bytes at `place`."""
        with (self._content.folder / place.name).open("rb") as file:
            file.seek(place.offset)
            return file.read(place.length)

    def release(self, name: str) -> None:
        """Count a record of this segment as expired. With the last one the file is removed."""
        self._live[name] -= 1
        if not self._live[name] and name != self._name and not self._content.keep:
            (self._content.folder / name).unlink(missing_ok=True)
