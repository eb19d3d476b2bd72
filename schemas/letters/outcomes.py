"""Outcomes of dead letters, stored beside them, and the status that both add up to.

`dead-letters/<stage>/<hash>.jsonl` contains the letters of one batch,
`dead-letters/<stage>/<hash>/<hash>.jsonl` the outcomes that one run had for some of them. Objects are never
changed or removed. An outcome has no clock in it and the key of its object is a hash of the content, so that
a retry writes the same bytes (INV-5). The store records when.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Literal, NamedTuple, Protocol, TypeAlias, get_args

from schemas.errors import ConfigurationError
from schemas.letters.letter import (
    LETTER_PREFIX,
    DeadLetter,
    decode_letters,
    encode_letters,
    letters_key,
)

LetterState: TypeAlias = Literal["open", "failed-again", "discarded", "redriven"]
STATES: tuple[LetterState, ...] = get_args(LetterState)
"""All states, in increasing precedence.

Several people may work on one letter at once. A successful redrive is a fact that no decision changes, and a
decision to discard takes precedence over a failed attempt.
"""
WAITING: frozenset[LetterState] = frozenset({"open", "failed-again"})
"""States of letters that still need a decision."""

_OBJECT = ".jsonl"


@dataclass(frozen=True, slots=True)
class LetterOutcome:
    """The outcome of one letter in one run."""

    stage: str
    id: str
    state: LetterState
    """Any state except open, which is the absence of an outcome."""
    reason: str = ""
    """Why it failed again (field, rule and type, never a value), or why a person discarded it."""

    @property
    def name(self) -> tuple[str, str]:
        """The name of the letter: stage and id."""
        return self.stage, self.id


def encode_outcomes(outcomes: Iterable[LetterOutcome]) -> bytes:
    """Return the outcomes as sorted JSON lines, each once."""
    lines = {json.dumps(asdict(outcome), sort_keys=True, separators=(",", ":")) for outcome in outcomes}
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def decode_outcomes(body: bytes) -> list[LetterOutcome]:
    """Return the outcomes of an object: the inverse of `encode_outcomes`.

    Raises ConfigurationError, naming the line, for any other content.
    """
    return [_outcome(number, line) for number, line in enumerate(body.splitlines(), 1)]


def _outcome(number: int, line: bytes) -> LetterOutcome:
    try:
        outcome = LetterOutcome(**json.loads(line))
    except (ValueError, TypeError):
        outcome = None
    # The dataclass accepts any text as a state.
    if outcome is None or outcome.state not in STATES[1:]:
        raise ConfigurationError(f"line {number} is not the outcome of a dead letter")
    return outcome


def outcomes_key(key: str, body: bytes) -> str:
    """Return the key of an object of outcomes, which sorts after that of their letters."""
    return f"{key.removesuffix(_OBJECT)}/{sha256(body).hexdigest()[:32]}{_OBJECT}"


def letters_key_of(key: str) -> str | None:
    """Return the key of the letters that an object of outcomes is about, or None for a key of letters."""
    # Letters are in a folder of their stage, their outcomes one level deeper.
    folder, _, _ = key.rpartition("/")
    return f"{folder}{_OBJECT}" if folder.removeprefix(LETTER_PREFIX).count("/") else None


class LetterStatus(NamedTuple):
    """A letter, its present state, and the reasons of the outcomes that led to that state, sorted."""

    letter: DeadLetter
    state: LetterState
    reasons: tuple[str, ...] = ()


def fold_letters(letters: Iterable[DeadLetter], outcomes: Iterable[LetterOutcome]) -> list[LetterStatus]:
    """Return the status of each letter once, in order of stage and id.

    The result does not depend on the order or on repeats of the arguments (INV-2). An outcome without its
    letter is ignored.
    """
    strongest: dict[tuple[str, str], LetterOutcome] = {}
    reasons: dict[tuple[str, str], set[str]] = {}
    for outcome in outcomes:
        current = strongest.get(outcome.name)
        # A stronger state makes the reasons of weaker ones obsolete; equal states collect theirs.
        if current is None or _precedence(outcome.state) > _precedence(current.state):
            strongest[outcome.name], reasons[outcome.name] = outcome, {outcome.reason}
        elif outcome.state == current.state:
            reasons[outcome.name].add(outcome.reason)
    unique: dict[tuple[str, str], DeadLetter] = {}
    for letter in letters:
        unique[letter.name] = _canonical(unique.get(letter.name, letter), letter)
    return [_status(unique[name], strongest.get(name), reasons.get(name, ())) for name in sorted(unique)]


def _status(letter: DeadLetter, outcome: LetterOutcome | None, reasons: Iterable[str]) -> LetterStatus:
    return LetterStatus(letter, outcome.state if outcome else "open", tuple(sorted(filter(None, reasons))))


def merge_statuses(first: LetterStatus, second: LetterStatus) -> LetterStatus:
    """Return the status of a letter that two objects contain, in either order."""
    # A batch that is read again may be cut elsewhere, which gives an object with another hash.
    if first.state == second.state:
        letter = _canonical(first.letter, second.letter)
        return LetterStatus(letter, first.state, tuple(sorted({*first.reasons, *second.reasons})))
    return max(first, second, key=lambda status: _precedence(status.state))


def _canonical(first: DeadLetter, second: DeadLetter) -> DeadLetter:
    """Return the same one of two letters of one name, in either order."""
    if first == second:  # nearly always; the others were refused for another reason, for example
        return first
    return min(first, second, key=lambda letter: encode_letters([letter]))


def stronger_state(first: LetterState, second: LetterState) -> LetterState:
    """Return the state that takes precedence, in either order."""
    return max(first, second, key=_precedence)


def _precedence(state: LetterState) -> int:
    return STATES.index(state)


class LetterBatch(NamedTuple):
    """One object of letters, and all outcomes beside it. `stored_at` is in microseconds since 1970, UTC."""

    key: str
    letters: Sequence[DeadLetter]
    outcomes: Sequence[LetterOutcome]
    stored_at: int

    def statuses(self) -> list[LetterStatus]:
        """Return the status of each of its letters, from the outcomes beside this object alone."""
        return fold_letters(self.letters, self.outcomes)


class LetterLedger(Protocol):
    """A store that lists its letters and records their outcomes.

    Every method may raise TransientError and ConfigurationError.
    """

    def batches(self) -> Iterator[LetterBatch]:
        """Yield all letters, one object at a time in order of keys, so that memory stays bounded."""

    def outcomes(self) -> Iterator[LetterOutcome]:
        """Yield the outcomes of all letters without reading the letters. Outcomes may repeat."""

    def record(self, key: str, outcomes: Sequence[LetterOutcome]) -> None:
        """Store outcomes of letters of the object at `key`.

        They are durable when it returns. A repeat changes nothing (INV-5).
        """


class Redriver(Protocol):
    """The normal path of the letters of one stage."""

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """Process the letters again, and return their outcomes: redriven, or failed again with a reason.

        A letter without an outcome cannot be redriven. Repeats are harmless (INV-2). Raises TransientError
        and ConfigurationError for faults of the environment; the outcomes of all letters are unknown then.
        """


@dataclass(slots=True)
class RefusedLetters:
    """A letter store for a redrive: a letter that is refused again becomes an outcome, not a new letter."""

    refused: list[DeadLetter] = field(default_factory=list)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.refused.extend(letters)

    def drain(self) -> list[DeadLetter]:
        """Return the letters that were refused since the last call."""
        refused, self.refused = self.refused, []
        return refused


@dataclass(slots=True)
class InMemoryLedger:
    """A ledger and letter store in memory, with the keys and bytes of an object store."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.objects[letters_key(letters)] = encode_letters(letters)

    def batches(self) -> Iterator[LetterBatch]:
        outcomes: dict[str, list[LetterOutcome]] = {}
        for key, body in self.objects.items():
            if parent := letters_key_of(key):
                outcomes.setdefault(parent, []).extend(decode_outcomes(body))
        for key in sorted(self.objects):
            if letters_key_of(key) is None:
                yield LetterBatch(key, decode_letters(self.objects[key]), outcomes.get(key, ()), 0)

    def outcomes(self) -> Iterator[LetterOutcome]:
        for key, body in self.objects.items():
            if letters_key_of(key):
                yield from decode_outcomes(body)

    def record(self, key: str, outcomes: Sequence[LetterOutcome]) -> None:
        body = encode_outcomes(outcomes)
        self.objects[outcomes_key(key, body)] = body
