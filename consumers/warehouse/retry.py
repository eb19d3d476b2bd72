"""Retry of transactions that were lost to a deadlock, another writer or a broken connection."""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from consumers.warehouse.port import TransactionLostError
from schemas.backoff import full_jitter

T = TypeVar("T")

ATTEMPTS = 10
FIRST_SECONDS = 0.02
LONGEST_SECONDS = 2.0


def pauses(random: Callable[[], float]) -> Iterator[float]:
    """Yield the seconds to wait before each further attempt: exponential, with full jitter."""
    # Full jitter, so that two writers that collided do not collide again in step.
    for attempt in range(ATTEMPTS - 1):
        yield full_jitter(attempt, FIRST_SECONDS, LONGEST_SECONDS, random)


def retry_lost_transaction(
    work: Callable[[], T],
    *,
    sleep: Callable[[float], None] = time.sleep,
    random: Callable[[], float] = random.random,
) -> T:
    """Return the result of `work`, which is repeated while it raises TransactionLostError.

    `work` must be a whole transaction whose repetition is harmless (INV-2). Never call this while a
    transaction is open: the server has rolled it back together with its locks. Raises the
    TransactionLostError of the last attempt; any other exception at once.
    """
    for pause in pauses(random):
        try:
            return work()
        except TransactionLostError:
            sleep(pause)
    return work()
