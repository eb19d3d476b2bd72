"""The rows of the peers' case, as dicts. Standard library alone: the peers' own environments run it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

ROWS = 100_000
THERE = ROWS // 2
"""Rows that are in the table before the clock runs: the first half of ROWS, in an earlier version."""


def rows(count: int, version: int) -> Iterator[dict[str, Any]]:
    """`version` 1 fills the table, `version` 2 is the upsert."""
    day, moment = date(2024, 1, 1), datetime(2024, 5, 1, tzinfo=UTC)
    for n in range(count):
        yield {
            "subscription_id": f"subscription-{n:08}",
            "urn": 100_000 + n,
            "plan": ("trial", "basic", "premium")[(n + version) % 3],
            "price": Decimal(n * 100 + version) / 100,
            "seats": n % 500,
            "active": n % 3 == 0,
            "starts_on": day + timedelta(days=n % 700),
            "updated_at": moment + timedelta(milliseconds=n, seconds=version),
        }
