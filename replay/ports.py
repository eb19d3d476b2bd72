"""The ports of replay: tables, log and stream, assembled by the caller."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consumers.warehouse.port import Warehouse
from replay.fold import CHUNK_BYTES
from replay.log.reader import LogStore
from replay.progress import ProgressCallback, no_report
from replay.retry_policy import RetryPolicy
from replay.tail import Stream
from schemas.errors import ConfigurationError
from schemas.payload.codec import SchemaRegistry

LEAST_REACH = timedelta(hours=1)


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ports:
    """Tables, log and stream, and the few settings of a run.

    - `registry`: the schemas that this process knows; the log is asked for others.
    - `firehose_lag`: how long Firehose may buffer an event before it is in S3.
    - `hold`: how long a swap may keep the live consumers waiting.
    - `chunk_bytes`: how much of the log is folded at a time.
    """

    warehouse: Warehouse
    log: LogStore
    stream: Stream
    registry: SchemaRegistry
    firehose_lag: timedelta = timedelta(minutes=15)
    hold: timedelta = timedelta(seconds=10)
    chunk_bytes: int = CHUNK_BYTES
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    report: ProgressCallback = no_report
    now: Callable[[], datetime] = utc_now
    clock: Callable[[], float] = time.monotonic

    @property
    def reach(self) -> timedelta:
        """The time before the listing of the log from which the stream is read, so that the two overlap."""
        # Twice the lag, and an hour at least: an event in neither of them would be lost from the table, while
        # one in both is only a duplicate (INV-2).
        return max(LEAST_REACH, 2 * self.firehose_lag)

    def stream_holds(self, since: datetime) -> bool:
        """Return whether the stream still has every record that arrived at or after `since`."""
        return self.now() - since <= self.retry.call(self.stream.retention)

    def check_stream_holds(self, since: datetime) -> None:
        """Raise ConfigurationError unless `stream_holds(since)`."""
        if not self.stream_holds(since):
            needed = since.isoformat(timespec="seconds")
            raise ConfigurationError(
                f"the stream no longer has what arrived since {needed}: it needs a longer retention"
            )

    def time_box(self) -> Callable[[], bool]:
        """Return a function that is true until `hold` has passed from now on."""
        end = self.clock() + self.hold.total_seconds()
        return lambda: self.clock() < end
