"""docs/alarms.md has a row for every alarm, and its commands fit the templates."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from cfn_templates import ROOT, load_world, normal
from deployments import COMPLETE, planned
from template_rules.watches import NAME

from headwater.deployment.render import render

PAGE = (ROOT / "docs" / "alarms.md").read_text()
ROWS = re.findall(r'^\| <a id="([a-z0-9-]+)"></a>([^|]+)\|([^|]+)\|([^|]+)\|([^|]+)\|$', PAGE, re.M)
COMMANDS = [
    dict(zip(words[3::2], words[4::2], strict=True))
    for words in (
        shlex.split(line)
        for script in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)
        for line in script.replace("\\\n", " ").splitlines()
        if line.startswith("aws cloudformation deploy ")
    )
]


def names() -> set[str]:
    """Names of all alarms; those of feeds have one row."""
    found = set()
    for template in load_world().values():
        for _, properties in template.of_type("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
            name = normal(properties["AlarmName"]).removeprefix(f"{NAME}-")
            found.add("no-file" if template.name == "feeds" else name)
    return found


def test_every_alarm_has_a_row_and_no_other() -> None:
    anchors = [row[0] for row in ROWS]
    assert sorted(anchors) == sorted(names())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_what_it_means_why_its_threshold_and_what_to_do(row: tuple[str, ...]) -> None:
    anchor, name, *cells = row
    assert name.strip().startswith(anchor)
    assert all(cell.strip() for cell in cells)


FAILURES = {
    "IncomingLogEvents",
    "TriggeredRules",
    "DeliveryToS3.Success",
    "OperationsFailedReplication",
    f"{NAME}-csv-producer",
}
"""Metrics that only count failures: the alarm says all that a picture would show."""


def test_dashboards_show_every_metric_that_an_alarm_reads() -> None:
    shown, read = set(), set()
    for template in load_world().values():
        for _, properties in template.of_type("AWS::CloudWatch::Dashboard"):
            body = normal(properties["DashboardBody"])
            shown |= set(re.findall(r'\["([A-Z]\w+(?:/\w+)?)", "([\w.]+)", "', body))
        for _, properties in template.of_type("AWS::CloudWatch::Alarm"):
            parts = [
                one["MetricStat"]["Metric"] for one in properties.get("Metrics", ()) if "MetricStat" in one
            ]
            read |= {(one["Namespace"], normal(one["MetricName"])) for one in parts or [properties]}
    assert {name for _, name in read - shown} == FAILURES


def test_the_parameters_of_the_page_have_the_defaults_of_the_templates() -> None:
    world = load_world()
    declared = {**world["monitoring"].parameters, **world["alarms"].parameters}
    numbers = {name: one["Default"] for name, one in declared.items() if one["Type"] == "Number"}
    shown = {}
    for names_, values in re.findall(r"^\| (`[A-Z]\w+`(?:, `\w+`)*) \| ([\d, ]+) \|", PAGE, re.M):
        figures = values.split(", ")
        shown |= {
            name: int(figure.replace(",", ""))
            for name, figure in zip(re.findall(r"\w+", names_), figures, strict=True)
        }
    assert shown == numbers


def test_the_commands_deploy_what_the_file_of_the_page_renders(tmp_path: Path) -> None:
    reporting, (source,) = COMPLETE["reporting"], COMPLETE["source"]
    watched = {"alarms": {"AlarmEmail": "duty@example.com"}, "feeds": {"school": 26}}
    values = {
        **COMPLETE,
        "reporting": {**reporting, "monitoring": {"WarehouseInstanceId": "headwater-prod"}},
        "source": [{**source, **watched}],
    }
    deployment, stacks, wrong = planned(values)
    assert wrong == []
    files = render(deployment, stacks).files
    assert [command["--stack-name"] for command in COMMANDS] == [
        f"headwater-prod-{name}" for name in ("monitoring", "alarms", "feeds")
    ]
    for command in COMMANDS:
        parameters = command["--parameter-overrides"].removeprefix("file://home/deployment/")
        assert json.loads(files[parameters])
        template = command["--template-file"]
        assert (ROOT / template).exists() or template.removeprefix("home/deployment/") in files
