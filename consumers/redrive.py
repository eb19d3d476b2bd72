"""Dead letters of the consumer once more through `Consumer.consume`: guard, fold and all."""

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
    """`schemas.letters.outcomes.Redriver` of the stage "consumer"."""

    def __init__(self, consumer: Callable[[LetterStore], Consumer]) -> None:
        """`consumer` makes the consumer that puts what it refuses in that store."""
        self._refusals = RefusedLetters()
        self._consumer = consumer(self._refusals)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """In one transaction, without a checkpoint. An event that was applied before is a duplicate, one that
        a later one has overtaken is superseded: both are redriven."""
        self._refusals.drain()  # of a call that failed
        self._consumer.consume([letter.payload for letter in letters])
        refused = {letter.payload: letter.reason for letter in self._refusals.drain()}
        return [_outcome(letter, refused) for letter in letters]


def _outcome(letter: DeadLetter, refused: dict[bytes, str]) -> LetterOutcome:
    reason = next((refused[part] for part in _parts(letter.payload) if part in refused), None)
    if reason is None:
        return LetterOutcome(STAGE, letter.id, "redriven")
    return LetterOutcome(STAGE, letter.id, "failed-again", reason)


def _parts(payload: bytes) -> Iterator[bytes]:
    """What may be refused of it: itself, or a frame of the aggregate that it is."""
    yield payload
    if payload.startswith(MAGIC):
        with suppress(PoisonEventError):
            yield from frames_of(payload)
