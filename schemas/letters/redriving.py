"""Selecting, redriving and discarding dead letters, in whatever stores they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import NamedTuple

from schemas.errors import ConfigurationError
from schemas.event import MAX_OCCURRED_AT, MIN_OCCURRED_AT
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import (
    STATES,
    WAITING,
    LetterBatch,
    LetterLedger,
    LetterOutcome,
    LetterState,
    LetterStatus,
    Redriver,
    merge_statuses,
    stronger_state,
)

# Limits of the letters that are redriven together, in one transaction of the warehouse.
MAX_GROUP_LETTERS = 5_000
MAX_GROUP_BYTES = 16 * 1024 * 1024
_REPORT_SECONDS = 1.0

LetterName = tuple[str, str]
"""Stage and id of a letter."""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Conditions that a letter must meet, all of them. None means any."""

    states: frozenset[LetterState] = WAITING
    stage: str | None = None
    entity: str | None = None
    cause: str | None = None
    since: int | None = None
    """Earliest moment of a letter (`letter_moment`), in microseconds since 1970."""
    names: frozenset[LetterName] | None = None

    def matches(self, status: LetterStatus, stored_at: int) -> bool:
        """Return whether a letter meets the conditions.

        `stored_at` is the moment at which it was stored, in microseconds since 1970.
        """
        letter = status.letter
        return (
            status.state in self.states
            and (self.names is None or letter.name in self.names)
            and (self.stage is None or letter.stage == self.stage)
            and (self.entity is None or letter.entity == self.entity)
            and (self.cause is None or letter.cause == self.cause)
            and (self.since is None or letter_moment(letter, stored_at) >= self.since)
        )


def letter_moment(letter: DeadLetter, stored_at: int) -> int:
    """Return when the source changed, or when the letter was stored if it has no valid date."""
    moment = letter.occurred_at
    # A poison event may have any number there, also one that is outside the years 1 to 9999.
    return moment if moment is not None and MIN_OCCURRED_AT <= moment <= MAX_OCCURRED_AT else stored_at


class ListedLetter(NamedTuple):
    """A letter, its state over all objects that contain it, and its moment (`letter_moment`)."""

    status: LetterStatus
    moment: int


def list_letters(ledgers: Iterable[LetterLedger]) -> list[ListedLetter]:
    """Return every letter once, in order of stage and id, without payloads."""
    by_name: dict[LetterName, ListedLetter] = {}
    for batch in _batches(ledgers):
        for status in batch.statuses():
            name = status.letter.name
            # Payloads would take most of the memory, and a list does not show them.
            bare = status._replace(letter=replace(status.letter, payload=b""))
            moment = letter_moment(bare.letter, batch.stored_at)
            if known := by_name.get(name):
                bare, moment = merge_statuses(known.status, bare), min(known.moment, moment)
            by_name[name] = ListedLetter(bare, moment)
    return [by_name[name] for name in sorted(by_name)]


def iter_letters(ledgers: Sequence[LetterLedger]) -> Iterator[ListedLetter]:
    """Yield every letter once with its payload and present state, but without reasons.

    Memory is bounded by one object and a digest of each letter.
    """
    states, seen = _states(ledgers), set[bytes]()
    for batch in _batches(ledgers):
        for letter in batch.letters:
            digest = _digest(letter.name)
            if digest not in seen:
                seen.add(digest)
                status = LetterStatus(letter, states.get(digest, "open"))
                yield ListedLetter(status, letter_moment(letter, batch.stored_at))


def _batches(ledgers: Iterable[LetterLedger]) -> Iterator[LetterBatch]:
    for ledger in ledgers:
        yield from ledger.batches()


