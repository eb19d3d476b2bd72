"""Progress reports of a run."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from consumers.warehouse.port import Row

LOOK_ROWS = 1_000  # rows between two reports: reading the clock for each row would slow the comparison

Unit: TypeAlias = Literal["object", "event", "row"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The part of a stage that is done.

    `done` and `total` are in `unit`s; a total of None is unknown, and a total of rows is an estimate.
    `events` counts the events read, of any entity, where the unit is objects. `seconds` is the time since
    the stage began.
    """

    stage: str
    done: int
    total: int | None
    events: int
    seconds: float
    unit: Unit = "object"

    @property
    def rate(self) -> float:
        """Events per second, or rows per second where the unit is rows."""
        # Objects differ in size by orders of magnitude: their number says little about the speed.
        finished = self.events if self.unit == "object" else self.done
        return finished / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at the speed so far; None where the total is unknown or nothing is done."""
        if self.total is None or self.done == 0:
            return None
        return self.seconds / self.done * max(0, self.total - self.done)


ProgressCallback: TypeAlias = Callable[[Progress], None]


def no_report(_progress: Progress) -> None:
    """Ignore the report."""


def with_progress(rows: Iterable[Row], report: ProgressCallback, clock: Callable[[], float]) -> Iterator[Row]:
    """Yield the rows of a table, which are in key-hash order, and report them as the stage `compare`."""
    began = clock()
    for number, row in enumerate(rows, 1):
        yield row
        if number % LOOK_ROWS == 0:
            # Hashes are uniform, so this row's hash is the share of the table that was read: no COUNT(*).
            share = (int.from_bytes(row.key_hash[:4]) + 1) / 2**32
            report(
                Progress(
                    stage="compare",
                    done=number,
                    total=round(number / share),
                    events=0,
                    seconds=clock() - began,
                    unit="row",
                )
            )
