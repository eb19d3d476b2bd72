"""Redrive of the consumer's dead letters through `Consumer.consume`, with its checks, fold and guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from consumers.consume import STAGE, Consumer
from consumers.facts import frames_of
from schemas.errors import PoisonEventError
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.letters.outcomes import LetterOutcome, RefusedLetters
from schemas.log.kpl import MAGIC


class ConsumerRedriver:
    """`schemas.letters.outcomes.Redriver` for the stage "consumer"."""

    def __init__(self, consumer: Callable[[LetterStore], Consumer]) -> None:
        """Build the redriver. `consumer` returns a consumer that puts refused events into the given store."""
        self._refusals = RefusedLetters()
        self._consumer = consumer(self._refusals)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """Apply these letters in one transaction, without a checkpoint, and return an outcome for each.

        An event that turns out to be a duplicate, or superseded by a later one, counts as redriven: the guard
        makes applying it again harmless (INV-2).
        """
        self._refusals.drain()  # discards what a call that raised has left behind
        self._consumer.consume([letter.payload for letter in letters])
        refused = {letter.payload: letter.reason for letter in self._refusals.drain()}
        return [_outcome(letter, refused) for letter in letters]


def _outcome(letter: DeadLetter, refused: dict[bytes, str]) -> LetterOutcome:
    reason = next((refused[part] for part in _parts(letter.payload) if part in refused), None)
    if reason is None:
        return LetterOutcome(STAGE, letter.id, "redriven")
    return LetterOutcome(STAGE, letter.id, "failed-again", reason)


def _parts(payload: bytes) -> Iterator[bytes]:
    """Yield the payloads under which parts of this letter may be refused: itself, and its frames."""
    yield payload
    # A letter of a whole record holds an aggregate. Once the aggregate is readable, its frames are refused
    # one by one.
    if payload.startswith(MAGIC):
        with suppress(PoisonEventError):
            yield from frames_of(payload)
