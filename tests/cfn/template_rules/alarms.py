"""Alarms: each with an action and an instruction, and one for everything that can be lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from cfn_templates import Json, Template, World, differences, normal

NAME = "${Application}-${Environment}"
DAY_MS = 24 * 60 * 60 * 1000
"""Milliseconds for which DynamoDB keeps a change."""


class Watch(NamedTuple):
    """What an alarm watches. `periods` are of five minutes."""

    metric: str
    dimension: str
    value: str
    threshold: Any
    statistic: str = "Maximum"
    periods: int = 1


def _errors(function: str) -> Watch:
    return Watch("AWS/Lambda:Errors", "FunctionName", f"${{{function}}}", 0, "Sum")


AGE = "AWS/Lambda:IteratorAge"
BEHIND = "AWS/Firehose:KinesisMillisBehindLatest"
DYNAMODB = f"{NAME}-dynamodb-producer"
TABLES = {
    "DynamoDbProducerBehindHalfAlarm": Watch(AGE, "FunctionName", DYNAMODB, DAY_MS * 50 // 100),
    "DynamoDbProducerBehindMostAlarm": Watch(AGE, "FunctionName", DYNAMODB, DAY_MS * 80 // 100),
}
ALARMS: dict[str, dict[str, Watch]] = {
    "stream": {
        "DeliveryLateAlarm": Watch(
            "AWS/Firehose:DeliveryToS3.DataFreshness",
            "DeliveryStreamName",
            "${Delivery}",
            "${DeliverySeconds}",
            periods=3,
        ),
        "DeliveryBehindHalfAlarm": Watch(
            BEHIND, "DeliveryStreamName", "${Delivery}", "${Retention:RetentionHours:Half}"
        ),
        "DeliveryBehindMostAlarm": Watch(
            BEHIND, "DeliveryStreamName", "${Delivery}", "${Retention:RetentionHours:Most}"
        ),
    },
    "source": {
        "DeadFilesAlarm": Watch(
            "AWS/SQS:ApproximateNumberOfMessagesVisible", "QueueName", "${DeadFileQueue.QueueName}", 0
        ),
        "FilesWaitAlarm": Watch(
            "AWS/SQS:ApproximateAgeOfOldestMessage", "QueueName", "${FileQueue.QueueName}", 172_800
        ),
    },
    "producers": {
        "CsvProducerErrorsAlarm": _errors("CsvProducer"),
        "DynamoDbProducerErrorsAlarm": _errors("DynamoDbProducer"),
        "ProducerRedriveErrorsAlarm": _errors("ProducerRedrive"),
    },
    "consumers": {
        "ConsumerErrorsAlarm": _errors("Consumer"),
        "RefresherErrorsAlarm": _errors("Refresher"),
        "ConsumerRedriveErrorsAlarm": _errors("ConsumerRedrive"),
        "MetricsErrorsAlarm": _errors("Metrics"),
        "ConsumerBehindHalfAlarm": Watch(
            AGE, "FunctionName", "${Consumer}", "${StreamStack:IteratorAgeHalf}"
        ),
        "ConsumerBehindMostAlarm": Watch(
            AGE, "FunctionName", "${Consumer}", "${StreamStack:IteratorAgeMost}"
        ),
    },
    "tables": TABLES,
    "tables-created": TABLES,
}
"""By template and logical id."""
TOPICS = {
    "stream": "${AlarmTopic}",
    "source": "${AlarmTopic}",
    "producers": "${SourceStack:AlarmTopicArn}",
    "consumers": "${StreamStack:AlarmTopicArn}",
    "tables": "${SourceStack:AlarmTopicArn}",
    "tables-created": "${SourceStack:AlarmTopicArn}",
}


def alarms(world: World) -> Iterator[str]:
    """Alarms that are missing, or that watch something else than they should, or that nobody hears."""
    for template in world.values():
        found = {id_: normal(properties) for id_, properties in template.of_type("AWS::CloudWatch::Alarm")}
        watches = ALARMS.get(template.name, {})
        expected = {id_: _alarm(watch, TOPICS[template.name]) for id_, watch in watches.items()}
        yield from differences(template.name, found, expected)


def _alarm(watch: Watch, topic: str) -> Json:
    namespace, _, metric = watch.metric.partition(":")
    return {
        "AlarmName": re.compile(rf"{re.escape(NAME)}-[a-z0-9-]+"),
        # What happened, and what to do.
        "AlarmDescription": re.compile(r"(?s).{60,1024}"),
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": [{"Name": watch.dimension, "Value": watch.value}],
        "Statistic": watch.statistic,
        "Period": 300,
        "EvaluationPeriods": watch.periods,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": watch.threshold,
        # Without records there is no metric; functions and queues report when they have something to do.
        "TreatMissingData": "notBreaching",
        "AlarmActions": [topic],
        "OKActions": [topic],
    }


def coverage(world: World) -> Iterator[str]:
    """Functions, dead-letter queues, deliveries and mappings of streams that no alarm watches."""
    for template in world.values():
        watched = {
            (
                properties["MetricName"],
                str(normal(properties.get("Dimensions"))),
                str(normal(properties["Threshold"])),
            )
            for _, properties in template.of_type("AWS::CloudWatch::Alarm")
        }
        for where, metric, value, number in _needed(template):
            if sum(name == metric and value in dimension for name, dimension, _ in watched) < number:
                yield f"{template.name}.{where}: {metric} needs {number} alarms"


def _needed(template: Template) -> Iterator[tuple[str, str, str, int]]:
    for logical_id, _ in template.of_type("AWS::Lambda::Function"):
        yield logical_id, "Errors", f"'${{{logical_id}}}'", 1
    for logical_id, properties in template.of_type("AWS::Lambda::EventSourceMapping"):
        if "StartingPosition" in properties:
            function = "${Consumer}" if template.name == "consumers" else DYNAMODB
            yield logical_id, "IteratorAge", f"'{function}'", 2
    for logical_id, properties in template.of_type("AWS::SQS::Queue"):
        if "RedrivePolicy" in properties:
            dead = normal(properties["RedrivePolicy"])["deadLetterTargetArn"].replace(".Arn", ".QueueName")
            yield logical_id, "ApproximateNumberOfMessagesVisible", f"'{dead}'", 1
    for logical_id, _ in template.of_type("AWS::KinesisFirehose::DeliveryStream"):
        yield logical_id, "DeliveryToS3.DataFreshness", f"'${{{logical_id}}}'", 1
        yield logical_id, "KinesisMillisBehindLatest", f"'${{{logical_id}}}'", 2


RULES = (alarms, coverage)
