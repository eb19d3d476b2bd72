"""The number of dead letters that wait for a person, counted often and at a bounded cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from schemas.letters.letter import LETTER_PREFIX
from schemas.letters.outcomes import WAITING, LetterState, letters_key_of, stronger_state
from schemas.letters.s3_letters import S3Letters
from schemas.s3_objects import list_objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)

MAX_OBJECTS = 10_000
"""Objects that are listed in a call: 10 requests."""
MAX_READS = 1_000
"""Objects that are read in a call."""
_READERS = 16

_States = list[tuple[tuple[str, str], LetterState]]
"""What one object contains: names of letters, and the state that it gives them."""


class WaitingLetters:
    """Counts the waiting letters of one bucket. Remembers what it has read, since objects never change."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._letters = S3Letters(s3, bucket)
        self._known: dict[str, _States] = {}

    def count(self) -> int:
        """Return the number of waiting letters, each once.

        It is too low while there are more objects than the limits allow, and a warning is logged. Raises
        TransientError, ConfigurationError.
        """
        listing = list_objects(self._s3, self._bucket, LETTER_PREFIX)
        keys = [item.key for item in islice(listing, MAX_OBJECTS)]
        new = [key for key in keys if key not in self._known]
        self._read(new[:MAX_READS])
        # Letters that a lifecycle rule has removed wait no more.
        self._known = {key: self._known[key] for key in keys if key in self._known}
        if len(keys) == MAX_OBJECTS or len(new) > MAX_READS:
            _log.warning("dead letters in %d objects are counted, and there may be more", len(self._known))
        return self._waiting()

    def _read(self, keys: Sequence[str]) -> None:
        with ThreadPoolExecutor(_READERS) as pool:
            self._known |= zip(keys, pool.map(self._states, keys), strict=True)

    def _states(self, key: str) -> _States:
        if letters_key_of(key):
            return [(outcome.name, outcome.state) for outcome in self._letters.outcomes_at(key)]
        return [(letter.name, "open") for letter in self._letters.letters_at(key)]

    def _waiting(self) -> int:
        states: dict[tuple[str, str], LetterState] = {}
        letters: set[tuple[str, str]] = set()
        for key, content in self._known.items():
            if not letters_key_of(key):  # an outcome without its letter is ignored
                letters.update(name for name, _ in content)
            for name, state in content:
                states[name] = stronger_state(state, states.get(name, "open"))
        return sum(states[name] in WAITING for name in letters)
