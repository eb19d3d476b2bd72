"""The rows of a file, in stages: after each one all its rows are durable, and the place is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from producers.csv.registers import KeySample
from producers.csv.rejects import Rejects
from producers.csv.resume import FileProgress, Place
from producers.deadline import Deadline
from producers.publisher import Publisher
from schemas.errors import TransientError

STAGE_BYTES = 16 * 1024 * 1024  # of events and rejects: what a kill may have published twice
LOOK_ROWS = 1_000  # rows after which the clock is looked at even if nothing was sent

Item = TypeVar("Item")


class Stages:
    """One phase of one file."""

    def __init__(
        self,
        progress: FileProgress,
        phase: str,
        publisher: Publisher,
        rejects: Rejects,
        deadline: Deadline,
        keys: KeySample | None = None,
    ) -> None:
        self._progress = progress
        self.phase = phase
        self._publisher = publisher
        self._deadline = deadline
        self._place = Place()
        self._kept = 0  # bytes of rejects that are in saved stages
        self.rejects = rejects
        self.keys = keys

    def resume(self) -> Place:
        """Takes over what earlier attempts saved."""
        self._place = self._progress.place(self.phase)
        self.rejects.restore(self._progress.rejects(self._place), self._place.rejected)
        self._kept = self.rejects.end()
        if self.keys is not None:
            self.keys.take(self._progress.keys(self._place))
        return self._place

    def of(self, rows: Iterable[Item]) -> Iterator[Item]:
        """The rows after the place. A row is done when the next one is asked for.

        Raises TransientError, with the place saved, when the time is nearly up.
        """
        publisher, rejects = self._publisher, self.rejects
        start = seen = self._weight()
        for number, row in enumerate(rows, self._place.rows + 1):
            yield row
            weight = publisher.acknowledged + rejects.size  # _weight, without a call for each row
            if weight == seen and number % LOOK_ROWS:
                continue
            seen, late = weight, self._deadline.near
            if late or weight - start >= STAGE_BYTES:
                self._save(number)
                start = seen = self._weight()
            if late:
                raise TransientError(f"row {number} is done and the time nearly up: the rest follows")

    def _weight(self) -> int:
        return self._publisher.acknowledged + self.rejects.size

    def _save(self, rows: int) -> None:
        self._publisher.flush()  # INV-1
        new = self.rejects.since(self._kept)
        keys = None if self.keys is None else self.keys.encoded()
        self._place = self._progress.save(self.phase, self._place, rows, self.rejects.count, new, keys)
        self._kept += len(new)
