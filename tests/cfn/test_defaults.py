"""Defaults that depend on each other: windows on the schedule, thresholds on what they warn of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from template_rules.defaults import DEFAULTS

from headwater.deployment.warehouses import DAY, WEEK, length, minutes
from headwater.schedule.calendar import Calendar

# From seven until eight in the evening, as docs/schedule.md has it.
LONDON = Calendar(ZoneInfo("Europe/London"), 7 * 60, 20 * 60)
MONDAYS = [datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 7, 6, tzinfo=UTC)]
HOUR = 3600


@pytest.mark.parametrize("monday", MONDAYS, ids=["winter", "summer"])
@pytest.mark.parametrize(("name", "every"), [("BackupWindow", DAY), ("MaintenanceWindow", WEEK)])
def test_the_windows_are_within_the_working_hours(name: str, every: int, monday: datetime) -> None:
    window = minutes(DEFAULTS[name])
    assert window is not None
    start = monday + timedelta(minutes=window[0])
    end = start + timedelta(minutes=length(window, every))
    assert [*LONDON.periods(start, end)] == [(start, end)]


@pytest.mark.parametrize(
    ("threshold", "most", "why"),
    [
        ("LagSeconds", DEFAULTS["RetentionHours"] * HOUR // 10, "the retention of the stream"),
        ("DeliverySeconds", DEFAULTS["RetentionHours"] * HOUR // 10, "the retention of the stream"),
        ("LateSeconds", 24 * HOUR // 10, "DynamoDB keeps a change for 24 hours"),
        ("MostConnections", 32_767 // 10, "what SQL Server takes"),
        ("FreeGibibytes", DEFAULTS["AllocatedGiB"] // 2, "the storage at first"),
        ("CatchUpSeconds", 3 * HOUR, "a working day"),
    ],
)
def test_an_alarm_goes_off_long_before_the_damage(threshold: str, most: Any, why: str) -> None:
    assert DEFAULTS[threshold] <= most, why


def test_storage_runs_short_before_it_cannot_grow() -> None:
    """RDS enlarges the storage when a tenth of it is free: the alarm is earlier.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html
    """
    assert DEFAULTS["FreeGibibytes"] * 10 > DEFAULTS["AllocatedGiB"]
