"""What a flow uses in a month, by the keys of the price file, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from headwater.capacity.flow import YEAR_SECONDS, Flow
from headwater.prices import UNITS, Prices

MONTH_HOURS = 730
MONTH_SECONDS = MONTH_HOURS * 3_600
GB = 1e9
_FREE_HOURS = 24
_PUT_BYTES = 25_000
_FIREHOSE_BYTES = 5_000
_LEAST_DATABASE_BYTES = 20 * 1024**3


class Item(NamedTuple):
    """A key of the price file: how much of it a month has, and what that costs."""

    key: str
    unit: str
    quantity: float
    cost: float


def items(flow: Flow, prices: Prices, hours_off: float = 0.0) -> list[Item]:
    """Return an item for each price of the file. `hours_off` is the share of hours in which hosts are off."""
    used = usage(flow, hours_off)
    return [Item(key, UNITS[key], used[key], used[key] * price) for key, price in prices.values.items()]


def usage(flow: Flow, hours_off: float = 0.0) -> Mapping[str, float]:
    """Return the quantity of a month for every key of `UNITS`.

    Storage is what a year of such a load has filled, so that the month is the first of the second year.
    """
    stream = flow.events * flow.event_bytes * MONTH_SECONDS / GB
    kept = max(0.0, flow.given.retention_hours - _FREE_HOURS)
    return {
        "shard-hour": flow.shards * MONTH_HOURS,
        "shard-retention-hour": flow.shards * MONTH_HOURS * (kept > 0),
        "put-million": _units(flow.event_bytes * flow.record_events, _PUT_BYTES)
        * (flow.events / flow.record_events)
        * MONTH_SECONDS
        / 1e6,
        "stream-hour": MONTH_HOURS,
        "stream-gb-in": stream,
        "stream-gb-out": stream * flow.given.readers,
        "stream-gb-month": stream * kept / MONTH_HOURS,
        # Whether an aggregate counts as one record or as its events is not on AWS's page: the dearer reading.
        "firehose-gb": flow.events
        * _units(flow.size, _FIREHOSE_BYTES)
        * _FIREHOSE_BYTES
        * MONTH_SECONDS
        / GB,
        "s3-put-thousand": flow.log_objects * MONTH_SECONDS / 1e3,
        "s3-gb-month": flow.log_bytes * YEAR_SECONDS / GB,
        "lambda-million": (flow.batches + _calls(flow)) * MONTH_SECONDS / 1e6,
        "lambda-gb-second": _gb_seconds(flow) * MONTH_SECONDS,
        "warehouse-hour": MONTH_HOURS * (1 - hours_off),
        "warehouse-gb-month": max(_LEAST_DATABASE_BYTES, flow.database_bytes) / GB,
        "workbench-hour": MONTH_HOURS * (1 - hours_off),
    }


def _units(size: float, unit: int) -> float:
    return max(1, math.ceil(size / unit))


def _calls(flow: Flow) -> float:
    """Calls of producers a second."""
    return flow.events / min(flow.call_events, flow.given.source_batch)


def _gb_seconds(flow: Flow) -> float:
    """Seconds of functions in a second, by GB of memory: consumers and producers of table streams."""
    producing = flow.events * flow.given.producer_event_seconds * flow.given.producer_memory
    return flow.consumer_seconds * flow.given.consumer_memory + producing
