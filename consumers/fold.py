"""Many facts to the few that count, before any of them meets a table. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from consumers.facts import SWEEP, Fact

FactKey = tuple[str, bytes]
"""Entity and key hash: two entities may have one key. A sweep's hash is that of source and bucket."""


class Folded(NamedTuple):
    """The winners, and how many facts lost (INV-4): facts == rows + sweeps + superseded + duplicate."""

    rows: dict[FactKey, Fact]
    sweeps: dict[FactKey, Fact]
    superseded: int
    duplicate: int


def fold(facts: Iterable[Fact]) -> Folded:
    """The fact of greatest rank for each row and for each bucket that is swept.

    The same winners for any order of the facts (INV-2). Whether a sweep buries a row is not decided here: the
    floor goes to the table beside the rows.
    """
    rows: dict[FactKey, Fact] = {}
    sweeps: dict[FactKey, Fact] = {}
    count = duplicate = 0
    for count, fact in enumerate(facts, 1):  # noqa: B007
        event = fact.event
        winners = sweeps if event.operation == SWEEP else rows
        key = event.entity, fact.key_hash
        held = winners.get(key)
        if held is None or fact.rank > held.rank:
            winners[key] = fact
        elif fact.rank == held.rank:
            duplicate += 1
    return Folded(rows, sweeps, count - len(rows) - len(sweeps) - duplicate, duplicate)
