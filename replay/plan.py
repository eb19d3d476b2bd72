"""The plan of a run of replay: a list of stages, fixed before the first of them begins.

`explain` describes the list and `replay.run` executes it; a dry run only describes it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from replay.fold import EventFilter
from replay.log.proof import LogCheckpoint


@dataclass(frozen=True, slots=True)
class NewRevision:
    """Create an empty revision, and read the stream from `reach` before its creation.

    `why` is the reason why an interrupted revision is not resumed, where there is one.
    """

    reach: timedelta
    why: str = ""

    def __str__(self) -> str:
        return "create an empty revision" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class OldRevision:
    """Write into an existing revision, and read the stream from its checkpoints.

    A shard without a checkpoint is read from `since`; None means from its oldest record.
    """

    number: int
    since: datetime | None

    def __str__(self) -> str:
        return f"resume revision {self.number}"


@dataclass(frozen=True, slots=True)
class Load:
    """Fold the log from the object after the key `after` on.

    `objects` and `size`, in bytes, are what was left at the time of planning. `checkpoint` is how far the
    interrupted run had got.
    """

    after: str
    objects: int
    size: int
    checkpoint: LogCheckpoint = field(default_factory=LogCheckpoint)

    def __str__(self) -> str:
        where = f" after {self.after}" if self.after else ""
        return f"fold the log into it{where}: {self.objects:,} objects, {self.size:,} bytes"


@dataclass(frozen=True, slots=True)
class Follow:
    """Read the stream to its tip."""

    def __str__(self) -> str:
        return "read the stream to its tip, for events that are not in the log yet"


@dataclass(frozen=True, slots=True)
class Compare:
    """Find the rows that differ from the live revision's."""

    def __str__(self) -> str:
        return "compare each row with the live revision's"


@dataclass(frozen=True, slots=True)
class HandOver:
    """Read as far as the live consumers under the entity's lock, check differing rows again, and swap."""

    accept_differences: bool

    def __str__(self) -> str:
        condition = "whatever rows differ" if self.accept_differences else "unless rows still differ"
        return f"stop the live consumers for a moment, read as far as they did, and swap {condition}"


@dataclass(frozen=True, slots=True)
class Publish:
    """Show the revision in a view of its own, which may be dropped once it `expires`."""

    name: str
    expires: datetime | None = None

    def __str__(self) -> str:
        until = f", until {self.expires.isoformat(timespec='seconds')}" if self.expires else ""
        return f"show it as of {self.name}{until}"


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Drop revisions that no run will resume and no rollback will return to."""

    revisions: tuple[int, ...]

    def __str__(self) -> str:
        return f"drop revisions that are not needed: {', '.join(map(str, self.revisions)) or 'none'}"


Target: TypeAlias = NewRevision | OldRevision
Stage: TypeAlias = Load | Follow | Compare | HandOver | Publish | CleanUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Stages that fill `target` with the wanted events while the revision `live` serves readers."""

    purpose: str
    wanted: EventFilter
    live: int
    target: Target
    stages: tuple[Stage, ...]


def explain(plan: Plan) -> list[str]:
    """Describe the plan: a title, then a numbered line for the target and each stage."""
    title = f"{plan.purpose} of {plan.wanted.entity.name}, of which revision {plan.live} is live"
    return [title, *(f"{number}. {stage}" for number, stage in enumerate((plan.target, *plan.stages), 1))]
