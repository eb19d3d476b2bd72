"""The pauses between the attempts of one Kinesis call, and when to give up."""

from __future__ import annotations

import math
from collections.abc import Callable

from schemas.backoff import full_jitter
from schemas.deadline import SecondsLeft

MAX_ATTEMPTS = 8
FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 5.0  # seconds
THROTTLED_PAUSE = 0.5  # seconds; at 1 MB/s a shard has room for a whole aggregate once a second
THROTTLED_SECONDS = 600.0  # seconds of pauses in one call, for a caller without a deadline
MARGIN = 3.0  # seconds that a caller with a deadline keeps, to save its progress and to answer


class PutBackoff:
    """Pauses between the attempts of one call to Kinesis.

    Failures are limited in number. Throttling is limited by the caller's time alone, because giving up would
    only send the same bytes to the same busy shard again. Pauses for throttling stay short, so that free
    capacity is used, and random, so that no producer starves.
    """

    def __init__(
        self,
        sleep: Callable[[float], object],
        random: Callable[[], float],
        max_attempts: int,
        left: SecondsLeft,
    ) -> None:
        self._sleep = sleep
        self._random = random
        self._max_attempts = max_attempts
        self._left = left
        self._failures = 0
        self._throttled = 0
        self._waited = 0.0  # seconds of pauses for throttling

    def pause(self, *, throttled: bool) -> bool:
        """Wait until the next attempt. Return False, without waiting, if the caller should give up."""
        return self._pause_throttled() if throttled else self._pause_failed()

    def _pause_failed(self) -> bool:
        self._failures += 1
        if self._failures >= self._max_attempts:
            return False
        self._sleep(full_jitter(self._failures - 1, FIRST_PAUSE, LONGEST_PAUSE, self._random))
        return True

    def _pause_throttled(self) -> bool:
        pause = full_jitter(self._throttled, FIRST_PAUSE, THROTTLED_PAUSE, self._random)
        self._throttled += 1
        if pause > min(self._left() - MARGIN, self._longest_wait() - self._waited):
            return False
        self._waited += pause
        self._sleep(pause)
        return True

    def _longest_wait(self) -> float:
        return THROTTLED_SECONDS if math.isinf(self._left()) else math.inf
