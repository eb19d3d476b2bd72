"""The retries of replay after a transient error."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from schemas.backoff import full_jitter
from schemas.errors import TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries a TransientError with full-jitter back-off, and raises the last one after `attempts`.

    `first` and `longest` are the upper bounds of the first and of the longest pause, in seconds.
    """

    attempts: int = 8
    first: float = 0.2
    longest: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random

    def call(self, work: Callable[[], T], prepare: Callable[[], object] = lambda: None) -> T:
        """Return what `work` returns, calling `prepare` before each attempt. Errors of `prepare` are raised.

        The caller must not hold a transaction or lock: others would wait through the pauses, and only the
        owner of a lost transaction can begin it again.
        """
        # Safe to repeat, whatever was half done: replay only reads, or writes through the guard (INV-2).
        for attempt in range(self.attempts - 1):
            # Outside the `try`: `prepare` may retry by itself, and nested retries multiply the attempts.
            prepare()
            try:
                return work()
            except TransientError:
                self.sleep(full_jitter(attempt, self.first, self.longest, self.random))
        prepare()
        return work()
