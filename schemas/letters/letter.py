"""Dead letters: what could not be used, with its payload, kept where it can be listed and redriven.

One object is JSON lines, sorted, under a name made from its bytes: putting the same letters again writes the
same bytes to the same place (INV-5). Payloads hold field values: that is their job, and theirs alone (INV-7).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Protocol

from schemas.errors import Cause, ConfigurationError

PREFIX = "dead-letters/"
"""Of the keys of all letters, and of what became of them (schemas/letters/outcomes.py)."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused fact. With its stage the id names it: a repeat is the same letter."""

    id: str
    """Hex of the event id; of what is no event yet: letter_id(payload), with its entity before where that is
    known."""
    stage: str
    """Where it was refused: dynamodb, csv, consumer."""
    entity: str | None
    source: str | None
    position: str | None
    reason: str
    """Names field, rule and type, never a value."""
    cause: Cause
    payload: bytes
    occurred_at: int | None
    """Microseconds since 1970 in UTC, from the source fact."""

    @property
    def name(self) -> tuple[str, str]:
        """Stage and id: what a letter is known by."""
        return self.stage, self.id


def letter_id(payload: bytes) -> str:
    """The id of a letter whose payload is no event: 32 hex digits."""
    return sha256(payload).hexdigest()[:32]


def encode_letters(letters: Sequence[DeadLetter]) -> bytes:
    """JSON lines in one order, whatever the order of the letters; a letter that comes twice is there once."""
    return "".join(sorted({_line(letter) for letter in letters})).encode()


def decode_letters(body: bytes) -> list[DeadLetter]:
    """The inverse of encode_letters. Raises ConfigurationError if the object holds something else."""
    return [_letter(number, line) for number, line in enumerate(body.splitlines(), 1)]


def letters_key(letters: Sequence[DeadLetter]) -> str:
    """The name of the object that holds these letters, all of one stage."""
    (stage,) = {letter.stage for letter in letters}
    return f"{PREFIX}{stage}/{sha256(encode_letters(letters)).hexdigest()[:32]}.jsonl"


def _line(letter: DeadLetter) -> str:
    members = {**asdict(letter), "payload": b64encode(letter.payload).decode()}
    return f"{json.dumps(members, sort_keys=True, separators=(',', ':'))}\n"


def _letter(number: int, line: bytes) -> DeadLetter:
    try:
        members = json.loads(line)
        return DeadLetter(**{**members, "payload": b64decode(members["payload"], validate=True)})
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(f"line {number} is not a dead letter") from None


class LetterStore(Protocol):
    """Where dead letters go."""

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Durable when it returns (INV-1). Raises TransientError."""


@dataclass(slots=True)
class InMemoryLetters:
    """Letters kept in memory, repeats once, as an object store under letters_key would keep them."""

    letters: list[DeadLetter] = field(default_factory=list)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letter for letter in letters if letter not in self.letters)
