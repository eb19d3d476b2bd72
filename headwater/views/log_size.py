"""The number of objects of the log and their size, counted incrementally."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from headwater.aws import Aws
from headwater.views.kept_facts import load, save
from replay.log.reader import ERRORS, LOG, S3Log

_SUMMARY = "log-size"
# The key of a log object contains the hour in which its first record arrived, and Firehose retries a
# delivery for a day: https://docs.aws.amazon.com/firehose/latest/dev/retry.html
_MAY_CHANGE = timedelta(days=3)


class LogSize(NamedTuple):
    """The number of objects with frames, and their size as stored, in bytes."""

    objects: int = 0
    bytes: int = 0

    def plus(self, size: int) -> LogSize:
        """Return the size with one more object of `size` bytes."""
        return LogSize(self.objects + 1, self.bytes + size)


def log_size(log: S3Log, aws: Aws, bucket: str, now: datetime) -> LogSize:
    """Count the objects of the log. Raises TransientError, ConfigurationError.

    Objects older than `_MAY_CHANGE` are counted only once, and their total is cached in the bucket.
    """
    through, past = _kept(load(aws, bucket, _SUMMARY))
    # Keys contain the hour, so that a key also serves as a point in time.
    until = f"{LOG}{now.astimezone(UTC) - _MAY_CHANGE:%Y/%m/%d/%H}"
    recent = LogSize()
    for item in log.objects(through or LOG):
        if item.key < until:
            past = past.plus(item.size)
        else:
            recent = recent.plus(item.size)
    if until > through:
        save(aws, bucket, _SUMMARY, {"through": until, **past._asdict()})
    for item in takewhile(lambda item: item.key.startswith(ERRORS), log.objects()):
        recent = recent.plus(item.size)  # few, and not ordered by time: counted every time
    return LogSize(past.objects + recent.objects, past.bytes + recent.bytes)


def _kept(kept: Any) -> tuple[str, LogSize]:
    """Return the cached total, and the key before which every object is included in it."""
    try:
        return str(kept["through"]), LogSize(int(kept["objects"]), int(kept["bytes"]))
    except (LookupError, TypeError, ValueError):
        return "", LogSize()
