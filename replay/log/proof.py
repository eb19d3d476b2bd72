"""How far a revision has the log, with proof of what that log was. Pure.

A half-made revision may be gone on with only if every object that it has anything of is still there with the
content that it had then: else it holds events that the log has not, or lacks some that the log has.
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
class LogPlace:
    """Of the log's objects in order of key, `begun` are opened, and the first `done` of them wholly applied.

    `events` is how many those have. `digest` stands for key and ETag of each that is begun. As text a later
    place is greater than an earlier one, and fits a checkpoint.
    """

    begun: int = 0
    done: int = 0
    events: int = 0
    digest: str = "0" * 64

    def begin(self, item: LogObject) -> None:
        """The next object is opened."""
        said = json.dumps([self.digest, item.key, item.etag])
        self.begun, self.digest = self.begun + 1, sha256(said.encode()).hexdigest()

    def finish(self, events: int) -> None:
        """All that is begun is wholly applied, so many events in all."""
        self.done, self.events = self.begun, events

    def __str__(self) -> str:
        return f"{self.begun:012} {self.done:012} {self.events:018} {self.digest}"


class Proved(NamedTuple):
    """Where to go on: after this key, at this place."""

    after: str
    place: LogPlace


def place_of(text: str) -> LogPlace | None:
    """The place that a checkpoint says; None for one of another form."""
    found = _FORM.fullmatch(text)
    return LogPlace(int(found[1]), int(found[2]), int(found[3]), found[4]) if found else None


def proved(saved: LogPlace, objects: Iterable[LogObject]) -> Proved | None:
    """Where to go on if the log still begins with the objects that were begun; None if it does not."""
    found, after, place = LogPlace(), "", LogPlace()
    for item in objects:
        if found.begun == saved.begun:
            break
        found.begin(item)
        if found.begun == saved.done:
            after, place = item.key, LogPlace(saved.done, saved.done, saved.events, found.digest)
    return Proved(after, place) if (found.begun, found.digest) == (saved.begun, saved.digest) else None
