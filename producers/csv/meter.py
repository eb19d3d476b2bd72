"""Progress of reading a file, for a person who waits for it. Holds figures only, no field values (INV-7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

REPORT_SECONDS = 1.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Reading:
    """The progress of one pass over a file. `done` names the pass: rows are `checked`, then `published`.

    `rows` includes those of earlier attempts; `rate` is rows per second in this attempt. `share` is the
    fraction of the file's bytes that has been read; None if the size is unknown.
    """

    key: str
    done: str
    rows: int
    share: float | None
    rate: float

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end of this pass at the present rate; None if nothing is known yet."""
        if not self.share or not self.rate:
            return None
        return self.rows * (1 / self.share - 1) / self.rate

    def __str__(self) -> str:
        share = "" if self.share is None else f", {self.share:.0%} of the file"
        left = "" if self.seconds_left is None else f", {self.seconds_left:,.0f} s left"
        return f"{self.key}: {self.rows:,} rows {self.done}{share}, {self.rate:,.0f} rows/s{left}"


ReadingCallback: TypeAlias = Callable[[Reading], None]


def no_report(_reading: Reading) -> None:
    """Ignore the report."""


class Meter:
    """Counts the bytes and rows of one file, and reports them once a second while rows are read."""

    def __init__(
        self,
        key: str = "",
        size: int | None = None,
        report: ReadingCallback = no_report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`size` is the file's size in bytes, if known."""
        self._key = key
        self._size = size
        self._report = report
        self._clock = clock
        self._bytes = 0

    def chunks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the chunks of the file, from its beginning, and count their bytes."""
        self._bytes = 0  # a file is read twice
        for chunk in chunks:
            self._bytes += len(chunk)
            yield chunk

    def rows(self, rows: Iterable[Item], done: str, before: int = 0) -> Iterator[Item]:
        """Yield rows, which come after the first `before` rows of the file, and report them.

        A row counts as done when the next one is requested.
        """
        # Lambda has no one to report to, and its rows should not pay for the clock.
        return iter(rows) if self._report is no_report else self._reported(rows, done, before)

    def _reported(self, rows: Iterable[Item], done: str, before: int) -> Iterator[Item]:
        began = reported = self._clock()
        for number, row in enumerate(rows, 1):
            yield row
            now = self._clock()
            if now >= reported + REPORT_SECONDS:
                reported = now
                self._report(self._reading(done, before + number, number / (now - began)))

    def _reading(self, done: str, rows: int, rate: float) -> Reading:
        share = min(1.0, self._bytes / self._size) if self._size else None
        return Reading(self._key, done, rows, share, rate)
