"""Reduction of a batch of facts to the winners, before any table is touched. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from consumers.facts import SWEEP, Fact

FactKey = tuple[str, bytes]
"""Entity and key hash: two entities may have equal keys. The hash of a sweep is that of source and bucket."""


class Folded(NamedTuple):
    """The winners and the number of facts that lost (INV-4).

    The number of facts equals `len(rows) + len(sweeps) + superseded + duplicate`.
    """

    rows: dict[FactKey, Fact]
    sweeps: dict[FactKey, Fact]
    superseded: int
    duplicate: int


def fold(facts: Iterable[Fact]) -> Folded:
    """Return the fact with the greatest rank of every row and of every swept bucket.

    The winners do not depend on the order of the facts (INV-2).
    """
    rows: dict[FactKey, Fact] = {}
    sweeps: dict[FactKey, Fact] = {}
    count = duplicate = 0
    for count, fact in enumerate(facts, 1):  # noqa: B007
        event = fact.event
        # A sweep never removes rows here: it becomes a floor, and the engine compares floors with the rows of
        # this batch and with those already in the table alike.
        winners = sweeps if event.operation == SWEEP else rows
        key = event.entity, fact.key_hash
        winner = winners.get(key)
        if winner is None or fact.rank > winner.rank:
            winners[key] = fact
        elif fact.rank == winner.rank:
            # An equal rank means equal bytes: the event was delivered twice.
            duplicate += 1
    return Folded(rows, sweeps, count - len(rows) - len(sweeps) - duplicate, duplicate)
