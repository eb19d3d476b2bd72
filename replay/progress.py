"""How far a run is, for whoever watches it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from consumers.warehouse.port import Row

LOOK_ROWS = 1_000  # rows after which the clock is looked at

Unit: TypeAlias = Literal["object", "event", "row"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` (None: not known), after `seconds` of this stage; `events` were read meanwhile,
    whatever their entity. Only objects hold events; the total of rows is an estimate."""

    stage: str
    done: int
    total: int | None
    events: int
    seconds: float
    unit: Unit = "object"

    @property
    def rate(self) -> float:
        """Events, or rows, per second."""
        counted = self.events if self.unit == "object" else self.done
        return counted / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """If it goes on as it went so far; None while there is nothing to go by."""
        if self.total is None or self.done == 0:
            return None
        return self.seconds / self.done * max(0, self.total - self.done)


Report: TypeAlias = Callable[[Progress], None]


def unreported(_progress: Progress) -> None:
    """For a caller who does not watch."""


def watched(rows: Iterable[Row], report: Report, clock: Callable[[], float]) -> Iterator[Row]:
    """The rows of a table in key-hash order, reported as the stage `compare`.

    Hashes are spread evenly, so that each of them tells how many rows are still to come.
    """
    began = clock()
    for number, row in enumerate(rows, 1):
        yield row
        if number % LOOK_ROWS == 0:
            share = (int.from_bytes(row.key_hash[:4]) + 1) / 2**32
            report(Progress("compare", number, round(number / share), 0, clock() - began, "row"))
