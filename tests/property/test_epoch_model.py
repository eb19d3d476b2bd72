"""The rule of an epoch, checked against a model: a repair of a gap that needs no new stream.

An epoch begins at a moment that is announced ahead of time in an object. Producers, which keep what they read
of the object for less than that lead, give each record the epoch of its own creation time. After the
beginning a scan publishes the items at sequence 0 of the epoch. The table must then be the items, whatever
producers, deliveries and the scan do meanwhile.

The model has one item, since the order matters for each key alone. It is exhaustive over small numbers: the
moments of the changes, of the reads of the announcement, of the processing of each record, and of the scan.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import pytest

SCAN = 0
"""Sequence number of what the scan publishes."""
ANNOUNCED = 2
"""Moment at which the announcement is durable. Before it no producer can have read it."""
NEVER = 99


@dataclass(frozen=True)
class Rule:
    """What the protocol demands; each control breaks one part."""

    lead: int = 3
    """The epoch begins this long after its announcement."""
    kept: int = 2
    """How long a producer relies on what it read: less than the lead."""
    scan_after: int = 1
    """The scan begins this long after the beginning of the epoch."""
    skew: int = 0
    """By how much the creation time of a later change of a key may be the lower one."""

    @property
    def begins(self) -> int:
        return ANNOUNCED + self.lead


@dataclass(frozen=True)
class Change:
    """A change of the item: the moment at which it is visible to the scan, and the time in its record."""

    sequence: int
    at: int
    created: int


Position = tuple[int, int]
"""Epoch and sequence number, which compare as the texts of positions do."""


def histories(rule: Rule, moments: Sequence[int]) -> Iterator[list[Change]]:
    """Yield all histories of two changes, with all creation times that the skew allows."""
    for first, second in product(moments, repeat=2):
        if first <= second:
            for early, late in product(range(rule.skew + 1), repeat=2):
                yield [Change(1, first, first + early), Change(2, second, second - late)]


def knowledge(rule: Rule, created: int, processed: int) -> Iterator[bool]:
    """Yield whether a producer knows of the epoch when it processes a record, for all of its possible pasts.

    It has read the object at any moment, and relies on that for records created less than `kept` later.
    """
    for read in range(processed + 1):
        if created < read + rule.kept or read == processed:
            yield read >= ANNOUNCED


def positions(rule: Rule, change: Change) -> set[Position]:
    """Return the positions that producers may give to a change. More than one is an error by itself."""
    found = set()
    for processed in range(change.at, rule.begins + 6):
        for known in set(knowledge(rule, change.created, processed)):
            found.add((int(known and change.created >= rule.begins), change.sequence))
    return found


def wrong(rule: Rule, *, checked: bool = False) -> list[str]:
    """Return what can go wrong, each a phrase and the history.

    `checked`: leave out histories whose records show that creation times decrease across the beginning.
    """
    moments = range(rule.begins + 4)
    return [
        problem
        for changes in histories(rule, moments)
        if not (checked and is_inverted(rule, changes))
        for problem in _wrong(rule, changes, moments)
    ]


def is_inverted(rule: Rule, changes: Sequence[Change]) -> bool:
    """Return whether a record from before the beginning follows one from after it."""
    first, second = changes
    return first.created >= rule.begins > second.created


def _wrong(rule: Rule, changes: Sequence[Change], moments: Sequence[int]) -> Iterator[str]:
    possible = [positions(rule, change) for change in changes]
    if any(len(each) > 1 for each in possible):
        yield f"a retry has another position: {changes}"  # INV-5
    for chosen in product(*possible):
        if chosen[0] > chosen[1]:
            yield f"the older change wins: {changes}"
        for scanned in moments:
            if scanned >= rule.begins + rule.scan_after:
                yield from _after_scan(changes, chosen, scanned)


def _after_scan(changes: Sequence[Change], chosen: Sequence[Position], scanned: int) -> Iterator[str]:
    seen = [change.sequence for change in changes if change.at <= scanned]
    rows = {(1, SCAN): seen[-1] if seen else 0}
    rows |= {position: change.sequence for position, change in zip(chosen, changes, strict=True)}
    if rows[max(rows)] != changes[-1].sequence:
        yield f"the newest state loses, scanned at {scanned}: {changes}"
    # The gap: the record of a change before the epoch was lost. The scan has to supply it.
    for lost, change in zip(chosen, changes, strict=True):
        kept = {position: value for position, value in rows.items() if position != lost}
        if lost[0] == 0 and kept[max(kept)] != changes[-1].sequence:
            yield f"the gap remains, change {change.sequence} lost, scanned at {scanned}: {changes}"


def test_an_announced_epoch_repairs_a_gap_if_creation_times_never_decrease() -> None:
    assert wrong(Rule()) == []


@pytest.mark.parametrize(("lead", "kept"), [(1, 1), (2, 1), (4, 4), (5, 2)])
def test_any_lead_will_do_that_is_not_shorter_than_what_producers_rely_on(lead: int, kept: int) -> None:
    assert wrong(Rule(lead=lead, kept=kept)) == []


CONTROLS = {
    "an announcement without lead": (Rule(lead=0), "a retry has another position"),
    "a container that does not read again": (Rule(kept=NEVER), "a retry has another position"),
    "reliance that is longer than the lead": (Rule(lead=2, kept=4), "a retry has another position"),
    "a scan before the beginning": (Rule(scan_after=-2), "the newest state loses"),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_without_any_one_of_its_rules_the_epoch_is_wrong(control: str) -> None:
    rule, expected = CONTROLS[control]
    assert any(problem.startswith(expected) for problem in wrong(rule))


def test_a_creation_time_that_decreases_along_a_key_lets_the_older_change_win() -> None:
    found = wrong(Rule(skew=1, scan_after=2))
    (first, *_) = [problem for problem in found if problem.startswith("the older change wins")]
    assert "created=6" in first or "created=5" in first


@pytest.mark.parametrize("skew", [1, 2])
def test_with_such_times_the_records_around_the_beginning_show_whether_the_repair_has_to_be_repeated(
    skew: int,
) -> None:
    assert wrong(Rule(skew=skew, scan_after=skew + 1), checked=True) == []
    assert wrong(Rule(skew=skew, scan_after=skew + 1)) != []


def test_a_scan_without_the_margin_of_the_skew_is_wrong() -> None:
    assert wrong(Rule(skew=2, scan_after=-1), checked=True) != []
