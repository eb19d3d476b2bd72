"""How long a call to Kinesis is tried again, and the pauses in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

MAX_ATTEMPTS = 8
FIRST_PAUSE = 0.1  # seconds, before the second attempt; doubles with each one
LONGEST_PAUSE = 5.0  # seconds
THROTTLED_PAUSE = 0.5  # seconds; at 1 MB/s a shard has room for a whole aggregate once a second
THROTTLED_SECONDS = 600.0  # seconds of pauses in one call, for a caller without a deadline
MARGIN = 3.0  # seconds that a caller with a deadline keeps, to save its place and to answer

STOP_SECONDS = 60.0

SecondsLeft: TypeAlias = Callable[[], float]
"""How many seconds a caller still has."""


def unlimited() -> float:
    """The seconds left to a caller without a deadline."""
    return math.inf


def seconds_left(context: object) -> SecondsLeft:
    """The time left to an invocation, from Lambda's context object; unlimited for a caller that has none."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return unlimited if remaining is None else lambda: remaining() / 1000


class Deadline:
    """When an invocation should begin to stop: with a minute left, or a quarter of a shorter time."""

    def __init__(self, left: SecondsLeft = unlimited) -> None:
        self._left = left
        self._reserve = min(STOP_SECONDS, left() / 4)

    @property
    def near(self) -> bool:
        """Whether nothing long should be begun any more."""
        return self._left() < self._reserve


class Patience:
    """The pauses of one call.

    Failures are limited in number, with exponential back-off. Throttling is limited by the caller's time
    alone: a shard that is shared has room for everybody in turn, and giving up would send it the same bytes
    once more. Those pauses stay short, so that no room is left unused, and random, so that nobody starves.
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
        self._waited = 0.0  # seconds, for room in a shard

    def pause(self, *, throttled: bool) -> bool:
        """Waits until the next attempt. False, without waiting, if there should be none."""
        return self._pause_throttled() if throttled else self._pause_failed()

    def _pause_failed(self) -> bool:
        self._failures += 1
        if self._failures >= self._max_attempts:
            return False
        self._sleep(self._drawn(self._failures, LONGEST_PAUSE))
        return True

    def _pause_throttled(self) -> bool:
        self._throttled += 1
        pause = self._drawn(self._throttled, THROTTLED_PAUSE)
        if pause > min(self._left() - MARGIN, self._longest_wait() - self._waited):
            return False
        self._waited += pause
        self._sleep(pause)
        return True

    def _longest_wait(self) -> float:
        return THROTTLED_SECONDS if math.isinf(self._left()) else math.inf

    def _drawn(self, attempts: int, longest: float) -> float:
        doubled: float = FIRST_PAUSE * 2 ** min(attempts - 1, 10)
        return self._random() * min(longest, doubled)
