"""What a container has seen of names that no schema has, told once for each day and set of new names."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Protocol

from schemas.aws_errors import aws_errors
from schemas.catalog.drift import MORE, MOST_NAMES, PREFIX, Sighting, day_of, shown, sighting_keys
from schemas.errors import ConflictError, HeadwaterError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)
MOST_DAYS = 1_000
"""Of all sources: what a container remembers."""
_NONE: frozenset[str] = frozenset()


class SightingStore(Protocol):
    """Where sightings are kept."""

    def put(self, sighting: Sighting) -> None:
        """Raises HeadwaterError."""


class S3Sightings:
    """A bucket's `drift/`. What is there already stays as it is."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, sighting: Sighting) -> None:
        """Raises TransientError, ConfigurationError: then some of the names may be there."""
        for key in sighting_keys(sighting):
            with (
                suppress(ConflictError),
                aws_errors(f"PutObject under {PREFIX} of the bucket {self._bucket}"),
            ):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=b"", IfNoneMatch="*")


class DriftReporter:
    """Of one container. Never raises for the store: what is said about events holds none of them up."""

    def __init__(self, store: SightingStore) -> None:
        self._store = store
        self._told: dict[tuple[str, str, date], set[str]] = {}
        self._new: dict[tuple[str, str, date], set[str]] = {}

    def observe(self, entity: str, source: str, occurred_at: int, names: Iterable[str]) -> None:
        """`occurred_at`: microseconds since 1970."""
        of = entity, source, day_of(occurred_at)
        told, new = self._told.get(of, _NONE), self._new.setdefault(of, set())
        for name in map(shown, names):
            if name not in told and name not in new:
                seen = name if len(told) + len(new) < MOST_NAMES else MORE
                new.update({seen} - told)

    def flush(self) -> None:
        """Tells what is new. What could not be told is tried again when it is seen again."""
        new, self._new = self._new, {}
        for of, names in new.items():
            if not names:
                continue
            try:
                self._store.put(Sighting(*of, tuple(sorted(names))))
            except HeadwaterError as error:
                _log.warning("names that no schema has could not be reported: %s", error)
                continue
            if len(self._told) >= MOST_DAYS:
                self._told.clear()
            self._told.setdefault(of, set()).update(names)
