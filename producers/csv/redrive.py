"""Redrive of dead letters of CSV sources.

Only letters about a file that was never read have a redrive: the file is still where it was dropped. A file
that was read is under rejects/ or archive/, and needs a correction by a person: dropped again unchanged, it
would count as a later upload, and win over newer facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from urllib.parse import quote_plus

from producers.csv.file import STAGE
from producers.csv.handler import Producer
from producers.csv.handler import build as build_producer
from producers.csv.notices import CREATED
from producers.wiring import Wiring
from schemas.deadline import SecondsLeft, unlimited
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.letters.outcomes import LetterOutcome

CORRECT_IT = (
    "a file that was read is never read again as it is: correct it and drop it, or its rejects under "
    "corrections/, then discard the letter"
)
"""Reason why the letter of a file that was read has no redrive."""


def build(wiring: Wiring, left: SecondsLeft = unlimited) -> CsvRedriver:
    """Build the redriver for one invocation. Files are read until the time is nearly up, as the producer
    does: the next redrive goes on where it was."""

    def producer(letters: LetterStore) -> Producer:
        built = build_producer(wiring._replace(letters=letters))
        built.begin(left)
        return built

    return CsvRedriver(producer, wiring.letters)


class CsvRedriver:
    """`schemas.letters.outcomes.Redriver` of the stage "csv"."""

    def __init__(self, producer: Callable[[LetterStore], Producer], letters: LetterStore) -> None:
        """`producer` builds a producer that stores its dead letters in its argument.

        `letters` receives the new letters, such as those about a file that is read at last and found bad.
        """
        self._same = _Same(letters)
        self._producer = producer(self._same)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """Redrive letters one by one, since each may be a whole file. Skips letters without a redrive."""
        notifications = ((letter, _notification(letter.payload)) for letter in letters)
        return [self._redriven(letter, text) for letter, text in notifications if text is not None]

    def _redriven(self, letter: DeadLetter, notification: str) -> LetterOutcome:
        self._same.expect(letter)
        self._producer.take(notification)
        if self._same.reason is not None:
            return LetterOutcome(STAGE, letter.id, "failed-again", self._same.reason)
        return LetterOutcome(STAGE, letter.id, "redriven")


class _Same:
    """A `LetterStore` that holds back a repetition of the letter being redriven, and passes on all others."""

    # The others must be stored (INV-1): if the file is read now and found bad it is moved, and only its new
    # letter has its new key.

    def __init__(self, letters: LetterStore) -> None:
        self._letters = letters
        self._name: tuple[str, str] | None = None
        self.reason: str | None = None

    def expect(self, letter: DeadLetter) -> None:
        self._name, self.reason = letter.name, None

    def put(self, letters: Sequence[DeadLetter]) -> None:
        others = [letter for letter in letters if letter.name != self._name]
        if others:
            self._letters.put(others)
        for letter in letters:
            if letter.name == self._name:
                self.reason = letter.reason


def has_redrive(letter: DeadLetter) -> bool:
    """Return whether a letter of CSV can be redriven: all but those of files that were read."""
    return _notification(letter.payload) is not None


def _notification(payload: bytes) -> str | None:
    """Return the notification of a file that was not read, or an equivalent one; None if it was read."""
    text = payload.decode(errors="replace")
    try:
        location = json.loads(text)
        key, version = location["key"], location["version"]
        bucket, moved_to, quoted = location["bucket"], location["moved_to"], quote_plus(key)
    except (ValueError, LookupError, TypeError, RecursionError):
        # The payload is not one of `object_letter`: it is the notification itself, which could not be parsed.
        return text
    if moved_to is not None:
        return None
    described = {
        "key": quoted,
        "versionId": version,
        "eTag": location.get("etag"),
        "sequencer": location.get("sequencer"),
    }
    s3 = {"bucket": {"name": bucket}, "object": described}
    record = {"eventName": f"{CREATED}Put", "eventTime": location.get("event_time"), "s3": s3}
    return json.dumps({"Records": [record]})
