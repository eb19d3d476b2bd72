"""A transaction that was lost, made again."""

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
    """Seconds before each further attempt: doubling, with full jitter, so that two who met part."""
    for attempt in range(ATTEMPTS - 1):
        yield full_jitter(attempt, FIRST_SECONDS, LONGEST_SECONDS, random)


def retry_lost_transaction(
    work: Callable[[], T],
    *,
    sleep: Callable[[float], None] = time.sleep,
    random: Callable[[], float] = random.random,
) -> T:
    """What `work`, a whole transaction through the guard, returns: made again while it is lost (INV-2).

    Raises the last TransactionLostError, and all else at once.
    """
    for pause in pauses(random):
        try:
            return work()
        except TransactionLostError:
            sleep(pause)
    return work()
