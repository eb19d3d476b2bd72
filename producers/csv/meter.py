"""How far a file has been read, for a person who waits for it. Figures only: no field values (INV-7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

REPORT_SECONDS = 1.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Reading:
    """One file at one time. `done` names the pass: rows are first `checked`, then `published`.

    `rows` counts those of earlier attempts as well; `rate` is rows per second of this attempt. `share` is the
    part of the file's bytes that has been read, None where the size is not known.
    """

    key: str
    done: str
    rows: int
    share: float | None
    rate: float

    @property
    def seconds_left(self) -> float | None:
        """Until the end of this pass at the present rate; None while there is nothing to go by."""
        if not self.share or not self.rate:
            return None
        return self.rows * (1 / self.share - 1) / self.rate

    def __str__(self) -> str:
        share = "" if self.share is None else f", {self.share:.0%} of the file"
        left = "" if self.seconds_left is None else f", {self.seconds_left:,.0f} s left"
        return f"{self.key}: {self.rows:,} rows {self.done}{share}, {self.rate:,.0f} rows/s{left}"


ReadingCallback: TypeAlias = Callable[[Reading], None]


def unreported(_reading: Reading) -> None:
    """For a caller that nobody watches."""


class Meter:
    """Counts the bytes and the rows of one file, and reports them once a second while rows are read."""

    def __init__(
        self,
        key: str = "",
        size: int | None = None,
        report: ReadingCallback = unreported,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`size` in bytes."""
        self._key = key
        self._size = size
        self._report = report
        self._clock = clock
        self._bytes = 0

    def chunks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes of the file, from its beginning."""
        self._bytes = 0
        for chunk in chunks:
            self._bytes += len(chunk)
            yield chunk

    def rows(self, rows: Iterable[Item], done: str, before: int = 0) -> Iterator[Item]:
        """The rows after the first `before`. A row counts when the next one is asked for."""
        # Nobody watches in Lambda: no cost for each row there.
        return iter(rows) if self._report is unreported else self._reported(rows, done, before)

    def _reported(self, rows: Iterable[Item], done: str, before: int) -> Iterator[Item]:
        began = told = self._clock()
        for number, row in enumerate(rows, 1):
            yield row
            now = self._clock()
            if now >= told + REPORT_SECONDS:
                told = now
                self._report(self._reading(done, before + number, number / (now - began)))

    def _reading(self, done: str, rows: int, rate: float) -> Reading:
        share = min(1.0, self._bytes / self._size) if self._size else None
        return Reading(self._key, done, rows, share, rate)
