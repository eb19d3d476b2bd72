"""What became of dead letters: objects beside those of the letters, and the fold of both into the present.

`dead-letters/<stage>/<hash>.jsonl` holds the letters of one batch, `dead-letters/<stage>/<hash>/<hash>.jsonl`
what one run made of some of them. Nothing is ever changed or removed. An outcome has no clock in it and its
object is named by its bytes: a retry writes the same (INV-5), and the store itself tells when.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Literal, NamedTuple, Protocol, TypeAlias, get_args

from schemas.errors import ConfigurationError
from schemas.letters.letter import (
    PREFIX,
    DeadLetter,
    decode_letters,
    encode_letters,
    letters_key,
)

LetterState: TypeAlias = Literal["open", "failed-again", "discarded", "redriven"]
STATES: tuple[LetterState, ...] = get_args(LetterState)
"""In order of what wins where people work on one letter at once: that its fact went through is true whatever
anybody decides, and a decision outweighs an attempt that failed."""
WAITING: frozenset[LetterState] = frozenset({"open", "failed-again"})
"""The states of letters that a person has still to see to."""

_OBJECT = ".jsonl"


@dataclass(frozen=True, slots=True)
class LetterOutcome:
    """What one run made of one letter."""

    stage: str
    id: str
    state: LetterState
    """Never open."""
    reason: str = ""
    """Why it failed again: field, rule and type, never a value. Why it was discarded: in a person's words."""

    @property
    def name(self) -> tuple[str, str]:
        """That of its letter."""
        return self.stage, self.id


def encode_outcomes(outcomes: Iterable[LetterOutcome]) -> bytes:
    """JSON lines in one order, each outcome once."""
    lines = {json.dumps(asdict(each), sort_keys=True, separators=(",", ":")) for each in outcomes}
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def decode_outcomes(body: bytes) -> list[LetterOutcome]:
    """The inverse of encode_outcomes. Raises ConfigurationError if the object holds something else."""
    return [_outcome(number, line) for number, line in enumerate(body.splitlines(), 1)]


def _outcome(number: int, line: bytes) -> LetterOutcome:
    try:
        made = LetterOutcome(**json.loads(line))
    except (ValueError, TypeError):
        made = None
    if made is None or made.state not in STATES[1:]:
        raise ConfigurationError(f"line {number} is not the outcome of a dead letter")
    return made


def outcomes_key(key_of_letters: str, body: bytes) -> str:
    """The name of an object of outcomes: beside the object of their letters, and after it in order."""
    return f"{key_of_letters.removesuffix(_OBJECT)}/{sha256(body).hexdigest()[:32]}{_OBJECT}"


def letters_key_of(key: str) -> str | None:
    """The key of the object of letters that these are outcomes of; None for the key of letters themselves."""
    folder, _, _ = key.rpartition("/")
    return f"{folder}{_OBJECT}" if folder.removeprefix(PREFIX).count("/") else None


class LetterStatus(NamedTuple):
    """A letter and its present state, with every reason that led to that state, in order of their text."""

    letter: DeadLetter
    state: LetterState
    reasons: tuple[str, ...] = ()


def fold_letters(letters: Iterable[DeadLetter], outcomes: Iterable[LetterOutcome]) -> list[LetterStatus]:
    """Each letter once, in order of stage and id. Neither order nor repeats change it (INV-2).

    An outcome without its letter is left out.
    """
    made: dict[tuple[str, str], LetterOutcome | None] = {}
    reasons: dict[tuple[str, str], set[str]] = {}
    for each in outcomes:
        held = made.get(each.name)
        if held is None or _place(each.state) > _place(held.state):
            made[each.name], reasons[each.name] = each, {each.reason}
        elif each.state == held.state:
            reasons[each.name].add(each.reason)
    kept: dict[tuple[str, str], DeadLetter] = {}
    for letter in letters:
        there = kept.setdefault(letter.name, letter)
        if there != letter:
            kept[letter.name] = _one_of(there, letter)
    return [_standing(kept[name], made.get(name), reasons.get(name, ())) for name in sorted(kept)]


