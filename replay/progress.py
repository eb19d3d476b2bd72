"""How far a run is, for whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` (None: not known), after `seconds` of this stage; `events` were read meanwhile,
    whatever their entity."""

    stage: str
    done: int
    total: int | None
    events: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events read per second."""
        return self.events / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """If it goes on as it went so far; None while there is nothing to go by."""
        if self.total is None or self.done == 0:
            return None
        return self.seconds / self.done * max(0, self.total - self.done)


Report: TypeAlias = Callable[[Progress], None]


def unreported(_progress: Progress) -> None:
    """For a caller who does not watch."""
