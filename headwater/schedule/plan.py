"""The next steps from the present state to the one that the calendar demands. Pure.

A decision depends on nothing but the state that was just read, so that a crash after any step, a lost answer,
a person's intervention, and RDS, which starts a stopped instance after seven days, need no special treatment:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_StopInstance.html
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from headwater.schedule.parts import Part, Power, State

QUIET: Final = timedelta(minutes=15)
"""How long a function may go on after its last call: the longest time limit of Lambda.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""


class Step(NamedTuple):
    """Turn a part on or off."""

    part: Part
    on: bool


def steps(state: State, now: datetime, *, awake: bool) -> list[Step]:
    """Return the steps that are possible now; empty if none is, or none is needed."""
    return _wake(state) if awake else _sleep(state, now)


def pending(state: State, *, awake: bool) -> list[Part]:
    """Return the parts that are not as they should be."""
    wanted = Power.ON if awake else Power.OFF
    return [part for part in state.parts if part.power is not wanted]


def broken(state: State) -> list[str]:
    """Return what a person has to correct."""
    return [
        f"{part}: its status is {part.status}; correct it, the schedule goes on by itself then"
        for part in state.parts
        if part.power is Power.BROKEN
    ]


def _wake(state: State) -> list[Step]:
    """Hosts and warehouse, then the consumer, then what reads the tables that it writes."""
    first = _turned((state.warehouse, *state.hosts), on=True)
    if state.warehouse.power is not Power.ON:
        return first
    if state.consumer.power is not Power.ON:
        return first + _turned([state.consumer], on=True)
    return first + _turned(state.schedules, on=True)


def _sleep(state: State, now: datetime) -> list[Step]:
    """The same in reverse: nothing that uses the warehouse is running any more when it stops."""
    first = _turned((*state.schedules, *state.hosts), on=False)
    if any(part.power is not Power.OFF for part in state.schedules):
        return first
    callers = (state.consumer, *state.schedules)
    if state.consumer.power is not Power.OFF:
        return first + _turned([state.consumer], on=False)
    if any(part.power in (Power.ON, Power.BUSY) for part in state.hosts) or not _quiet(callers, now):
        return first
    return first + _turned([state.warehouse], on=False)


def _turned(parts: Iterable[Part], *, on: bool) -> list[Step]:
    start = Power.OFF if on else Power.ON
    return [Step(part, on) for part in parts if part.power is start]


def _quiet(callers: Iterable[Part], now: datetime) -> bool:
    return all(part.changed is None or part.changed + QUIET <= now for part in callers)
