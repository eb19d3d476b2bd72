"""A lost transaction is made again, whole, after pauses that grow and differ."""

import pytest

from consumers.warehouse.port import TransactionLostError
from consumers.warehouse.retry import ATTEMPTS, LONGEST_SECONDS, pauses, retry_lost_transaction
from schemas.errors import TransientError


def failing(times: int, error: Exception) -> "tuple[list[int], object]":
    calls: list[int] = []

    def work() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "kept"

    return calls, work


def test_a_lost_transaction_is_made_again_until_it_is_kept() -> None:
    slept: list[float] = []
    calls, work = failing(3, TransactionLostError("deadlock"))
    assert retry_lost_transaction(work, sleep=slept.append, random=lambda: 1.0) == "kept"  # type: ignore[arg-type]
    assert len(calls) == 4
    assert slept == sorted(slept)
    assert len(set(slept)) == 3


def test_it_gives_up_in_the_end_and_tells_what_was_last() -> None:
    calls, work = failing(99, TransactionLostError("deadlock"))
    with pytest.raises(TransactionLostError, match="deadlock"):
        retry_lost_transaction(work, sleep=lambda _: None)  # type: ignore[arg-type]
    assert len(calls) == ATTEMPTS


def test_what_is_only_transient_is_left_to_the_caller() -> None:
    calls, work = failing(1, TransientError("the log is full"))
    with pytest.raises(TransientError):
        retry_lost_transaction(work, sleep=lambda _: None)  # type: ignore[arg-type]
    assert len(calls) == 1


def test_pauses_have_full_jitter_and_a_bound() -> None:
    assert set(pauses(lambda: 0.0)) == {0.0}
    assert max(pauses(lambda: 1.0)) <= LONGEST_SECONDS
