"""The pause before a retry: exponential back-off with full jitter."""

from collections.abc import Callable


def full_jitter(attempt: int, first: float, longest: float, random: Callable[[], float]) -> float:
    """Return a random pause, in seconds, before another attempt.

    Its upper bound is `first` for attempt 0, doubles with each attempt, and never exceeds `longest`. Callers
    that failed at the same moment spread out, since `random` returns numbers in [0, 1).
    """
    # The exponent is capped because a float overflows at 2**1024, and throttled calls may go on that long.
    return random() * min(longest, first * 2.0 ** min(attempt, 64))
