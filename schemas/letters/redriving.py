"""Dead letters chosen, redriven and discarded, whatever stores they lie in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

TAKEN_LETTERS = 5_000
"""Redriven in one go: one transaction of the warehouse."""
TAKEN_BYTES = 16 * 1024 * 1024
_REPORT_SECONDS = 1.0

LetterName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters. None: any."""

    states: frozenset[LetterState] = WAITING
    stage: str | None = None
    entity: str | None = None
    cause: str | None = None
    since: int | None = None
    """Microseconds since 1970: letters whose moment is not before it."""
    names: frozenset[LetterName] | None = None

    def matches(self, standing: LetterStatus, stored_at: int) -> bool:
        """`stored_at`: when the letter was stored, microseconds since 1970."""
        letter = standing.letter
        return (
            standing.state in self.states
            and (self.names is None or letter.name in self.names)
            and (self.stage is None or letter.stage == self.stage)
            and (self.entity is None or letter.entity == self.entity)
            and (self.cause is None or letter.cause == self.cause)
            and (self.since is None or letter_moment(letter, stored_at) >= self.since)
        )


def letter_moment(letter: DeadLetter, stored_at: int) -> int:
    """When the source changed; where the letter does not know, or says what no date can be, when it was
    stored."""
    told = letter.occurred_at
    return told if told is not None and MIN_OCCURRED_AT <= told <= MAX_OCCURRED_AT else stored_at


class ListedLetter(NamedTuple):
    """A letter, its state over all objects that it lies in, and its moment."""

    status: LetterStatus
    moment: int


def list_letters(stores: Iterable[LetterLedger]) -> list[ListedLetter]:
    """Every letter once, in order of stage and id. Payloads are not kept."""
    found: dict[LetterName, ListedLetter] = {}
    for batch in _batches(stores):
        for standing in batch.statuses():
            bare = standing._replace(letter=_without_payload(standing.letter))
            moment = letter_moment(bare.letter, batch.stored_at)
            there = found.get(bare.letter.name)
            if there:
                bare, moment = merge_statuses(there.status, bare), min(there.moment, moment)
            found[bare.letter.name] = ListedLetter(bare, moment)
    return [found[name] for name in sorted(found)]


def iter_letters(stores: Sequence[LetterLedger]) -> Iterator[ListedLetter]:
    """Every letter once with its present state, without its reasons, object by object: memory holds one
    object, and a digest of each letter."""
    states, seen = _states_everywhere(stores), set[bytes]()
    for batch in _batches(stores):
        for letter in batch.letters:
            digest = _digest(letter.name)
            if digest not in seen:
                seen.add(digest)
                standing = LetterStatus(letter, states.get(digest, "open"))
                yield ListedLetter(standing, letter_moment(letter, batch.stored_at))


def _without_payload(letter: DeadLetter) -> DeadLetter:
    return DeadLetter(
        letter.id,
        letter.stage,
        letter.entity,
        letter.source,
        letter.position,
        letter.reason,
        letter.cause,
        b"",
        letter.occurred_at,
    )


def _batches(stores: Iterable[LetterLedger]) -> Iterator[LetterBatch]:
    for store in stores:
        yield from store.batches()


def find_letters(
    stores: Sequence[LetterLedger], beginnings: Sequence[str], choice: LetterFilter
) -> list[LetterStatus]:
    """For each beginning the one letter, payload and all, whose id begins so; of several, the one that waits
    for a person. All objects are read once, however many are asked for.

    Raises ConfigurationError unless there is exactly one.
    """
    found: dict[LetterName, LetterStatus] = {}
    for batch in _batches(stores):
        for standing in batch.statuses():
            letter = standing.letter
            if letter.id.startswith(tuple(beginnings)) and choice.matches(standing, batch.stored_at):
                there = found.get(letter.name)
                found[letter.name] = merge_statuses(there, standing) if there else standing
    return [_only(found.values(), beginning) for beginning in beginnings]


def _only(found: Iterable[LetterStatus], beginning: str) -> LetterStatus:
    all_of = [standing for standing in found if standing.letter.id.startswith(beginning)]
    waiting = [standing for standing in all_of if standing.state in WAITING]
    only = waiting if len(waiting) == 1 else all_of
    if len(only) != 1:
        raise ConfigurationError(
            f"{len(only)} dead letters begin with {beginning!r}: "
            "see `headwater dead-letters list --state all`"
            + (", and say more of the id, or its --stage" if only else "")
        )
    return only[0]


@dataclass(slots=True)
class RedriveCounts:
    """How many letters a redrive brought to what; each counts once, however many objects it lies in."""

    redriven: int = 0
    failed_again: int = 0
    not_redrivable: int = 0
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
    """What is remembered of a name: the name itself takes ten times that in memory."""
    return sha256("/".join(name).encode()).digest()[:16]


