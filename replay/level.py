"""Which rows still differ once both tables have seen the same events.

While a table is compared its writers go on, so a row that differs may only be under way. It counts when both
rows come from one event, or when the side that is behind has passed the place where the other one was.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TypeAlias

from consumers.warehouse.port import LIVE_READER, Row, Transaction, Transactions
from replay.differences import Difference, teller
from replay.retry_policy import RetryPolicy
from replay.tail import Tail
from schemas.catalog.entity import Entity

RowsOf: TypeAlias = Callable[[Transaction, list[bytes]], Mapping[bytes, Row]]
"""Rows by key hash, read in a transaction of the live table's warehouse or beside it."""

AT_A_TIME = 500
ROUNDS = 30
PAUSE = 1.0
"""Seconds between two rounds."""


class PendingDifferences:
    """Rows that differed when a table was compared with the live one, while the tail was at `places`."""

    def __init__(self, entity: Entity, live: int, tail: Tail, expected: RowsOf) -> None:
        self._entity, self._live, self._tail, self._rows_of = entity, live, tail, expected
        self._places = dict(tail.places)
        self._found: dict[bytes, tuple[str, bool] | None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, difference: Difference) -> None:
        self._found[difference.key_hash] = difference.expected

    def let_live_catch_up(self, transactions: Transactions, retry: RetryPolicy) -> None:
        """While there are suspects, wait until the live consumers have passed `places`, 30 rounds at most:
        they may be stopped. Those that turn out equal are suspects no more."""
        for number in range(ROUNDS):
            if not self._found:
                return
            if number:
                retry.sleep(PAUSE)
            self._tail.read_to_tip()
            if retry.call(lambda: self._look_again(transactions)):
                return

    def _look_again(self, transactions: Transactions) -> bool:
        with transactions.transaction() as transaction:
            still = {each.key_hash for each in self._different(transaction)}
            live = self._live_places(transaction)
        self._found = {key_hash: seen for key_hash, seen in self._found.items() if key_hash in still}
        return self._tail.has_passed(live, self._places)

    def counted(self, transaction: Transaction) -> Iterator[Difference]:
        """Those that count, in a transaction that stops the live writers, once the tail is level with them.

        What only the log knows counts if they have passed the place where it was known already.
        """
        passed = bool(self._found) and self._tail.has_passed(self._live_places(transaction), self._places)
        for each in self._different(transaction):
            if each.newer != "log" or (passed and each.expected == self._found[each.key_hash]):
                yield each

    def _live_places(self, transaction: Transaction) -> dict[str, str]:
        return self._tail.places_of(transaction.checkpoints(LIVE_READER))

    def _different(self, transaction: Transaction) -> Iterator[Difference]:
        tell, rest = teller(self._entity), iter(self._found)
        while some := list(islice(rest, AT_A_TIME)):
            expected = self._rows_of(transaction, some)
            actual = transaction.rows_of(self._entity.name, self._live, some)
            found = (tell(expected.get(each), actual.get(each)) for each in some)
            yield from (each for each in found if each is not None)
