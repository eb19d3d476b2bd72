"""What a run of replay will do: a list of stages, frozen before any of them begins.

`explain` puts the list in words and `replay.run` carries it out: a dry run is the first without the second.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from replay.fold import EventFilter
from replay.log.proof import LogPlace


@dataclass(frozen=True, slots=True)
class NewRevision:
    """Make an empty revision to write into, and follow the stream from `reach` before that. `why` a revision
    that was broken off is not gone on with, where there is one."""

    reach: timedelta
    why: str = ""

    def __str__(self) -> str:
        return "make an empty revision" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class OldRevision:
    """Write into a revision that is there, and follow the stream from its checkpoints. A shard without one is
    read from `since`, or from its oldest record."""

    number: int
    since: datetime | None

    def __str__(self) -> str:
        return f"take up revision {self.number}"


@dataclass(frozen=True, slots=True)
class Load:
    """Fold the log from the object after this key on: so many objects and bytes, at the time of planning.
    `place` is where the run that was broken off had come to."""

    after: str
    objects: int
    size: int
    place: LogPlace = field(default_factory=LogPlace)

    def __str__(self) -> str:
        where = f" after {self.after}" if self.after else ""
        return f"fold into it what the log holds{where}: {self.objects:,} objects, {self.size:,} bytes"


@dataclass(frozen=True, slots=True)
class Follow:
    """Read the stream to its tip."""

    def __str__(self) -> str:
        return "read the stream to its tip: what is not in the log yet"


@dataclass(frozen=True, slots=True)
class Compare:
    """Find the rows that differ from the live revision's."""

    def __str__(self) -> str:
        return "compare each row with the live revision's"


@dataclass(frozen=True, slots=True)
class HandOver:
    """Under the entity's lock come level with the live consumers, look again at what differed, and swap."""

    accept_differences: bool

    def __str__(self) -> str:
        condition = "whatever rows differ" if self.accept_differences else "unless rows still differ"
        return f"stop the live consumers for a moment, read as far as they did, and swap {condition}"


@dataclass(frozen=True, slots=True)
class Publish:
    """Show the revision in a view of its own, which may go when it `expires`."""

    name: str
    expires: datetime | None = None

    def __str__(self) -> str:
        until = f", until {self.expires.isoformat(timespec='seconds')}" if self.expires else ""
        return f"show it as of {self.name}{until}"


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Drop revisions that nobody goes on with, or back to."""

    revisions: tuple[int, ...]

    def __str__(self) -> str:
        return f"drop revisions that are not needed: {', '.join(map(str, self.revisions)) or 'none'}"


Target: TypeAlias = NewRevision | OldRevision
Stage: TypeAlias = Load | Follow | Compare | HandOver | Publish | CleanUp


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages that fill `target`, beside the live revision, with the wanted events."""

    purpose: str
    wanted: EventFilter
    live: int
    target: Target
    stages: tuple[Stage, ...]


def explain(plan: Plan) -> list[str]:
    """The plan in words: what it is for, then a line for each stage."""
    title = f"{plan.purpose} of {plan.wanted.entity.name}, of which revision {plan.live} is live"
    return [title, *(f"{number}. {stage}" for number, stage in enumerate((plan.target, *plan.stages), 1))]
