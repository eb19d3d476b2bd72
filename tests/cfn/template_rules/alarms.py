"""Alarms: each with an action, an instruction and a runbook, and one for everything that can be lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cfn_templates import Json, Template, World, differences, normal

from template_rules.watches import ALARMS, DYNAMODB, NAME, Watch

REPORTING_TOPIC, SOURCE_TOPIC = "${StreamStack:AlarmTopicArn}", "${SourceStack:AlarmTopicArn}"
TOPICS = {
    "stream": "${AlarmTopic}",
    "source": "${AlarmTopic}",
    "producers": SOURCE_TOPIC,
    "consumers": REPORTING_TOPIC,
    "tables": SOURCE_TOPIC,
    "tables-created": SOURCE_TOPIC,
    "monitoring": REPORTING_TOPIC,
    "schedule": REPORTING_TOPIC,
    "alarms": SOURCE_TOPIC,
    "feeds": SOURCE_TOPIC,
}
NOTHING = "${AWS::NoValue}"


def alarms(world: World) -> Iterator[str]:
    """Alarms that are missing, or that watch something else than they should, or that nobody hears."""
    for template in world.values():
        found = {id_: normal(properties) for id_, properties in template.of_type("AWS::CloudWatch::Alarm")}
        watches = ALARMS.get(template.name, {})
        expected = {id_: _alarm(watch, TOPICS[template.name]) for id_, watch in watches.items()}
        yield from differences(template.name, found, expected)


def _alarm(watch: Watch, topic: str) -> Json:
    return {
        "AlarmName": re.compile(rf"{re.escape(NAME)}-[A-Za-z0-9_.-]+"),
        # CloudWatch takes 1,024 characters, of which the URL may be 209.
        "AlarmDescription": re.compile(r"(?s).{1,800}"),
        **(_calculated(watch) if watch.calculated else _direct(watch)),
        "EvaluationPeriods": watch.periods,
        **({"DatapointsToAlarm": watch.enough} if watch.enough else {}),
        "ComparisonOperator": watch.operator,
        "Threshold": watch.threshold,
        "TreatMissingData": watch.missing,
        **({} if watch.quiet else {"AlarmActions": [topic], "OKActions": [topic]}),
    }


def _direct(watch: Watch) -> Json:
    return {**_metric(watch), "Statistic": watch.statistic, "Period": watch.period}


def _calculated(watch: Watch) -> Json:
    assert watch.calculated is not None
    id_, expression, label = watch.calculated
    read = {"Metric": _metric(watch), "Stat": watch.statistic, "Period": watch.period}
    result = {"Id": "result", "Expression": expression, "Label": label, "ReturnData": True}
    return {"Metrics": [result, {"Id": id_, "MetricStat": read, "ReturnData": False}]}


def _metric(watch: Watch) -> Json:
    namespace, _, name = watch.metric.partition(":")
    dimensions = [{"Name": name, "Value": value} for name, value in watch.dimensions.items()]
    return {
        "Namespace": namespace,
        "MetricName": name,
        **({"Dimensions": dimensions} if dimensions else {}),
    }


COMPOSITES: dict[str, dict[str, Json]] = {
    "monitoring": {
        "TablesLateAlarm": {
            "AlarmName": f"{NAME}-tables-late",
            "AlarmDescription": re.compile(r"(?s).{60,800}"),
            "AlarmRule": 'ALARM("${LagAlarm}") OR ALARM("${BacklogAlarm}")',
            "ActionsSuppressor": {"Fn::If": ["HasSchedule", "${AsleepAlarm.Arn}", NOTHING]},
            "ActionsSuppressorWaitPeriod": {"Fn::If": ["HasSchedule", 300, NOTHING]},
            "ActionsSuppressorExtensionPeriod": {"Fn::If": ["HasSchedule", "${CatchUpSeconds}", NOTHING]},
            "AlarmActions": [REPORTING_TOPIC],
            "OKActions": [REPORTING_TOPIC],
        }
    }
}


def composites(world: World) -> Iterator[str]:
    """Alarms on alarms that are others than the reviewed ones."""
    for template in world.values():
        found = {id_: normal(body) for id_, body in template.of_type("AWS::CloudWatch::CompositeAlarm")}
        yield from differences(template.name, found, COMPOSITES.get(template.name, {}))


def heard(world: World) -> Iterator[str]:
    """Alarms that notify nobody, and that no other alarm reads."""
    for template in world.values():
        text = str([normal(body) for _, body in template.of_type("AWS::CloudWatch::CompositeAlarm")])
        for logical_id, properties in template.of_type("AWS::CloudWatch::Alarm"):
            if not properties.get("AlarmActions") and f"${{{logical_id}" not in text:
                yield f"{template.name}.{logical_id}: nobody hears it"


def links(world: World) -> Iterator[str]:
    """Alarms whose description does not end with the link to their row in docs/alarms.md."""
    for template in world.values():
        for logical_id, properties in template.of_type(
            "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"
        ):
            name, text = normal(properties["AlarmName"]), normal(properties["AlarmDescription"])
            anchor = "no-file" if template.name == "feeds" else name.removeprefix(f"{NAME}-")
            link = f" Runbook: ${{RunbookUrl}}/alarms.md#{anchor}"
            if not text.endswith(link):
                yield f"{template.name}.{logical_id}: its description does not link to #{anchor}"
            # What happened, and what to do.
            if len(text.removesuffix(link)) < 60:
                yield f"{template.name}.{logical_id}: its description is short"


def lengths(world: World) -> Iterator[str]:
    """Alarms that look back for longer than CloudWatch allows.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    """
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::CloudWatch::Alarm"):
            for period in _periods(properties):
                most = 604_800 if period >= 3600 else 86_400
                if period * properties["EvaluationPeriods"] > most:
                    yield f"{template.name}.{logical_id}: looks back for more than {most} s"
                if period % 60:
                    yield f"{template.name}.{logical_id}: a period of {period} s is no whole minute"


def _periods(properties: Json) -> Iterator[int]:
    if "Period" in properties:
        yield properties["Period"]
    for metric in properties.get("Metrics", ()):
        if "MetricStat" in metric:
            yield metric["MetricStat"]["Period"]


CONDITIONS = {
    **{
        f"{template}.{id_}": watch.condition
        for template, watches in ALARMS.items()
        for id_, watch in watches.items()
        if watch.condition
    },
    "monitoring.AlarmSubscription": "HasAlarmEmail",
    "alarms.AlarmSubscription": "HasAlarmEmail",
}
"""Conditions of alarms and subscriptions, by template and logical id."""


def coverage(world: World) -> Iterator[str]:
    """Functions, dead-letter queues, deliveries and mappings of streams that no alarm watches."""
    for template in world.values():
        watched = [
            (properties["MetricName"], str(normal(properties.get("Dimensions"))))
            for _, properties in template.of_type("AWS::CloudWatch::Alarm")
            if "MetricName" in properties
        ]
        for where, metric, value, number in _needed(template):
            if sum(name == metric and value in dimension for name, dimension in watched) < number:
                yield f"{template.name}.{where}: {metric} needs {number} alarms"


def _needed(template: Template) -> Iterator[tuple[str, Any, str, int]]:
    for logical_id, _ in template.of_type("AWS::Lambda::Function"):
        yield logical_id, "Errors", f"'${{{logical_id}}}'", 1
    for logical_id, properties in template.of_type("AWS::Lambda::EventSourceMapping"):
        if "StartingPosition" in properties:
            function = "${Consumer}" if template.name == "consumers" else DYNAMODB["FunctionName"]
            yield logical_id, "IteratorAge", f"'{function}'", 2
    for logical_id, properties in template.of_type("AWS::SQS::Queue"):
        if "RedrivePolicy" in properties:
            dead = normal(properties["RedrivePolicy"])["deadLetterTargetArn"].replace(".Arn", ".QueueName")
            yield logical_id, "ApproximateNumberOfMessagesVisible", f"'{dead}'", 1
    for logical_id, _ in template.of_type("AWS::KinesisFirehose::DeliveryStream"):
        yield logical_id, "DeliveryToS3.DataFreshness", f"'${{{logical_id}}}'", 1
        yield logical_id, "KinesisMillisBehindLatest", f"'${{{logical_id}}}'", 2


RULES = (alarms, composites, heard, links, lengths, coverage)
