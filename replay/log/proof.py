"""Checkpoints of the log, with a proof that the log is unchanged up to there. Pure.

An interrupted revision may be resumed only if every object that it has read from still exists with the same
content. Otherwise it could hold events that the log lacks, or lack events that the log holds.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from replay.log.reader import LogObject

_FORM = re.compile(r"(\d{12}) (\d{12}) (\d{18}) ([0-9a-f]{64})")


@dataclass(slots=True)
class LogCheckpoint:
    """The progress of reading the log, whose objects are read in the order of their keys.

    - `begun`: how many objects were opened.
    - `done`: how many of them, from the first on, are wholly applied.
    - `events`: how many events those objects hold.
    - `digest`: a hash chain over key and ETag of every object that was opened.

    The text of a later checkpoint is greater than that of an earlier one, and fits the
    column of a sequence number.
    """

    begun: int = 0
    done: int = 0
    events: int = 0
    digest: str = "0" * 64

    def begin(self, item: LogObject) -> None:
        """Record that the next object is opened."""
        # Chained, so that one hash of fixed size covers all objects: a list would not fit a checkpoint.
        link = json.dumps([self.digest, item.key, item.etag])
        self.begun, self.digest = self.begun + 1, sha256(link.encode()).hexdigest()

    def finish(self, events: int) -> None:
        """Record that every opened object is wholly applied; `events` counts all of them."""
        self.done, self.events = self.begun, events

    def __str__(self) -> str:
        # Zero-padded, because the warehouse compares checkpoints as text and never moves one backwards.
        return f"{self.begun:012} {self.done:012} {self.events:018} {self.digest}"


class ResumePoint(NamedTuple):
    """The point to resume at: the object after the key `after`; `checkpoint` is the progress up to there."""

    after: str
    checkpoint: LogCheckpoint


def parse_log_checkpoint(text: str) -> LogCheckpoint | None:
    """Parse the text of a checkpoint; None for text of another form."""
    match = _FORM.fullmatch(text)
    return LogCheckpoint(int(match[1]), int(match[2]), int(match[3]), match[4]) if match else None


def resume_point(saved: LogCheckpoint, objects: Iterable[LogObject]) -> ResumePoint | None:
    """Return where to resume; None if the log no longer begins with the objects that were opened."""
    # The chain is computed again over the present listing. Objects that were opened but not wholly applied
    # are checked too, since chunks of them were, but are read again from their beginning.
    current, after, checkpoint = LogCheckpoint(), "", LogCheckpoint()
    for item in objects:
        if current.begun == saved.begun:
            break
        current.begin(item)
        if current.begun == saved.done:
            after = item.key
            checkpoint = LogCheckpoint(saved.done, saved.done, saved.events, current.digest)
    unchanged = (current.begun, current.digest) == (saved.begun, saved.digest)
    return ResumePoint(after, checkpoint) if unchanged else None
