"""Saved progress of publishing a large file, from which the next attempt resumes.

A stage is one object, named `<rows before>-<rows>-<rejected so far>`. It is stored when Kinesis has
acknowledged the rows in between, and holds the rejects among them. S3 stores an object whole or not at all,
so a kill never leaves half a stage. Concurrent attempts may stop at different rows: each leaves its own chain
of stages, and the one that reaches furthest counts.
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
"""Prefix in the source bucket. Its objects are deleted once their file is done."""
SURVEY, ROWS = "survey", "rows"
ROW_FORM = 1  # raise it in a version of Headwater that may count the rows of a file differently
_KEYS = ".keys"
_STAGE = re.compile(r"(\d{12})-(\d{12})-(\d{12})")


class ResumePoint(NamedTuple):
    """The number of rows that are done, and of rejects among them; `stages` are the keys of the chain."""

    rows: int = 0
    rejected: int = 0
    stages: tuple[str, ...] = ()


class FileProgress:
    """The progress of one file under one configuration: another one may read its rows differently."""

    def __init__(self, bucket: Bucket, feed: str, position: str, configuration: str) -> None:
        self._bucket = bucket
        self._file = f"{PREFIX}{feed}/{position}/"
        self._own = f"{self._file}{configuration}/"
        self._listed: list[str] | None = None

    def resume_point(self, phase: str) -> ResumePoint:
        """Return where to resume a phase."""
        # The keys are sorted by their first rows, so a stage comes after every stage that it may follow.
        points: dict[int, ResumePoint] = {0: ResumePoint()}
        for key in self._keys():
            stage = _STAGE.fullmatch(key.removeprefix(f"{self._own}{phase}/"))
            if stage:
                first, last, rejected = map(int, stage.groups())
                if first in points:
                    points[last] = ResumePoint(last, rejected, (*points[first].stages, key))
        return points[max(points)]

    @property
    def outdated(self) -> bool:
        """True if there is progress under another configuration, which does not count here."""
        return any(not key.startswith(self._own) for key in self._keys())

    def save(
        self,
        phase: str,
        before: ResumePoint,
        *,
        rows: int,
        rejected: int,
        rejects: bytes,
        keys: bytes | None = None,
    ) -> ResumePoint:
        """Make a new resume point durable, and return it.

        `rows` and `rejected` count from the start of the file. `rejects` are those since the point `before`;
        `keys` is the sample so far.
        """
        key = f"{self._own}{phase}/{before.rows:012}-{rows:012}-{rejected:012}"
        # The sample goes first: the stage itself is what makes the point valid.
        if keys is not None:
            self._bucket.put(f"{key}{_KEYS}", BytesIO(keys))
        self._bucket.put(key, BytesIO(rejects))
        return ResumePoint(rows, rejected, (*before.stages, key))

    def rejects(self, point: ResumePoint) -> Iterator[bytes]:
        """Yield the rejects up to a resume point, in chunks."""
        for key in point.stages:
            yield from self._bucket.read(self._bucket.pin(key, None))

    def keys(self, point: ResumePoint) -> bytes:
        """Return the sample of keys that was saved with a resume point."""
        return b"".join(
            chunk
            for key in point.stages[-1:]
            for chunk in self._bucket.read(self._bucket.pin(f"{key}{_KEYS}", None))
        )

    def forget(self) -> None:
        """Delete all progress of the file, under every configuration and in all versions."""
        erase(self._bucket, list(self._bucket.keys(self._file)))

    def _keys(self) -> Sequence[str]:
        if self._listed is None:
            self._listed = sorted(self._bucket.keys(self._file))
        return self._listed


def configuration_of(entity: Entity, source: CsvSource, key: HashKey | None) -> str:
    """Return 16 hex digits that change whenever the events of a file might."""
    parts = ROW_FORM, entity.schema.fingerprint, source, key.id if key else None
    return sha256(repr(parts).encode()).hexdigest()[:16]
