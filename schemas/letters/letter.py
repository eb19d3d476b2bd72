"""Dead letters: facts that could not be used, with payload and reason, stored so that they can be redriven.

Letters are stored as objects of sorted JSON lines. The key of an object is the hash of its content, so that a
retry writes the same bytes to the same key (INV-5). Payloads contain field values; nothing else in a letter
does (INV-7).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Protocol

from schemas.errors import Cause, ConfigurationError

LETTER_PREFIX = "dead-letters/"
"""Prefix of the keys of all letters and outcomes (schemas/letters/outcomes.py)."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused fact. Stage and id identify it: a repeat is the same letter."""

    id: str
    """Event id in hex. Without an event, letter_id(payload), after the entity if that is known."""
    stage: str
    """The stage that refused it: dynamodb, csv or consumer."""
    entity: str | None
    source: str | None
    position: str | None
    reason: str
    """The reason names field, rule and type, never a value (INV-7)."""
    cause: Cause
    payload: bytes
    occurred_at: int | None
    """Moment of the change in the source: microseconds since 1970 in UTC."""

    @property
    def name(self) -> tuple[str, str]:
        """Stage and id, which identify the letter."""
        return self.stage, self.id


def letter_id(payload: bytes) -> str:
    """Return the id of a letter whose payload is not an event: 32 hex digits."""
    return sha256(payload).hexdigest()[:32]


def encode_letters(letters: Sequence[DeadLetter]) -> bytes:
    """Return the letters as sorted JSON lines, each once. The order of the letters does not matter."""
    return "".join(sorted({_line(letter) for letter in letters})).encode()


def decode_letters(body: bytes) -> list[DeadLetter]:
    """Return the letters of an object: the inverse of `encode_letters`.

    Raises ConfigurationError, naming the line, for any other content.
    """
    return [_letter(number, line) for number, line in enumerate(body.splitlines(), 1)]


def letters_key(letters: Sequence[DeadLetter]) -> str:
    """Return the key of the object that stores these letters, which have one stage."""
    (stage,) = {letter.stage for letter in letters}  # fails for several stages: a key has one
    return f"{LETTER_PREFIX}{stage}/{sha256(encode_letters(letters)).hexdigest()[:32]}.jsonl"


def _line(letter: DeadLetter) -> str:
    # Sorted names and fixed separators: the key is the hash of these bytes.
    members = {**asdict(letter), "payload": b64encode(letter.payload).decode()}
    return f"{json.dumps(members, sort_keys=True, separators=(',', ':'))}\n"


def _letter(number: int, line: bytes) -> DeadLetter:
    try:
        members = json.loads(line)
        return DeadLetter(**{**members, "payload": b64decode(members["payload"], validate=True)})
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(f"line {number} is not a dead letter") from None  # the cause may hold values


class LetterStore(Protocol):
    """A store of dead letters."""

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store the letters. They are durable when it returns (INV-1). Raises TransientError."""


@dataclass(slots=True)
class InMemoryLetters:
    """A letter store in memory. A repeat is stored once, as in an object store under `letters_key`."""

    letters: list[DeadLetter] = field(default_factory=list)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letter for letter in letters if letter not in self.letters)
