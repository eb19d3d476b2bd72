"""Names that no schema has, as the producers recorded them in S3."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from headwater.aws import Aws
from schemas.catalog.drift import DRIFT_PREFIX, Drift, Sighting, fold_sightings, sighting_of
from schemas.errors import ConfigurationError
from schemas.s3_objects import list_objects
from schemas.settings import Settings

RECENT = timedelta(days=30)


def recently() -> date:
    """Return the date that is RECENT before today, in UTC."""
    return datetime.now(UTC).date() - RECENT


def read_drift(
    aws: Aws, settings: Settings, entity: str | None = None, since: date = date.min
) -> list[Drift]:
    """Return the names seen on `since` or later, of one entity or of all. Raises TransientError,
    ConfigurationError."""
    return fold_sightings(_sightings(aws, settings.source_bucket, entity, since))


def as_json(drift: Drift) -> dict[str, object]:
    """Return the members for JSON, with dates as text."""
    return {**drift._asdict(), "first": str(drift.first), "last": str(drift.last)}


def _sightings(aws: Aws, bucket: str, entity: str | None, since: date) -> Iterator[Sighting]:
    """Yield the sightings. They are encoded in the keys, so that no object is read."""
    for item in list_objects(aws.s3, bucket, DRIFT_PREFIX, after=f"{DRIFT_PREFIX}{since.isoformat()}"):
        day, _, rest = item.key.removeprefix(DRIFT_PREFIX).partition("/")
        if day < since.isoformat() or entity not in (None, rest.partition("/")[0]):
            continue
        try:
            yield sighting_of(item.key)
        except ValueError:
            raise ConfigurationError(
                f"s3://{bucket}/{item.key} is no report of names that Headwater has written: move it away"
            ) from None