def _standing(letter: DeadLetter, outcome: LetterOutcome | None, reasons: Iterable[str]) -> LetterStatus:
    return LetterStatus(letter, outcome.state if outcome else "open", tuple(sorted(filter(None, reasons))))


def merge_statuses(one: LetterStatus, other: LetterStatus) -> LetterStatus:
    """The state of a letter that lies in two objects, since its batch was read again with another cut."""
    if one.state == other.state:
        letter = _one_of(one.letter, other.letter)
        return LetterStatus(letter, one.state, tuple(sorted({*one.reasons, *other.reasons})))
    return max(one, other, key=lambda standing: _place(standing.state))


def _one_of(*copies: DeadLetter) -> DeadLetter:
    """The same one in any order: of letters under one name, the later refused for another reason, say."""
    return min(copies, key=lambda letter: encode_letters([letter]))


def stronger_state(one: LetterState, other: LetterState) -> LetterState:
    """The one that counts, whichever came first."""
    return max(one, other, key=_place)


def _place(state: LetterState) -> int:
    return STATES.index(state)


class LetterBatch(NamedTuple):
    """One object of letters, and all outcomes beside it. `stored_at` in microseconds since 1970, UTC."""

    key: str
    letters: Sequence[DeadLetter]
    outcomes: Sequence[LetterOutcome]
    stored_at: int

    def statuses(self) -> list[LetterStatus]:
        """The present state of each of its letters."""
        return fold_letters(self.letters, self.outcomes)


class LetterLedger(Protocol):
    """Letters that were put somewhere, and what became of them. All may raise TransientError,
    ConfigurationError."""

    def batches(self) -> Iterator[LetterBatch]:
        """Object by object, in order of their keys: memory does not grow with their number."""

    def outcomes(self) -> Iterator[LetterOutcome]:
        """Of all letters, without reading these. An outcome may come more than once."""

    def record(self, key: str, outcomes: Sequence[LetterOutcome]) -> None:
        """Of letters of the object at `key`. Durable when it returns; again, it changes nothing (INV-5)."""


class Redriver(Protocol):
    """The normal path of the letters of one stage."""

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """What became of each: redriven, or failed again with its reason. A letter without an outcome has no
        redrive.

        Repeats are harmless (INV-2). Raises TransientError, ConfigurationError: then nothing is known of any
        of them, and the environment is to be mended.
        """


@dataclass(slots=True)
class RefusedLetters:
    """A `LetterStore` for a redrive: what is refused again is no new letter, but an outcome of the old."""

    refused: list[DeadLetter] = field(default_factory=list)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.refused.extend(letters)

    def drain(self) -> list[DeadLetter]:
        """What was refused since the last time."""
        refused, self.refused = self.refused, []
        return refused


@dataclass(slots=True)
class InMemoryLedger:
    """Letters and outcomes in memory, under the keys and as the bytes that an object store would keep. A
    `LetterStore`, too."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.objects[letters_key(letters)] = encode_letters(letters)

    def batches(self) -> Iterator[LetterBatch]:
        beside: dict[str | None, list[LetterOutcome]] = {}
        for key, body in self.objects.items():
            if of := letters_key_of(key):
                beside.setdefault(of, []).extend(decode_outcomes(body))
        for key in sorted(self.objects):
            if letters_key_of(key) is None:
                yield LetterBatch(key, decode_letters(self.objects[key]), beside.get(key, ()), 0)

    def outcomes(self) -> Iterator[LetterOutcome]:
        for key, body in self.objects.items():
            if letters_key_of(key):
                yield from decode_outcomes(body)

    def record(self, key: str, outcomes: Sequence[LetterOutcome]) -> None:
        body = encode_outcomes(outcomes)
        self.objects[outcomes_key(key, body)] = body
