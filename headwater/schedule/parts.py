"""What sleeps, and the port to it. Pure.

Producers, the stream and Firehose never sleep: DynamoDB keeps changes for 24 hours only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class Kind(Enum):
    """A kind of part."""

    WAREHOUSE = "warehouse"
    HOST = "host"
    CONSUMER = "consumer"
    SCHEDULE = "schedule"


class Power(Enum):
    """Whether a part is on. A part that turns on or off, or is busy otherwise, takes no step."""

    ON = "on"
    OFF = "off"
    BUSY = "busy"
    BROKEN = "broken"
    """Only a person can change that."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part as AWS shows it."""

    kind: Kind
    id: str
    power: Power
    status: str
    """The status in the words of AWS."""
    changed: datetime | None = None
    """When it was turned on or off, for what calls a function."""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.id}"


@dataclass(frozen=True, slots=True)
class State:
    """All parts, and the tags that keep them on."""

    warehouse: Part
    hosts: tuple[Part, ...]
    consumer: Part
    schedules: tuple[Part, ...]
    """Of functions that need the warehouse: refresher and metrics."""
    keep_on: Mapping[str, str]
    """The value of the tag by resource, for those that have it."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """All of them."""
        return (self.warehouse, *self.hosts, self.consumer, *self.schedules)


class Account(Protocol):
    """The parts in an AWS account. Methods raise the errors of schemas/errors.py."""

    def state(self) -> State:
        """Return the present state."""

    def turn(self, part: Part, *, on: bool) -> None:
        """Turn a part on or off. Returns before it has happened.

        Raises ConflictError if its state has changed since it was read, so that the step is not possible.
        """
