"""Reading of a file in stages: at the end of a stage its rows are durable, and the progress is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from producers.csv.registers import KeySample
from producers.csv.rejects import Rejects
from producers.csv.resume import FileProgress, ResumePoint
from producers.publisher import Publisher
from schemas.deadline import Deadline
from schemas.errors import TransientError

STAGE_BYTES = 16 * 1024 * 1024  # of events and rejects: what may be published twice after a kill
LOOK_ROWS = 1_000  # rows after which the deadline is checked even if nothing was sent

Item = TypeVar("Item")


class Stages:
    """The stages of one phase of one file."""

    def __init__(
        self,
        progress: FileProgress,
        phase: str,
        publisher: Publisher,
        rejects: Rejects,
        deadline: Deadline,
        *,
        keys: KeySample | None = None,
    ) -> None:
        self._progress = progress
        self.phase = phase
        self._publisher = publisher
        self._deadline = deadline
        self._point = ResumePoint()
        self._saved = 0  # bytes of rejects that are in saved stages
        self.rejects = rejects
        self.keys = keys

    def resume(self) -> ResumePoint:
        """Load the progress of earlier attempts, and return where to resume."""
        self._point = self._progress.resume_point(self.phase)
        self.rejects.restore(self._progress.rejects(self._point), self._point.rejected)
        self._saved = self.rejects.end()
        if self.keys is not None:
            self.keys.take(self._progress.keys(self._point))
        return self._point

    def of(self, rows: Iterable[Item]) -> Iterator[Item]:
        """Yield the rows after the resume point, and save the progress after each stage.

        A row counts as done when the next one is requested. Raises TransientError, with the progress saved,
        when the time is nearly up.
        """
        publisher, rejects = self._publisher, self.rejects
        # The weight grows when Kinesis acknowledges a call or a row is rejected. Checking only then keeps the
        # loop fast, and a save comes right after a call, when little is buffered.
        start = seen = self._weight()
        for number, row in enumerate(rows, self._point.rows + 1):
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
        self._publisher.flush()  # a saved row is never published again, so it must be durable (INV-1)
        new = self.rejects.since(self._saved)
        self._point = self._progress.save(
            self.phase,
            self._point,
            rows=rows,
            rejected=self.rejects.count,
            rejects=new,
            keys=None if self.keys is None else self.keys.encoded(),
        )
        self._saved += len(new)
