"""Samples of the keys in a feed's snapshots, to notice a snapshot that would delete too much.

One object for each snapshot holds a sample of its hashed keys. It is exact for up to SIZE keys; beyond that
it gives an estimate within a few percent, in constant memory. The keys that may still exist are those of the
last snapshot that swept, and of later ones that did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

from producers.csv.archive import Bucket, erase

PREFIX = "registers/"
"""Prefix in the source bucket."""
SIZE = 4_096  # keys in a sample
SWEPT, ROWS = "swept", "rows"
_WIDTH = 8  # bytes of a hash
_HIGHEST = b"\xff" * _WIDTH


class KeySample:
    """The keys with the smallest hashes, a bottom-k sample: files sample their common keys alike."""

    def __init__(self) -> None:
        self._kept: set[bytes] = set()
        self._bound = _HIGHEST  # a greater hash can't be in the sample

    def add(self, key_hash: bytes) -> None:
        """Add a key, given its schemas.event.key_hash. Adding it again changes nothing."""
        digest = key_hash[:_WIDTH]
        if digest <= self._bound:
            self._kept.add(digest)
            # Pruned only at twice the size: sorting for each key would be slow.
            if len(self._kept) > 2 * SIZE:
                self._prune()

    def take(self, body: bytes) -> None:
        """Add the keys of another sample, as it encoded them."""
        self._kept.update(body[start : start + _WIDTH] for start in range(0, len(body), _WIDTH))
        self._prune()

    def encoded(self) -> bytes:
        """Encode the sample: equal keys give equal bytes, in whatever order they were added (INV-5)."""
        return b"".join(self.least())

    def least(self) -> list[bytes]:
        """Return the SIZE smallest hashes, in ascending order."""
        return sorted(self._kept)[:SIZE]

    def _prune(self) -> None:
        if len(self._kept) >= SIZE:
            least = self.least()
            self._kept, self._bound = set(least), least[-1]


class Loss(NamedTuple):
    """The number of keys, and how many of them are missing in a newer snapshot."""

    missing: int
    keys: int


def loss(old: KeySample, new: KeySample) -> Loss:
    """Return how many of the old keys are missing among the new ones; an estimate if a sample is full."""
    before, after = old.least(), new.least()
    # Up to this hash both samples are complete, so a key that only one of them has is missing in the other.
    bound = min(_last(before), _last(after))
    comparable = [digest for digest in before if digest <= bound]
    missing = len(set(comparable) - set(after))
    if len(before) < SIZE and bound == _HIGHEST:
        return Loss(missing, len(before))
    total = _estimated(before)
    return Loss(round(total * missing / len(comparable)) if comparable else 0, total)


def _last(hashes: Sequence[bytes]) -> bytes:
    """Return the hash up to which a sample has all keys."""
    return hashes[-1] if len(hashes) == SIZE else _HIGHEST


def _estimated(hashes: Sequence[bytes]) -> int:
    """Return the number of keys in a snapshot, from its sample."""
    # Hashes are uniform, so the k-th smallest of n is near k/n of the range (the KMV estimator).
    if len(hashes) < SIZE:
        return len(hashes)
    return round((SIZE - 1) * int.from_bytes(_HIGHEST) / int.from_bytes(hashes[-1]))


class Registers:
    """The samples of one feed of one entity."""

    def __init__(self, bucket: Bucket, entity: str, feed: str) -> None:
        self._bucket = bucket
        self._folder = f"{PREFIX}{entity}/{feed}/"

    def loss(self, position: str, keys: KeySample) -> Loss:
        """Return what a sweep at this position would delete: nothing if it or a later one swept already."""
        snapshots = self._snapshots()
        swept = _last_swept(snapshots)
        # A retry, or an older snapshot that comes late: its sweep deletes nothing more.
        if swept >= position:
            return Loss(0, 0)
        old = KeySample()
        for earlier, kind in snapshots:
            if swept <= earlier < position:
                key = f"{self._folder}{earlier}/{kind}"
                old.take(b"".join(self._bucket.read(self._bucket.pin(key, None))))
        return loss(old, keys)

    def record(self, position: str, keys: KeySample, *, swept: bool) -> None:
        """Record that the snapshot at this position is published. If it swept, older samples are deleted."""
        snapshots = self._snapshots()
        if _last_swept(snapshots) > position:
            return
        self._bucket.put(f"{self._folder}{position}/{SWEPT if swept else ROWS}", BytesIO(keys.encoded()))
        if swept:
            # "rows" sorts before "swept": an earlier record of this same snapshot goes as well.
            old = [snapshot for snapshot in snapshots if snapshot < (position, SWEPT)]
            erase(self._bucket, [f"{self._folder}{earlier}/{kind}" for earlier, kind in old])

    def _snapshots(self) -> list[tuple[str, str]]:
        """Return position and kind of each recorded snapshot."""
        keys = (key.removeprefix(self._folder) for key in self._bucket.keys(self._folder))
        return [(position, kind) for position, _, kind in (key.partition("/") for key in keys)]


def _last_swept(snapshots: Iterable[tuple[str, str]]) -> str:
    return max((position for position, kind in snapshots if kind == SWEPT), default="")
