"""How many objects the log has, and their bytes: counted once, and from then on only what is new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from headwater.aws import Aws
from headwater.views.kept_facts import load, save
from replay.log.reader import ERRORS, LOG, S3Log

_SUMMARY = "log-size"
# The name of a log object has the hour in which its first record arrived, and Firehose tries for a day to
# deliver it: https://docs.aws.amazon.com/firehose/latest/dev/retry.html
_MAY_CHANGE = timedelta(days=3)


class LogSize(NamedTuple):
    """Objects with frames, and their bytes as they are stored."""

    objects: int = 0
    bytes: int = 0

    def plus(self, size: int) -> LogSize:
        """With one more object."""
        return LogSize(self.objects + 1, self.bytes + size)


def log_size(log: S3Log, aws: Aws, bucket: str, now: datetime) -> LogSize:
    """Count. What lies before the last days is counted once and kept. Raises TransientError,
    ConfigurationError."""
    through, past = _kept(load(aws, bucket, _SUMMARY))
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
        recent = recent.plus(item.size)  # few, and in no order of time
    return LogSize(past.objects + recent.objects, past.bytes + recent.bytes)


def _kept(kept: Any) -> tuple[str, LogSize]:
    """Everything whose key comes before the text has been counted."""
    try:
        return str(kept["through"]), LogSize(int(kept["objects"]), int(kept["bytes"]))
    except (LookupError, TypeError, ValueError):
        return "", LogSize()
