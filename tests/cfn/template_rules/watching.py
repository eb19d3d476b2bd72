"""What belongs to alarms: filters of log lines, rules of events, subscriptions and dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aws_metrics import DIMENSIONS
from cfn_templates import Json, Template, World, differences, normal

from schemas.telemetry.metrics import METRICS
from template_rules.alarms import TOPICS
from template_rules.watches import NAME

FILTERS: dict[str, dict[str, Json]] = {
    "alarms": {
        "CsvProducerErrorLines": {
            "LogGroupName": f"/aws/lambda/{NAME}-csv-producer",
            "FilterPattern": '{ $.level = "ERROR" }',
            "MetricTransformations": [
                {
                    "MetricNamespace": "Headwater/ErrorLines",
                    "MetricName": f"{NAME}-csv-producer",
                    "MetricValue": "1",
                    "Unit": "Count",
                }
            ],
        }
    }
}
EVENTS: dict[str, dict[str, Json]] = {
    "monitoring": {
        "ReplayFailedRule": {
            "Name": f"{NAME}-replay-failed",
            "State": "ENABLED",
            "EventPattern": {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {
                    "clusterArn": [
                        f"arn:${{AWS::Partition}}:ecs:${{AWS::Region}}:${{AWS::AccountId}}:cluster/{NAME}-replay"
                    ],
                    "lastStatus": ["STOPPED"],
                    "$or": [
                        {"containers": {"exitCode": [{"anything-but": [0]}]}},
                        {"stopCode": ["TaskFailedToStart"]},
                    ],
                },
            },
        }
    }
}
DASHBOARDS = {"monitoring": "reporting", "alarms": "source"}


def filters(world: World) -> Iterator[str]:
    """Filters of log lines that count something else."""
    yield from _reviewed(world, "AWS::Logs::MetricFilter", FILTERS)


def events(world: World) -> Iterator[str]:
    """Rules that match other events, or that have a target, which would need permissions."""
    yield from _reviewed(world, "AWS::Events::Rule", EVENTS)


def _reviewed(world: World, type_: str, forms: dict[str, dict[str, Json]]) -> Iterator[str]:
    for template in world.values():
        found = {
            id_: {key: value for key, value in normal(body).items() if key != "Description"}
            for id_, body in template.of_type(type_)
        }
        yield from differences(template.name, found, forms.get(template.name, {}))


def subscriptions(world: World) -> Iterator[str]:
    """Subscriptions to another topic, or by another way than mail."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::SNS::Subscription"):
            expected = {
                "TopicArn": TOPICS.get(template.name),
                "Protocol": "email",
                "Endpoint": "${AlarmEmail}",
            }
            yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


def dashboards(world: World) -> Iterator[str]:
    """Dashboards that are missing, or show a metric that nobody writes, or one of another installation."""
    for template in world.values():
        name = DASHBOARDS.get(template.name)
        found = dict(template.of_type("AWS::CloudWatch::Dashboard"))
        if set(found) != ({"Dashboard"} if name else set()):
            yield f"{template.name}: has the dashboards {sorted(found)}"
        for logical_id, properties in found.items():
            where = f"{template.name}.{logical_id}"
            if normal(properties["DashboardName"]) != f"{NAME}-{name}" or len(properties) != 2:
                yield f"{where}: has another name, or more than a name and a body"
            yield from _widgets(where, template, normal(properties["DashboardBody"]))


def _widgets(where: str, template: Template, body: str) -> Iterator[str]:
    # A value of !Sub that is an !If keeps its quotes as JSON.
    values = json.loads(_plain(body))
    for number, widget in enumerate(values["widgets"]):
        properties = widget["properties"]
        place = {"x": number % 2 * 12, "y": number // 2 * 6, "width": 12, "height": 6}
        if {key: widget.get(key) for key in place} != place or widget["type"] != "metric":
            yield f"{where}: the widget {number} overlaps another one"
        if (properties["region"], properties["period"]) != ("${AWS::Region}", 300) or not properties["title"]:
            yield f"{where}: the widget {number} has no title, or another region or period"
        if properties["stat"] not in ("Sum", "Average", "Minimum", "Maximum"):
            yield f"{where}: the widget {number} has the statistic {properties['stat']}"
        for metric in properties["metrics"]:
            yield from _shown(where, metric)


def _plain(body: str) -> str:
    instance = json.dumps({"Fn::If": ["HasWarehouseInstance", {"Ref": "WarehouseInstanceId"}, "none"]})
    return body.replace(instance, "instance")


SHOWN_AS = {"label", "yAxis", "stat"}


def _shown(where: str, metric: list[Any]) -> Iterator[str]:
    namespace, name, dimension, value, *options = metric
    for option in options:
        if (
            set(option) - SHOWN_AS
            or option.get("stat", "Maximum") != "Maximum"
            or option.get("yAxis", "right") != "right"
        ):
            yield f"{where}: {name} is shown with {option}"
    if namespace == "Headwater":
        function = value.removeprefix(f"{NAME}-")
        if dimension != "Function" or name not in METRICS.get(function, ()) or value != f"{NAME}-{function}":
            yield f"{where}: {function} does not measure {name}"
    elif DIMENSIONS.get((namespace, name)) != (dimension,):
        yield f"{where}: {namespace} has no {name} by {dimension}"
    elif not (value.startswith(f"{NAME}-") or value == "instance"):
        yield f"{where}: {name} is that of {value}"


RULES = (filters, events, subscriptions, dashboards)
