"""Dead letters of the CSV source: which of them can be taken again, and taking them.

A file that was read is under rejects/ or archive/, and a person corrects it: put back as it is, it would be a
later upload, and win over what came since. What was never read is still where it was dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from urllib.parse import quote_plus

from producers.csv.file import STAGE
from producers.csv.handler import Producer
from producers.csv.notices import CREATED
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.letters.outcomes import LetterOutcome

CORRECT_IT = (
    "a file that was read is never read again as it is: correct it and drop it, or its rejects under "
    "corrections/, then discard the letter"
)
"""Why the letter of a file has no redrive."""


class CsvRedriver:
    """`schemas.letters.outcomes.Redriver` of the stage "csv"."""

    def __init__(self, producer: Callable[[LetterStore], Producer], letters: LetterStore) -> None:
        """`producer` makes the producer that puts what it refuses in that store; `letters` takes what it says
        of a file that it now has read."""
        self._same = _Same(letters)
        self._producer = producer(self._same)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """One by one: each may be a whole file. Those with CORRECT_IT have no outcome."""
        told = ((letter, _notification(letter.payload)) for letter in letters)
        return [self._redriven(letter, each) for letter, each in told if each is not None]

    def _redriven(self, letter: DeadLetter, notification: str) -> LetterOutcome:
        self._same.of(letter)
        self._producer.take(notification)
        if self._same.reason is not None:
            return LetterOutcome(STAGE, letter.id, "failed-again", self._same.reason)
        return LetterOutcome(STAGE, letter.id, "redriven")


class _Same:
    """A `LetterStore` that keeps back one letter that comes again, and passes on all others: a file that is
    now read and found bad is moved, and only its own letter says where (INV-1)."""

    def __init__(self, letters: LetterStore) -> None:
        self._letters = letters
        self._name: tuple[str, str] | None = None
        self.reason: str | None = None

    def of(self, letter: DeadLetter) -> None:
        self._name, self.reason = letter.name, None

    def put(self, letters: Sequence[DeadLetter]) -> None:
        others = [letter for letter in letters if letter.name != self._name]
        if others:
            self._letters.put(others)
        for letter in letters:
            if letter.name == self._name:
                self.reason = letter.reason


def has_redrive(letter: DeadLetter) -> bool:
    """Whether a letter of any stage can be taken again: all but those of files that were read."""
    return letter.stage != STAGE or _notification(letter.payload) is not None


def _notification(payload: bytes) -> str | None:
    """What S3 said, or would say now, of what was not read; None for a file that was read."""
    text = payload.decode(errors="replace")
    try:
        place = json.loads(text)
        key, version = place["key"], place["version"]
        bucket, moved_to, quoted = place["bucket"], place["moved_to"], quote_plus(key)
    except (ValueError, LookupError, TypeError, RecursionError):
        return text
    if moved_to is not None:
        return None
    described = {"key": quoted, "versionId": version, "eTag": place.get("etag")}
    described["sequencer"] = place.get("sequencer")
    s3 = {"bucket": {"name": bucket}, "object": described}
    record = {"eventName": f"{CREATED}Put", "eventTime": place.get("event_time"), "s3": s3}
    return json.dumps({"Records": [record]})
