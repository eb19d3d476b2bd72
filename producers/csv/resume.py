"""How far a large file was published: where the next attempt goes on, so that each one gets further.

A stage is one object, whose name says what it proves: `<rows before>-<rows>-<rejected so far>` is put when
Kinesis has acknowledged the rows in between, and holds the rejects among them. A kill leaves all of it or
nothing. Attempts that run at the same time may stop at different rows: each leaves its own chain of stages,
and the one that goes furthest counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from typing import NamedTuple

from producers.csv.archive import Bucket, erase
from schemas.catalog.entity import Entity
from schemas.privacy import HashKey
from schemas.sources.csv import CsvSource

PREFIX = "progress/"
"""Of the keys in the source bucket. What lies there is not needed any more once its file is done."""
SURVEY, ROWS = "survey", "rows"
ROW_FORM = 1  # to be raised when another version of Headwater may count the rows of a file in another way
_KEYS = ".keys"
_STAGE = re.compile(r"(\d{12})-(\d{12})-(\d{12})")


class Place(NamedTuple):
    """All rows up to `rows` are done, and `rejected` of them became no event. `stages`: the chain."""

    rows: int = 0
    rejected: int = 0
    stages: tuple[str, ...] = ()


class FileProgress:
    """The progress of one file under one configuration: another one counts or reads its rows differently."""

    def __init__(self, bucket: Bucket, feed: str, position: str, configuration: str) -> None:
        self._bucket = bucket
        self._file = f"{PREFIX}{feed}/{position}/"
        self._own = f"{self._file}{configuration}/"
        self._found: list[str] | None = None

    def place(self, phase: str) -> Place:
        """Where a phase goes on."""
        best: dict[int, Place] = {0: Place()}
        for key in self._keys():
            stage = _STAGE.fullmatch(key.removeprefix(f"{self._own}{phase}/"))
            if stage:
                first, last, rejected = map(int, stage.groups())
                if first in best:
                    best[last] = Place(last, rejected, (*best[first].stages, key))
        return best[max(best)]

    @property
    def outdated(self) -> bool:
        """Whether another configuration took some of the file: none of it counts here."""
        return any(not key.startswith(self._own) for key in self._keys())

    def save(
        self, phase: str, before: Place, rows: int, rejected: int, rejects: bytes, keys: bytes | None = None
    ) -> Place:
        """Makes a new place durable. `rejects` are those since the place before; `keys` the sample so far."""
        key = f"{self._own}{phase}/{before.rows:012}-{rows:012}-{rejected:012}"
        if keys is not None:
            self._bucket.put(f"{key}{_KEYS}", BytesIO(keys))
        self._bucket.put(key, BytesIO(rejects))
        return Place(rows, rejected, (*before.stages, key))

    def rejects(self, place: Place) -> Iterator[bytes]:
        """What the stages up to a place hold, in chunks."""
        for key in place.stages:
            yield from self._bucket.read(self._bucket.pin(key, None))

    def keys(self, place: Place) -> bytes:
        """The sample of keys that was saved with a place."""
        return b"".join(
            chunk
            for key in place.stages[-1:]
            for chunk in self._bucket.read(self._bucket.pin(f"{key}{_KEYS}", None))
        )

    def forget(self) -> None:
        """Deletes everything that is known of the file, in all versions."""
        erase(self._bucket, list(self._bucket.keys(self._file)))

    def _keys(self) -> Sequence[str]:
        if self._found is None:
            self._found = sorted(self._bucket.keys(self._file))
        return self._found


def configuration_of(entity: Entity, source: CsvSource, key: HashKey | None) -> str:
    """16 hex digits that change whenever the events of a file might."""
    parts = ROW_FORM, entity.schema.fingerprint, source, key.id if key else None
    return sha256(repr(parts).encode()).hexdigest()[:16]
