"""A file of prices, which the user gives: the project knows none. Pure except for reading the file.

    currency = "GBP"
    [prices]
    warehouse-hour = 1.00
    s3-gb-month = 0.02

A GB is 10^9 bytes. Which of the keys a deployment pays for depends on its choices: an on-demand stream has no
shard-hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.catalog.files import naming, read_toml
from schemas.refusals import missing, only_known, refused

MOST = 10**9
"""A price above it is a slip of the keyboard, and would not be computed exactly."""

UNITS: Mapping[str, str] = {
    "shard-hour": "hour of a shard of a provisioned stream",
    "shard-retention-hour": "hour of a shard whose retention is above 24 hours",
    "put-million": "million payload units of 25 KB that are put into a provisioned stream",
    "stream-hour": "hour of an on-demand stream",
    "stream-gb-in": "GB put into an on-demand stream",
    "stream-gb-out": "GB read from an on-demand stream",
    "stream-gb-month": "GB that an on-demand stream keeps beyond 24 hours, for a month",
    "firehose-gb": "GB taken in by Firehose, each event rounded up to 5 KB",
    "s3-put-thousand": "thousand PUT requests to S3",
    "s3-gb-month": "GB in S3 for a month",
    "lambda-million": "million invocations of functions",
    "lambda-gb-second": "second of a function, by GB of its memory",
    "warehouse-hour": "hour of the warehouse's instance, with its licence",
    "warehouse-gb-month": "GB of the warehouse's storage for a month",
    "workbench-hour": "hour of the report developer's host",
}
"""What each price is for."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by key of `UNITS`; the file need not have all of them."""

    currency: str
    values: Mapping[str, float]


def read_prices(file: Path) -> Prices:
    """Return the prices of a TOML file. Raises ConfigurationError, which names the file."""
    with naming(file):
        return _prices(read_toml(file))


def _prices(found: Mapping[str, object]) -> Prices:
    only_known("price file", found, ("currency", "prices"))
    currency, values = found.get("currency"), found.get("prices")
    if not isinstance(currency, str) or not currency.strip() or not currency.isprintable():
        raise missing("price file", "currency", "a text, such as GBP")
    if not isinstance(values, dict) or not values:
        raise missing("price file", "prices", f"a table with some of {', '.join(UNITS)}")
    only_known("price file: prices", values, UNITS)
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST:
            raise refused(f"price file: {key}", value, f"a price of 0 to {MOST:,} for one {UNITS[key]}")
    return Prices(currency.strip(), {key: float(value) for key, value in values.items()})
