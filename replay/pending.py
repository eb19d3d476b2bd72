"""Differing rows that may only be in flight, checked again once both tables have read the same events.

Writers go on while a table is compared, so a difference may be an event that one side has not read yet. It is
real if both rows come from one event, or if the side that is behind has read past the point at which the
other side had the event.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TypeAlias

from consumers.warehouse.port import LIVE_READER, Row, Transaction, Transactions
from replay.differences import Difference, comparator
from replay.retry_policy import RetryPolicy
from replay.tail import Tail
from schemas.catalog.entity import Entity

RowsOf: TypeAlias = Callable[[Transaction, list[bytes]], Mapping[bytes, Row]]
"""Reads expected rows by key hash, in a transaction of the live table's warehouse or in one of its own."""

BATCH_ROWS = 500
"""Rows that one query reads."""
ROUNDS = 30
PAUSE = 1.0
"""Seconds between two rounds."""


class PendingDifferences:
    """Rows that differed from the live table while the tail was at `tail.sequences`."""

    def __init__(self, entity: Entity, live: int, tail: Tail, expected: RowsOf) -> None:
        self._entity, self._live, self._tail, self._rows_of = entity, live, tail, expected
        # A copy: the tail reads on, and the live consumers have to pass what it had read at the comparison.
        self._compared_at = dict(tail.sequences)
        # Per key hash, what the log made of the row then. Rows are read again, so nothing more is kept.
        self._expected: dict[bytes, tuple[str, bool] | None] = {}

    def __len__(self) -> int:
        return len(self._expected)

    def add(self, difference: Difference) -> None:
        self._expected[difference.key_hash] = difference.expected

    def wait_for_live(self, transactions: Transactions, retry: RetryPolicy) -> None:
        """Wait until the live consumers have read as far as the tail had at the comparison.

        Rows that become equal meanwhile are dropped; without any left there is nothing to wait for. Gives up
        silently after 30 rounds, since the consumers may be stopped.
        """
        for number in range(ROUNDS):
            if not self._expected:
                return
            if number:
                retry.sleep(PAUSE)
            self._tail.read_to_tip()
            if retry.call(lambda: self._check_again(transactions)):
                return

    def _check_again(self, transactions: Transactions) -> bool:
        """Drop the rows that are equal now. Returns True if the live consumers have caught up."""
        with transactions.transaction() as transaction:
            remaining = {difference.key_hash for difference in self._differences(transaction)}
            live = self._live_sequences(transaction)
        self._expected = {key: state for key, state in self._expected.items() if key in remaining}
        return self._tail.has_passed(live, self._compared_at)

    def confirmed(self, transaction: Transaction) -> Iterator[Difference]:
        """Yield the differences that are real.

        `transaction` must exclude the live writers, and the tail must have read as far as they have. A row
        whose later event only the log has is real if the live consumers have read past that event, and the
        log still makes the same row.
        """
        passed = bool(self._expected) and self._tail.has_passed(
            self._live_sequences(transaction), self._compared_at
        )
        for difference in self._differences(transaction):
            # If the expected row changed since the comparison, its new event may be beyond `_compared_at`.
            unchanged = difference.expected == self._expected[difference.key_hash]
            if difference.newer != "log" or (passed and unchanged):
                yield difference

    def _live_sequences(self, transaction: Transaction) -> dict[str, str]:
        return self._tail.sequences_of(transaction.checkpoints(LIVE_READER))

    def _differences(self, transaction: Transaction) -> Iterator[Difference]:
        compared, remaining = comparator(self._entity), iter(self._expected)
        while key_hashes := list(islice(remaining, BATCH_ROWS)):
            expected = self._rows_of(transaction, key_hashes)
            actual = transaction.rows_of(self._entity.name, self._live, key_hashes)
            for key_hash in key_hashes:
                difference = compared(expected.get(key_hash), actual.get(key_hash))
                if difference is not None:
                    yield difference
