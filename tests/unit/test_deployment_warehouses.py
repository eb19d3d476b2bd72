"""What AWS would refuse of a warehouse or of the firm's addresses is found before the first call."""

from __future__ import annotations

import json
import re
import tomllib
from copy import deepcopy
from importlib.resources import files
from typing import Any

import pytest
from deployments import COMPLETE, example, planned

from headwater.deployment.stacks import Stack
from headwater.deployment.warehouses import FAMILIES, sizes


def found(*tables: str, **warehouse: Any) -> list[str]:
    """Return what is wrong with a warehouse of these parameters, in a file with these tables as well."""
    values = deepcopy(COMPLETE)
    values["reporting"] |= {"warehouse": warehouse, **{name: {} for name in tables}}
    return [text for text in planned(values)[2] if "warehouse" in text or "workbench" in text]


def the_warehouse(*tables: str) -> Stack:
    values = deepcopy(COMPLETE)
    values["reporting"] |= {"warehouse": {}, **{name: {} for name in tables}}
    (stack,) = (stack for stack in planned(values)[1] if stack.template.name == "warehouse")
    return stack


def test_the_defaults_are_right() -> None:
    assert found("network") == []
    assert found("network", "schedule") == []


def test_the_tables_of_the_example_are_right() -> None:
    text = example()
    _, _, rest = text.partition("# [reporting.warehouse]")
    tables, _, _ = rest.partition("\n\n# Sleep out of hours")
    lines = re.sub("^# ?", "", f"# [reporting.warehouse]{tables}", flags=re.M)
    values = deepcopy(COMPLETE)
    values["reporting"] |= {"network": {}, **tomllib.loads(lines)["reporting"]}
    assert [text for text in planned(values)[2] if "warehouse" in text or "workbench" in text] == []
    assert {"warehouse", "workbench"} <= values["reporting"].keys()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"Edition": "sqlserver-ex"}, "warehouse, Edition: found"),
        ({"Edition": "sqlserver-web"}, "warehouse, Edition: found"),
        ({"Version": "14.0"}, "warehouse, Version: found"),
        ({"InstanceClass": "db.t3.small"}, "warehouse, InstanceClass: found"),
        ({"InstanceClass": "db.m6g.large"}, "warehouse, InstanceClass: found"),
        (
            {"InstanceClass": "db.t3.large"},
            "found db.t3.large with sqlserver-se; allowed: xlarge, 2xlarge of db.t3",
        ),
        (
            {"InstanceClass": "db.r6i.large", "Edition": "sqlserver-ee"},
            "found db.r6i.large with sqlserver-ee; allowed: xlarge, 2xlarge",
        ),
        ({"InstanceClass": "db.m6i.16xlarge"}, "found db.m6i.16xlarge with sqlserver-se; allowed: large, "),
        ({"InstanceClass": "db.x2iedn.large"}, "found db.x2iedn.large with sqlserver-se; allowed: xlarge, "),
        ({"InstanceClass": "db.r5.99xlarge"}, "found db.r5.99xlarge with sqlserver-se"),
        ({"InstanceClass": "db.m6id.xlarge"}, "warehouse, InstanceClass: found"),
        ({"AllocatedGiB": 10}, "warehouse, AllocatedGiB: found"),
        ({"AllocatedGiB": 950}, "MaxAllocatedGiB: found 1000 with AllocatedGiB = 950"),
        ({"AllocatedGiB": "many"}, "warehouse, AllocatedGiB: found"),
        ({"AllocatedGiB": "100.5"}, "warehouse, AllocatedGiB: found"),
        ({"BackupDays": 0}, "warehouse, BackupDays: found"),
        ({"BackupWindow": "17:00-17:15"}, "BackupWindow: found less than half an hour"),
        ({"BackupWindow": "23:50-00:10"}, "BackupWindow: found less than half an hour"),
        ({"MaintenanceWindow": "wed:18:00-wed:18:00"}, "MaintenanceWindow: found less than half an hour"),
        ({"BackupWindow": "18:15-18:45"}, "MaintenanceWindow: found a time within BackupWindow"),
        ({"MaintenanceWindow": "sun:23:00-mon:17:30"}, "MaintenanceWindow: found a time within BackupWindow"),
        ({"BackupWindow": "in the evening"}, "warehouse, BackupWindow: found"),
    ],
)
def test_what_rds_refuses(parameters: dict[str, Any], expected: str) -> None:
    problems = found("network", **parameters)
    assert len(problems) == 1, problems
    assert expected in problems[0]


@pytest.mark.parametrize(
    "parameters",
    [
        {"InstanceClass": "db.r6i.large"},
        {"InstanceClass": "db.t3.2xlarge", "Edition": "sqlserver-ee"},
        {"InstanceClass": "db.m6i.16xlarge", "Edition": "sqlserver-ee"},
        {"AllocatedGiB": 900, "MaxAllocatedGiB": 990},
        {"BackupWindow": "23:45-00:15", "MaintenanceWindow": "sun:00:15-sun:23:45"},
        {"MultiAz": True},
    ],
)
def test_what_rds_takes(parameters: dict[str, Any]) -> None:
    assert found("network", **parameters) == []


ONLY_IN_SOME_REGIONS = {
    "sqlserver-se": {"db.t3.large"},
    "sqlserver-ee": {"db.r5b.large", "db.r6i.large"},
}
"""Classes with a price of which the page of classes says nothing; RDS decides, and nobody needs them."""


@pytest.mark.parametrize("edition", sorted(ONLY_IN_SOME_REGIONS))
def test_classes_are_those_that_have_a_price(edition: str) -> None:
    # From AWS's list of prices, as cfn-lint has it.
    file = files("cfnlint") / "data/schemas/extensions/aws_rds_dbinstance/dbinstanceclass_enum.json"
    form = {"const": edition}
    priced = {
        name
        for region in json.loads(file.read_text()).values()
        for rule in region["allOf"]
        if rule["if"]["properties"]["Engine"] == form
        for name in rule["then"]["properties"]["DBInstanceClass"]["enum"]
        if name.split(".")[1] in FAMILIES
    }
    offered = {f"db.{family}.{size}" for family in FAMILIES for size in sizes(family, edition)}
    assert offered == priced - ONLY_IN_SOME_REGIONS[edition]


def test_several_zones_and_a_schedule_exclude_each_other() -> None:
    (problem,) = found("network", "schedule", MultiAz=True)
    assert "reporting, warehouse, MultiAz: found true with [reporting.schedule]" in problem
    assert "allowed: false, or no schedule" in problem


@pytest.mark.parametrize("tables", [("network",), ("network", "schedule")])
def test_the_template_knows_whether_a_schedule_stops_the_database(tables: tuple[str, ...]) -> None:
    assert the_warehouse(*tables).values["Scheduled"].text == str("schedule" in tables).lower()


def test_the_warehouse_needs_the_network() -> None:
    assert "reporting, warehouse: is in no network; allowed: with [reporting.network]" in found()


def test_the_workbench_needs_the_firms_addresses() -> None:
    problems = found("network", "workbench")
    assert ["workbench, FirmCidrs: missing" in text for text in problems] == [True]
