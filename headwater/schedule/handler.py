"""The Lambda function that lets an installation sleep and wakes it, on a schedule of every five minutes.

Its environment, from schedule.yaml:

| variable | |
|---|---|
| HEADWATER_SCHEDULE_ZONE | the time zone, by its name in the IANA database |
| HEADWATER_SCHEDULE_FROM, HEADWATER_SCHEDULE_TO | hours of a working day, such as 07:00 and 20:00 |
| HEADWATER_SCHEDULE_DAYS | working days, such as Mon,Tue,Wed |
| HEADWATER_SCHEDULE_HOLIDAYS | dates, such as 2026-12-25,2026-12-28 |
| HEADWATER_SCHEDULE_WAREHOUSE | identifier of the RDS instance |
| HEADWATER_SCHEDULE_HOSTS | ARNs of EC2 instances |
| HEADWATER_SCHEDULE_MAPPING | UUID of the consumer's event source mapping |
| HEADWATER_SCHEDULE_SCHEDULES | names of the schedules of refresher and metrics |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from headwater.schedule.account import AwsAccount, Names, names_of
from headwater.schedule.calendar import Calendar
from headwater.schedule.parts import Account
from headwater.schedule.reading import NAMES, read_calendar
from headwater.schedule.reconciler import reconcile
from schemas.errors import ConfigurationError
from schemas.telemetry.invocation import invocation
from schemas.telemetry.metrics import Measurements

_CALENDAR: Final = dict(zip(NAMES, ("ZONE", "FROM", "TO", "DAYS", "HOLIDAYS"), strict=True))
_PARTS: Final = ("WAREHOUSE", "HOSTS", "MAPPING", "SCHEDULES")
VARIABLES: Final = tuple(f"HEADWATER_SCHEDULE_{name}" for name in (*_CALENDAR.values(), *_PARTS))


def handler(_event: object, context: object) -> dict[str, Any]:
    """Take one round. Fails, so that an alarm fires, for what a person has to correct."""
    with invocation("scheduler", context) as measured:
        account, calendar = _built()
        return run(account, calendar, datetime.now(UTC), measured)


def run(account: Account, calendar: Calendar, now: datetime, measured: Measurements) -> dict[str, Any]:
    """Take one round and measure it. Raises ConfigurationError with all problems, after all steps."""
    found = reconcile(account, calendar, now)
    measured.add("Awake", int(found.awake))
    measured.add("Pending", found.pending)
    if found.problems:
        raise ConfigurationError("; ".join(found.problems))
    return {"awake": found.awake, "pending": found.pending}


@cache
def _built() -> tuple[Account, Calendar]:
    return AwsAccount(names_from(os.environ)), calendar_from(os.environ)


def calendar_from(environ: Mapping[str, str]) -> Calendar:
    """Return the calendar of an environment. Raises ConfigurationError."""
    variables = {name: f"HEADWATER_SCHEDULE_{part}" for name, part in _CALENDAR.items()}
    texts = {name: environ.get(variable, "") for name, variable in variables.items()}
    calendar, problems = read_calendar(texts, variables)
    if calendar is None:
        raise ConfigurationError("; ".join(problems))
    return calendar


def names_from(environ: Mapping[str, str]) -> Names:
    """Return the parts of an environment. Raises ConfigurationError."""
    return names_of(*(environ.get(f"HEADWATER_SCHEDULE_{part}", "") for part in _PARTS))
