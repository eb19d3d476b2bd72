"""The time that a caller has left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

STOP_SECONDS = 60.0

SecondsLeft: TypeAlias = Callable[[], float]
"""Returns how many seconds the caller still has."""


def unlimited() -> float:
    """Return the seconds left to a caller without a deadline: infinity."""
    return math.inf


def seconds_left(context: object) -> SecondsLeft:
    """Return a function of the time left to an invocation, from Lambda's context object.

    The local runtime passes a context without a deadline: its time is unlimited.
    """
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return unlimited if remaining is None else lambda: remaining() / 1000


class Deadline:
    """The moment at which an invocation should begin to stop: a minute before its end, or at the last quarter
    of a shorter time."""

    def __init__(self, left: SecondsLeft = unlimited) -> None:
        self._left = left
        # Lambda's limit may be set below four minutes: a fixed minute would then leave little time for work.
        self._reserve = min(STOP_SECONDS, left() / 4)

    @property
    def near(self) -> bool:
        """True when no long step should be started any more."""
        return self._left() < self._reserve
