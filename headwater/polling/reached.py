"""The time up to which the live consumer has read the whole stream, kept beside its checkpoints.

A checkpoint whose record has expired is no proof of a loss: a shard may be without records for days. What
arrived after this time has not expired before the stream's retention has passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from consumers.warehouse.port import Checkpoint, Transaction

REACHED_READER = "live reached"
"""Reader of the checkpoint that has this time as its `sequence`. Its shard is empty."""

SAVE_SECONDS = 600.0
MARGIN = timedelta(minutes=5)  # this machine's clock may differ from that of AWS

Save = Callable[[Sequence[Checkpoint]], object]


def last_reached(transaction: Transaction, identity: str) -> float:
    """Return this time in seconds since 1970; the creation of the stream if none was saved."""
    saved = [point for point in transaction.checkpoints(REACHED_READER) if point.stream == identity]
    times = [identity.rpartition("@")[2], *(point.sequence for point in saved)]
    return max(datetime.fromisoformat(text).timestamp() for text in times)


class Reached:
    """This time of one stream. `save` saves checkpoints."""

    def __init__(
        self, identity: str, seconds: float, save: Save, clock: Callable[[], float] = time.time
    ) -> None:
        self._identity, self._seconds, self._save, self._clock = identity, seconds, save, clock
        self._saved_at = 0.0

    def is_within(self, retention: timedelta) -> bool:
        """Return whether the stream still has everything that arrived since."""
        return timedelta(seconds=self._clock() - self._seconds) < retention - MARGIN

    def advance(self, seconds: float) -> None:
        """Note that everything before this time has been read. Saved every ten minutes; raises as `save`."""
        self._seconds = max(seconds, self._seconds)
        if self._clock() - self._saved_at >= SAVE_SECONDS:
            # Rounded down, and in a fixed width: the later of two checkpoints is the greater text.
            text = datetime.fromtimestamp(int(self._seconds), UTC).isoformat()
            self._save([Checkpoint(REACHED_READER, self._identity, "", text)])
            self._saved_at = self._clock()
