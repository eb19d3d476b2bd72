"""Which keys a feed's snapshots held, so that one that would delete too much is noticed before it does.

One object for each snapshot holds a sample of its keys, hashed: exact for up to SIZE keys, beyond that an
estimate within some percent, in constant memory. What may still exist are the keys of the last snapshot that
swept, and of those that came after it and did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

from producers.csv.archive import Bucket, erase

PREFIX = "registers/"
"""Of the keys in the source bucket."""
SIZE = 4_096  # keys in a sample
SWEPT, ROWS = "swept", "rows"
_WIDTH = 8  # bytes of a hash
_HIGHEST = b"\xff" * _WIDTH


class KeySample:
    """The keys with the least hashes: the same ones in every file that has them."""

    def __init__(self) -> None:
        self._kept: set[bytes] = set()
        self._bound = _HIGHEST  # no greater hash can be of the sample

    def add(self, key_hash: bytes) -> None:
        """Add one key by its schemas.event.key_hash, any number of times."""
        digest = key_hash[:_WIDTH]
        if digest <= self._bound:
            self._kept.add(digest)
            if len(self._kept) > 2 * SIZE:
                self._prune()

    def take(self, body: bytes) -> None:
        """Adds all that another sample encoded."""
        self._kept.update(body[start : start + _WIDTH] for start in range(0, len(body), _WIDTH))
        self._prune()

    def encoded(self) -> bytes:
        """The least hashes in their order: the same bytes for the same keys (INV-5)."""
        return b"".join(self.least())

    def least(self) -> list[bytes]:
        """At most SIZE hashes, the least one first."""
        return sorted(self._kept)[:SIZE]

    def _prune(self) -> None:
        if len(self._kept) >= SIZE:
            least = self.least()
            self._kept, self._bound = set(least), least[-1]


class Loss(NamedTuple):
    """How many of some keys are missing elsewhere."""

    missing: int
    keys: int


def loss(old: KeySample, new: KeySample) -> Loss:
    """Of the old keys those that are not among the new ones. Estimated where a sample is full."""
    before, after = old.least(), new.least()
    bound = min(_last(before), _last(after))
    seen = [digest for digest in before if digest <= bound]
    missing = len(set(seen) - set(after))
    if len(before) < SIZE and bound == _HIGHEST:
        return Loss(missing, len(before))
    every = _estimated(before)
    return Loss(round(every * missing / len(seen)) if seen else 0, every)


def _last(hashes: Sequence[bytes]) -> bytes:
    """Up to which hash a sample has all keys."""
    return hashes[-1] if len(hashes) == SIZE else _HIGHEST


def _estimated(hashes: Sequence[bytes]) -> int:
    if len(hashes) < SIZE:
        return len(hashes)
    return round((SIZE - 1) * int.from_bytes(_HIGHEST) / int.from_bytes(hashes[-1]))


class Registers:
    """The snapshots of one feed of one entity."""

    def __init__(self, bucket: Bucket, entity: str, feed: str) -> None:
        self._bucket = bucket
        self._folder = f"{PREFIX}{entity}/{feed}/"

    def loss(self, position: str, keys: KeySample) -> Loss:
        """What a sweep at this position would delete; nothing where it, or a later one, has swept already."""
        found = self._found()
        swept = _swept_up_to(found)
        if swept >= position:
            return Loss(0, 0)
        old = KeySample()
        for place, kind in found:
            if swept <= place < position:
                key = f"{self._folder}{place}/{kind}"
                old.take(b"".join(self._bucket.read(self._bucket.pin(key, None))))
        return loss(old, keys)

    def record(self, position: str, keys: KeySample, *, swept: bool) -> None:
        """The snapshot at this position is published; if it swept, older ones do not matter any more."""
        found = self._found()
        if _swept_up_to(found) > position:
            return
        self._bucket.put(f"{self._folder}{position}/{SWEPT if swept else ROWS}", BytesIO(keys.encoded()))
        if swept:
            old = [(place, kind) for place, kind in found if (place, kind) < (position, SWEPT)]
            erase(self._bucket, [f"{self._folder}{place}/{kind}" for place, kind in old])

    def _found(self) -> list[tuple[str, str]]:
        """Position and kind of each snapshot that is known."""
        keys = (key.removeprefix(self._folder) for key in self._bucket.keys(self._folder))
        return [(place, kind) for place, _, kind in (key.partition("/") for key in keys)]


def _swept_up_to(found: Iterable[tuple[str, str]]) -> str:
    return max((place for place, kind in found if kind == SWEPT), default="")