def find_letters(
    ledgers: Sequence[LetterLedger], prefixes: Sequence[str], condition: LetterFilter
) -> list[LetterStatus]:
    """Return for each prefix the one letter, with its payload, whose id begins with it.

    Among several letters, the only one that still waits is meant. All objects are read once, whatever the
    number of prefixes. Raises ConfigurationError unless exactly one letter matches a prefix.
    """
    by_name: dict[LetterName, LetterStatus] = {}
    for batch in _batches(ledgers):
        for status in batch.statuses():
            letter = status.letter
            if letter.id.startswith(tuple(prefixes)) and condition.matches(status, batch.stored_at):
                known = by_name.get(letter.name)
                by_name[letter.name] = merge_statuses(known, status) if known else status
    return [_only(by_name.values(), prefix) for prefix in prefixes]


def _only(statuses: Iterable[LetterStatus], prefix: str) -> LetterStatus:
    matching = [status for status in statuses if status.letter.id.startswith(prefix)]
    waiting = [status for status in matching if status.state in WAITING]
    candidates = waiting if len(waiting) == 1 else matching
    if len(candidates) != 1:
        raise ConfigurationError(
            f"{len(candidates)} dead letters begin with {prefix!r}: "
            "see `headwater dead-letters list --state all`"
            + (", and give more of the id, or its --stage" if candidates else "")
        )
    return candidates[0]


@dataclass(slots=True)
class RedriveCounts:
    """Numbers of letters by the outcome of a redrive. A letter in several objects counts once."""

    redriven: int = 0
    failed_again: int = 0
    not_redrivable: int = 0
    more: bool = False
    """Whether the redrive ended before it had tried all letters."""
    _seen: set[bytes] = field(default_factory=set)

    def count(self, letter: DeadLetter, outcome: LetterOutcome | None) -> None:
        digest = _digest(letter.name)
        if digest in self._seen:
            return
        self._seen.add(digest)
        if outcome is None:
            self.not_redrivable += 1
        elif outcome.state == "redriven":
            self.redriven += 1
        else:
            self.failed_again += 1

    @property
    def letters(self) -> int:
        return self.redriven + self.failed_again + self.not_redrivable


def _digest(name: LetterName) -> bytes:
    """Return a hash of a name."""
    # A tuple of two strings takes ten times the memory, and there may be millions of letters.
    return sha256("/".join(name).encode()).digest()[:16]


class _Part(NamedTuple):
    """Some letters of one object, all of one stage, and the outcomes that are recorded beside the object."""

    ledger: LetterLedger
    key: str
    letters: list[DeadLetter]
    known: frozenset[LetterOutcome]


def redrive(
    ledgers: Sequence[LetterLedger],
    redrivers: Mapping[str, Redriver],
    condition: LetterFilter,
    report: Callable[[RedriveCounts, float], None] = lambda _counts, _seconds: None,
    clock: Callable[[], float] = time.monotonic,
    *,
    group: int = MAX_GROUP_LETTERS,
    ends: Callable[[], bool] = lambda: False,
    counts: RedriveCounts | None = None,
) -> RedriveCounts:
    """Process the selected letters through their normal path, and record the outcomes beside them.

    The state of a letter is that over all objects that contain it, as in `list_letters`. Memory is bounded by
    the letters of one object and `group` more, and a digest of each letter with an outcome. It may
    be repeated, and several people may redrive at once: the result is the same (INV-2).

    At most `group` letters are redriven together. `ends` returns whether to stop before the next group.
    `counts` is added to and returned, so that the caller has them after an error as well.

    Raises TransientError and ConfigurationError for faults of the environment. Outcomes recorded before are
    valid.
    """
    counts, start, reported = counts or RedriveCounts(), clock(), 0.0
    for parts in _groups(_parts(ledgers, condition, group), group):
        if ends():
            counts.more = True
            break
        # Stages in order of appearance, each in one call of its redriver.
        for stage in dict.fromkeys(letter.stage for part in parts for letter in part.letters):
            of_stage = [part for part in parts if part.letters[0].stage == stage]
            _redrive_stage(of_stage, stage, redrivers, counts)
        if (seconds := clock() - start) >= reported + _REPORT_SECONDS:
            report(counts, seconds)
            reported = seconds
    return counts


