"""What replay talks to, put together by whoever calls it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consumers.warehouse.port import Warehouse
from replay.fold import CHUNK_BYTES
from replay.log.reader import LogStore
from replay.progress import Report, unreported
from replay.retry_policy import RetryPolicy
from replay.tail import Stream
from schemas.errors import ConfigurationError
from schemas.payload.codec import SchemaRegistry

LEAST_REACH = timedelta(hours=1)


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ports:
    """Tables, log and stream, and the few settings of a run.

    `registry` holds the schemas that are known here; the log is asked for others. `firehose_lag`: how long
    Firehose may hold an event before it is in S3. `chunk_bytes`: how much of the log is folded at a time.
    `hold`: how long a swap may keep the live consumers waiting.
    """

    warehouse: Warehouse
    log: LogStore
    stream: Stream
    registry: SchemaRegistry
    firehose_lag: timedelta = timedelta(minutes=15)
    hold: timedelta = timedelta(seconds=10)
    chunk_bytes: int = CHUNK_BYTES
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    report: Report = unreported
    now: Callable[[], datetime] = utc_now
    clock: Callable[[], float] = time.monotonic

    @property
    def reach(self) -> timedelta:
        """How far before the listing of the log the stream is read, so that nothing falls between the two."""
        return max(LEAST_REACH, 2 * self.firehose_lag)

    def stream_holds(self, since: datetime) -> bool:
        """Whether the stream still has what came since then."""
        return self.now() - since <= self.retry.call(self.stream.retention)

    def check_stream_holds(self, since: datetime) -> None:
        """Raises ConfigurationError when it has not."""
        if not self.stream_holds(since):
            needed = since.isoformat(timespec="seconds")
            raise ConfigurationError(
                f"the stream no longer holds what came since {needed}: it needs a longer retention"
            )

    def time_box(self) -> Callable[[], bool]:
        """Tells, from now on, whether the live consumers may be kept waiting still."""
        end = self.clock() + self.hold.total_seconds()
        return lambda: self.clock() < end
