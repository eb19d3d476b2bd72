"""The money that a schedule saves, by the user's prices. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from headwater.prices import Prices
from headwater.schedule.figures import YearFigures
from schemas.refusals import missing

OFF: Final = ("warehouse-hour", "workbench-hour")
"""Prices of what is off out of hours. Storage costs the same at night."""
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one resource costs in a year, in the currency of its price."""

    price: str
    hourly: Decimal
    always: Decimal
    """Without a schedule."""
    scheduled: Decimal
    saved: Decimal


def costs(prices: Prices, year: YearFigures) -> list[Cost]:
    """Return the cost of each resource in a year. Raises ConfigurationError if no price is of one."""
    found = list(_costs(prices, year))
    if not found:
        raise missing("price file: prices", " or ".join(OFF), "the price of an hour")
    return found


def _costs(prices: Prices, year: YearFigures) -> Iterator[Cost]:
    hours, awake = Decimal(str(year.hours)), Decimal(str(year.awake))
    for name in OFF:
        if name in prices.values:
            price = Decimal(str(prices.values[name]))
            always, scheduled = ((price * number).quantize(_CENT) for number in (hours, awake))
            yield Cost(name, price, always, scheduled, always - scheduled)