def _redrive_stage(
    parts: Sequence[_Part], stage: str, redrivers: Mapping[str, Redriver], counts: RedriveCounts
) -> None:
    letters = [letter for part in parts for letter in part.letters]
    redriver = redrivers.get(stage)
    outcomes = redriver.redrive(letters) if redriver else []
    # Two letters of one name may have different frames, such as those of two deployments, and so two
    # outcomes. The letter is redriven if either frame is, as in fold_letters: sorted, the strongest outcome
    # comes last.
    by_name = {outcome.name: outcome for outcome in sorted(outcomes, key=lambda o: STATES.index(o.state))}
    for part in parts:
        part_outcomes = [by_name.get(letter.name) for letter in part.letters]
        # An outcome that is recorded already is not written again: a letter may fail often for one reason.
        new = [outcome for outcome in part_outcomes if outcome and outcome not in part.known]
        if new:
            part.ledger.record(part.key, new)
        for letter, outcome in zip(part.letters, part_outcomes, strict=True):
            counts.count(letter, outcome)


def _states(ledgers: Iterable[LetterLedger]) -> dict[bytes, LetterState]:
    """Return the states of all letters with an outcome, by digest of the name.

    A batch that was read again and cut elsewhere has an object of its own, without the outcomes of the first
    one.
    """
    states: dict[bytes, LetterState] = {}
    for ledger in ledgers:
        for outcome in ledger.outcomes():
            digest = _digest(outcome.name)
            states[digest] = stronger_state(outcome.state, states.get(digest, "open"))
    return states


def _parts(ledgers: Sequence[LetterLedger], condition: LetterFilter, group: int) -> Iterator[_Part]:
    """Yield the selected letters of each object, in parts within the limits of a group."""
    states = _states(ledgers)
    for ledger in ledgers:
        for batch in ledger.batches():
            names = {
                status.letter.name
                for status in batch.statuses()
                if condition.matches(_over_all_objects(status, states), batch.stored_at)
            }
            selected = [letter for letter in batch.letters if letter.name in names]
            while selected:
                part = _Part(ledger, batch.key, _first_group(selected, group), frozenset(batch.outcomes))
                del selected[: len(part.letters)]
                yield part


def _over_all_objects(status: LetterStatus, states: Mapping[bytes, LetterState]) -> LetterStatus:
    if not states:  # no outcomes yet: spares the digests in the first redrive of many letters
        return status
    known = states.get(_digest(status.letter.name), "open")
    return status._replace(state=stronger_state(status.state, known))


def _first_group(letters: Sequence[DeadLetter], group: int) -> list[DeadLetter]:
    """Return as many of the first letters as fit in a group, at least one."""
    size, count = 0, 0
    for letter in letters[:group]:
        size += len(letter.payload)
        if count and size > MAX_GROUP_BYTES:
            break
        count += 1
    return list(letters[:count])


def _groups(parts: Iterable[_Part], limit: int) -> Iterator[list[_Part]]:
    """Yield consecutive parts together, up to the limits of a group."""
    group: list[_Part] = []
    letters = size = 0
    for part in parts:
        part_size = sum(len(letter.payload) for letter in part.letters)
        full = letters + len(part.letters) > limit or size + part_size > MAX_GROUP_BYTES
        if group and full:
            yield group
            group, letters, size = [], 0, 0
        group.append(part)
        letters, size = letters + len(part.letters), size + part_size
    if group:
        yield group


def discard_letters(ledgers: Iterable[LetterLedger], names: frozenset[LetterName], reason: str) -> None:
    """Record beside every object that contains these letters that they are discarded, and why.

    The letters are not changed. A letter that is redriven, before or at the same time, stays redriven.
    """
    for ledger in ledgers:
        for batch in ledger.batches():
            # Sorted, so that a repeat writes the same object of outcomes (INV-5).
            discarded = sorted({letter.name for letter in batch.letters} & names)
            if discarded:
                ledger.record(batch.key, [LetterOutcome(*name, "discarded", reason) for name in discarded])
