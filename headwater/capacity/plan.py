"""The smallest stream that carries a rate, and the rate at which each limit is met."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from headwater.capacity.assumptions import Assumptions
from headwater.capacity.flow import Flow, through
from headwater.capacity.limits import LIMITS, OF_SHARDS, Limit

LEAST_EVENTS, MOST_EVENTS = 1e-6, 1e9
"""Events a second between which limits are looked for."""
_MOST_SHARDS = 20_000
_STEPS = 30


@dataclass(frozen=True, slots=True)
class Met:
    """A limit, the events a second at which it is met, and what this load uses of it.

    `at` is None if it is not met below `MOST_EVENTS`. `used` is the share of the whole limit.
    """

    limit: Limit
    at: float | None
    used: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs.

    `flow` has the fewest shards that carry the load, be they more than the stream may have. If no number up
    to 20,000 does, because the events are in too few buckets, `carried` is False and `flow` has as many
    shards as the stream may have.
    """

    flow: Flow
    carried: bool
    limits: tuple[Met, ...]
    """All limits, the one that is met first before the others."""

    @property
    def first(self) -> Met:
        """The limit that a growing load meets first."""
        return self.limits[0]


def plan(events: float, size: int, given: Assumptions) -> Plan:
    """Return what `events` a second of `size` bytes need."""
    flow, carried = smallest(events, size, given)
    met = [Met(limit, at, limit.used(flow)) for limit, at in _met(size, given)]
    return Plan(flow, carried, tuple(met))


def smallest(events: float, size: int, given: Assumptions) -> tuple[Flow, bool]:
    """Return the flow through the fewest shards that carry it, and True; else through the most permitted."""
    for shards in _numbers(_MOST_SHARDS):
        flow = through(events, size, shards, given)
        if all(limit.planned(flow) <= 1 for limit in OF_SHARDS):
            return flow, True
    return through(events, size, int(given.shards), given), False


@cache
def _met(size: int, given: Assumptions) -> list[tuple[Limit, float | None]]:
    """Return the limits with the events a second at which each is met, in ascending order."""
    met = [(limit, _met_at(limit, size, given)) for limit in LIMITS]
    # Equal rates keep the order of LIMITS.
    return sorted(met, key=lambda pair: MOST_EVENTS if pair[1] is None else pair[1])


def _met_at(limit: Limit, size: int, given: Assumptions) -> float | None:
    """Return the most events a second within the limit, or None if they are more than are looked for.

    Every load grows with the rate: the bounds are halved on a logarithmic scale.
    """
    if _kept(limit, MOST_EVENTS, size, given):
        return None
    low, high = LEAST_EVENTS, MOST_EVENTS
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _kept(limit, middle, size, given) else (low, middle)
    return low


def _kept(limit: Limit, events: float, size: int, given: Assumptions) -> bool:
    """Return whether some permitted number of shards keeps within the limit."""
    if limit in OF_SHARDS:
        flows = (through(events, size, shards, given) for shards in _numbers(int(given.shards)))
        return any(limit.planned(flow) <= 1 for flow in flows)
    shards = min(smallest(events, size, given)[0].shards, int(given.shards))
    return limit.planned(through(events, size, shards, given)) <= 1


@cache
def _numbers(most: int) -> tuple[int, ...]:
    """Return the numbers of shards that are considered: all small ones, then steps of five percent."""
    found = [1]
    while found[-1] < most:
        found.append(min(most, max(found[-1] + 1, int(found[-1] * 1.05))))
    return tuple(found)
