"""How long replay keeps trying what is transient."""

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
    """Retries a TransientError with full-jitter backoff; what is still failing after `attempts` is raised.

    `first` and `longest` are the bounds of the first and of the longest pause, in seconds. All that replay
    retries may be repeated: it reads, or it writes through the guard (INV-2).
    """

    attempts: int = 8
    first: float = 0.2
    longest: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random

    def call(self, work: Callable[[], T], prepare: Callable[[], object] = lambda: None) -> T:
        """Return what `work` returns. `prepare` is called before each attempt, and its errors are raised: it
        may have patience of its own, which inside `work` would multiply the attempts.

        The caller must hold no transaction or lock: others would wait through the pauses, and only who began
        a lost transaction can begin it again.
        """
        for attempt in range(self.attempts - 1):
            prepare()
            try:
                return work()
            except TransientError:
                self.sleep(full_jitter(attempt, self.first, self.longest, self.random))
        prepare()
        return work()
