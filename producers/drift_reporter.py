"""Reports of names in sources that no schema has: each name at most once a day and container."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Protocol

from schemas.aws_errors import aws_errors
from schemas.catalog.drift import (
    DRIFT_PREFIX,
    MAX_NAMES,
    MORE_NAMES,
    Sighting,
    day_of,
    safe_name,
    sighting_keys,
)
from schemas.errors import ConflictError, HeadwaterError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)
MOST_DAYS = 1_000
"""How many days, of all sources together, a container remembers."""
_NONE: frozenset[str] = frozenset()


class SightingStore(Protocol):
    """Stores sightings of names."""

    def put(self, sighting: Sighting) -> None:
        """Store a sighting. Raises HeadwaterError."""


class S3Sightings:
    """The prefix `drift/` of a bucket."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, sighting: Sighting) -> None:
        """Store a sighting. Raises TransientError and ConfigurationError; some names may be stored then."""
        for key in sighting_keys(sighting):
            # The key holds all of the sighting and the object is empty, so one that exists is complete.
            with (
                suppress(ConflictError),
                aws_errors(f"PutObject under {DRIFT_PREFIX} of the bucket {self._bucket}"),
            ):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=b"", IfNoneMatch="*")


class DriftReporter:
    """Reports the unknown names that one container observes, and remembers which it has reported.

    An error of the store is only logged: reports about events must not hold up the events.
    """

    def __init__(self, store: SightingStore) -> None:
        self._store = store
        self._reported: dict[tuple[str, str, date], set[str]] = {}
        self._new: dict[tuple[str, str, date], set[str]] = {}

    def observe(self, entity: str, source: str, occurred_at: int, names: Iterable[str]) -> None:
        """Note names for the next report; `occurred_at` is in microseconds since 1970."""
        day = entity, source, day_of(occurred_at)
        reported, new = self._reported.get(day, _NONE), self._new.setdefault(day, set())
        for name in map(safe_name, names):
            if name not in reported and name not in new:
                # A source may use values as attribute names: beyond the limit all further names count as one.
                counted = name if len(reported) + len(new) < MAX_NAMES else MORE_NAMES
                new.update({counted} - reported)

    def flush(self) -> None:
        """Report the new names. A name whose report failed is reported when it is observed again."""
        new, self._new = self._new, {}
        for day, names in new.items():
            if not names:
                continue
            try:
                self._store.put(Sighting(*day, tuple(sorted(names))))
            except HeadwaterError as error:
                _log.warning("names that no schema has could not be reported: %s", error)
                continue
            # Forgetting everything costs some repeated reports, which change nothing in the store.
            if len(self._reported) >= MOST_DAYS:
                self._reported.clear()
            self._reported.setdefault(day, set()).update(names)
