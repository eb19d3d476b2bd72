"""The function that lets an installation sleep: its environment, its metrics, and when it fails."""

from __future__ import annotations

import json

import pytest
from schedule_world import at, london

from headwater.schedule.account import Names
from headwater.schedule.handler import VARIABLES, calendar_from, names_from, run
from headwater.schedule.override import TAG
from headwater.schedule.parts import Power
from headwater.schedule.simulated import WAREHOUSE, SimulatedAccount
from schemas.errors import ConfigurationError
from schemas.telemetry.metrics import Measurements

ENVIRONMENT = {
    "HEADWATER_SCHEDULE_ZONE": "Europe/London",
    "HEADWATER_SCHEDULE_FROM": "07:00",
    "HEADWATER_SCHEDULE_TO": "20:00",
    "HEADWATER_SCHEDULE_DAYS": "Mon,Tue,Wed,Thu,Fri",
    "HEADWATER_SCHEDULE_HOLIDAYS": "",
    "HEADWATER_SCHEDULE_WAREHOUSE": "headwater-prod-warehouse",
    "HEADWATER_SCHEDULE_HOSTS": "arn:aws:ec2:eu-west-2:111122223333:instance/i-0123456789abcdef0",
    "HEADWATER_SCHEDULE_MAPPING": "11111111-2222-3333-4444-555555555555",
    "HEADWATER_SCHEDULE_SCHEDULES": "headwater-prod-refresher,headwater-prod-metrics",
}
EVENING = "2026-06-01T21:00+01:00"


def metrics(measured: Measurements) -> dict[str, float]:
    (line,) = measured.lines(0, None, "headwater-prod-scheduler")
    values = json.loads(line)
    assert values["Function"] == "headwater-prod-scheduler"
    return {name: values[name] for name in ("Awake", "Pending")}


def test_the_environment_is_read() -> None:
    assert {*ENVIRONMENT} == {*VARIABLES}
    calendar = calendar_from(ENVIRONMENT)
    assert (calendar.zone.key, calendar.start, calendar.end) == ("Europe/London", 420, 1200)
    assert calendar.days == {0, 1, 2, 3, 4}
    assert names_from(ENVIRONMENT) == Names(
        "headwater-prod-warehouse",
        ("i-0123456789abcdef0",),
        "11111111-2222-3333-4444-555555555555",
        ("headwater-prod-refresher", "headwater-prod-metrics"),
    )
    assert names_from(ENVIRONMENT | {"HEADWATER_SCHEDULE_HOSTS": ""}).hosts == ()


@pytest.mark.parametrize("name", ["ZONE", "FROM", "TO", "DAYS"])
def test_an_environment_without_a_calendar_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"HEADWATER_SCHEDULE_{name}"):
        calendar_from(ENVIRONMENT | {f"HEADWATER_SCHEDULE_{name}": ""})


@pytest.mark.parametrize("name", ["WAREHOUSE", "MAPPING"])
def test_an_environment_without_parts_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not named"):
        names_from(ENVIRONMENT | {f"HEADWATER_SCHEDULE_{name}": ""})


def test_awake_and_pending_are_measured() -> None:
    account, measured = SimulatedAccount(at(EVENING)), Measurements("scheduler")
    assert run(account, london(), account.now, measured) == {"awake": False, "pending": 5}
    assert metrics(measured) == {"Awake": 0, "Pending": 5}
    account, measured = SimulatedAccount(at("2026-06-01T12:00+01:00")), Measurements("scheduler")
    run(account, london(), account.now, measured)
    assert metrics(measured) == {"Awake": 1, "Pending": 0}


def test_a_problem_fails_the_call_after_all_steps_and_measures() -> None:
    account, measured = SimulatedAccount(at(EVENING)), Measurements("scheduler")
    account.machines[WAREHOUSE].tags[TAG] = "whenever"
    with pytest.raises(ConfigurationError, match=f"warehouse warehouse: the tag {TAG} is not a moment"):
        run(account, london(), account.now, measured)
    assert metrics(measured) == {"Awake": 1, "Pending": 0}
    account.machines[WAREHOUSE].tags.clear()
    account.machines["workbench"].power = Power.BROKEN
    with pytest.raises(ConfigurationError, match="host workbench: its status is broken"):
        run(account, london(), account.now, Measurements("scheduler"))
    assert account.machines["refresher"].power is Power.OFF