class _Piece(NamedTuple):
    """Letters of one object, and what is known of it."""

    store: LetterLedger
    key: str
    letters: list[DeadLetter]
    known: frozenset[LetterOutcome]


def redrive(
    stores: Sequence[LetterLedger],
    redrivers: Mapping[str, Redriver],
    choice: LetterFilter,
    report: Callable[[RedriveCounts, float], None] = lambda _done, _seconds: None,
    clock: Callable[[], float] = time.monotonic,
) -> RedriveCounts:
    """Takes the chosen letters through their normal path, and records beside them what became of each.

    A letter's state is that over all objects that it lies in, as in `listed`. Object by object: memory holds
    the letters of one object and TAKEN_LETTERS more, and a digest of each letter with an outcome. Whatever
    part of it is made again, by the same person or by another meanwhile, changes nothing (INV-2). Raises
    TransientError and ConfigurationError, of the environment: what was recorded by then is right, and nothing
    else is.
    """
    done, start, told = RedriveCounts(), clock(), 0.0
    for pieces in _taken(_pieces(stores, choice)):
        for stage in dict.fromkeys(letter.stage for piece in pieces for letter in piece.letters):
            _redrive_stage(
                [piece for piece in pieces if piece.letters[0].stage == stage], stage, redrivers, done
            )
        if (seconds := clock() - start) >= told + _REPORT_SECONDS:
            report(done, seconds)
            told = seconds
    return done


def _redrive_stage(
    pieces: Sequence[_Piece], stage: str, redrivers: Mapping[str, Redriver], done: RedriveCounts
) -> None:
    letters = [letter for piece in pieces for letter in piece.letters]
    redriver = redrivers.get(stage)
    outcomes_of = redriver.redrive(letters) if redriver else []
    # Two frames may tell one fact (of two deployments, say): it is redriven when either is, as in the fold.
    made = {each.name: each for each in sorted(outcomes_of, key=lambda each: STATES.index(each.state))}
    for piece in pieces:
        outcomes = [made.get(letter.name) for letter in piece.letters]
        new = [outcome for outcome in outcomes if outcome and outcome not in piece.known]
        if new:  # what fails again and again for one reason is written once
            piece.store.record(piece.key, new)
        for letter, outcome in zip(piece.letters, outcomes, strict=True):
            done.count(letter, outcome)


def _states_everywhere(stores: Iterable[LetterLedger]) -> dict[bytes, LetterState]:
    """Of letters with an outcome: a batch read again with another cut lies there without the old outcomes."""
    states: dict[bytes, LetterState] = {}
    for store in stores:
        for outcome in store.outcomes():
            digest = _digest(outcome.name)
            states[digest] = stronger_state(outcome.state, states.get(digest, "open"))
    return states


def _pieces(stores: Sequence[LetterLedger], choice: LetterFilter) -> Iterator[_Piece]:
    """The chosen letters of each object, all of one stage, never more than are taken in one go."""
    states = _states_everywhere(stores)
    for store in stores:
        for batch in store.batches():
            names = {
                each.letter.name
                for each in batch.statuses()
                if choice.matches(_everywhere(each, states), batch.stored_at)
            }
            chosen = [letter for letter in batch.letters if letter.name in names]
            while chosen:
                piece = _Piece(store, batch.key, _first(chosen), frozenset(batch.outcomes))
                del chosen[: len(piece.letters)]
                yield piece


def _everywhere(standing: LetterStatus, states: Mapping[bytes, LetterState]) -> LetterStatus:
    if not states:  # the first redrive of many letters
        return standing
    known = states.get(_digest(standing.letter.name), "open")
    return standing._replace(state=stronger_state(standing.state, known))


def _first(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    size, count = 0, 0
    for letter in letters[:TAKEN_LETTERS]:
        size += len(letter.payload)
        if count and size > TAKEN_BYTES:
            break
        count += 1
    return list(letters[:count])


def _taken(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """As many as are taken in one go."""
    taken: list[_Piece] = []
    letters = size = 0
    for piece in pieces:
        bytes_of = sum(len(letter.payload) for letter in piece.letters)
        if taken and (letters + len(piece.letters) > TAKEN_LETTERS or size + bytes_of > TAKEN_BYTES):
            yield taken
            taken, letters, size = [], 0, 0
        taken.append(piece)
        letters, size = letters + len(piece.letters), size + bytes_of
    if taken:
        yield taken


def discard(stores: Iterable[LetterLedger], names: frozenset[LetterName], reason: str) -> None:
    """Records why nothing will be done about these letters, beside every object that they lie in.

    A letter stays as it is. One that is redriven, now or meanwhile, stays redriven.
    """
    for store in stores:
        for batch in store.batches():
            mine = sorted({letter.name for letter in batch.letters} & names)
            if mine:
                store.record(batch.key, [LetterOutcome(*name, "discarded", reason) for name in mine])
