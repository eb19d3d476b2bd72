"""An account in memory, with a clock of its own and the durations of AWS: for tests and simulated years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from headwater.schedule.override import tagged
from headwater.schedule.parts import Kind, Part, Power, State
from schemas.errors import ConflictError

RESTART: Final = timedelta(days=7)
"""RDS starts an instance that has been stopped for so long.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_StopInstance.html
"""
WAREHOUSE, CONSUMER, REFRESHER, METRICS = "warehouse", "consumer", "refresher", "metrics"
_MINUTES: Final = {Kind.WAREHOUSE: (12, 9), Kind.HOST: (1, 2), Kind.CONSUMER: (1, 1), Kind.SCHEDULE: (0, 0)}
"""How long parts take to turn on and off. Plausible, not measured on AWS."""


@dataclass(slots=True)
class Machine:
    """A part that turns on and off in time."""

    kind: Kind
    id: str
    power: Power = Power.ON
    since: datetime | None = None
    """When it reached this power; None at the start."""
    target: Power | None = None
    due: datetime | None = None
    seconds_on: float = 0
    """Time for which AWS charges: whatever is not off."""
    tags: dict[str, str] = field(default_factory=dict)

    def turn(self, power: Power, now: datetime) -> None:
        """Begin to turn on or off. Raises ConflictError unless it is in the opposite state."""
        if self.power is not (Power.OFF if power is Power.ON else Power.ON):
            raise ConflictError(f"{self.id}: InvalidDBInstanceState")
        minutes = _MINUTES[self.kind][power is Power.OFF]
        self.power, self.since, self.target = Power.BUSY, now, power
        self.due = now + timedelta(minutes=minutes)
        self.advance(now, now)

    def advance(self, before: datetime, now: datetime) -> None:
        """Let time pass."""
        ends = self.due if self.target is Power.OFF else None
        if self.power is not Power.OFF:
            self.seconds_on += (min(now, ends or now) - before).total_seconds()
        if self.due is not None and self.due <= now and self.target is not None:
            self.power, self.since, self.target, self.due = self.target, self.due, None, None
        elapsed = self.since is not None and self.since + RESTART <= now
        if self.kind is Kind.WAREHOUSE and self.power is Power.OFF and elapsed:
            self.turn(Power.ON, now)

    def part(self) -> Part:
        """Return it as an account shows it."""
        timed = self.kind in (Kind.CONSUMER, Kind.SCHEDULE)
        return Part(self.kind, self.id, self.power, self.power.value, self.since if timed else None)


class SimulatedAccount:
    """An installation in memory (parts.Account)."""

    def __init__(self, now: datetime, hosts: tuple[str, ...] = ("workbench",)) -> None:
        """`now` is where its clock begins. All parts are on, as after a deployment."""
        self.now = now
        kinds: Mapping[str, Kind] = {
            WAREHOUSE: Kind.WAREHOUSE,
            **dict.fromkeys(hosts, Kind.HOST),
            CONSUMER: Kind.CONSUMER,
            **dict.fromkeys((REFRESHER, METRICS), Kind.SCHEDULE),
        }
        self.machines = {name: Machine(kind, name) for name, kind in kinds.items()}

    def advance(self, now: datetime) -> None:
        """Let time pass until a moment, which is not before the present one."""
        for machine in self.machines.values():
            machine.advance(self.now, now)
        self.now = now

    def state(self) -> State:
        """Return the present state."""
        tags = {str(machine.part()): machine.tags for machine in self.machines.values()}
        (warehouse,), hosts, (consumer,), schedules = map(self._parts, Kind)
        return State(warehouse, hosts, consumer, schedules, dict(tagged(tags)))

    def _parts(self, kind: Kind) -> tuple[Part, ...]:
        return tuple(machine.part() for machine in self.machines.values() if machine.kind is kind)

    def turn(self, part: Part, *, on: bool) -> None:
        """Turn a part on or off. Raises ConflictError if its state does not allow that."""
        self.machines[part.id].turn(Power.ON if on else Power.OFF, self.now)
