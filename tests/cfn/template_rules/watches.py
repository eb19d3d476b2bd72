"""What every alarm watches: the reviewed form of each, by template and logical id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from template_rules import log_replica

NAME = "${Application}-${Environment}"
DAY_MS = 24 * 60 * 60 * 1000
"""Milliseconds for which DynamoDB keeps a change."""
ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"


class Watch(NamedTuple):
    """What an alarm watches."""

    metric: str
    """Namespace and name."""
    dimensions: Mapping[str, str]
    threshold: Any
    statistic: str = "Maximum"
    periods: int = 1
    period: int = 300
    """Seconds."""
    operator: str = ABOVE
    missing: str = "notBreaching"
    """Right where a metric is missing when there is nothing to count."""
    enough: int | None = None
    """Data points that suffice, if not all."""
    calculated: tuple[str, str, str] | None = None
    """Id of the metric, expression and label, where CloudWatch calculates what is compared."""
    quiet: bool = False
    """True for an alarm that another one reads."""
    condition: str | None = None


def _function(name: str) -> dict[str, str]:
    return {"FunctionName": f"{NAME}-{name}"}


def _ours(name: str) -> dict[str, str]:
    return {"Function": f"{NAME}-{name}"}


def _errors(function: str) -> Watch:
    return Watch("AWS/Lambda:Errors", {"FunctionName": f"${{{function}}}"}, 0, "Sum")


def _throttles(name: str) -> Watch:
    return Watch("AWS/Lambda:Throttles", _function(name), 0, "Sum", 3)


def _slow(name: str, seconds: str) -> Watch:
    share = ("duration", f"duration / ${{{seconds}}} / 10", "per cent of the time limit")
    return Watch("AWS/Lambda:Duration", _function(name), 80, "Maximum", 3, calculated=share)


def _letters(name: str) -> Watch:
    return Watch("Headwater:DeadLetters", _ours(name), 0, "Sum")


def _rds(metric: str, *rest: Any, **more: Any) -> Watch:
    dimensions = {"DBInstanceIdentifier": "${WarehouseInstanceId}"}
    return Watch(f"AWS/RDS:{metric}", dimensions, *rest, condition="HasWarehouseInstance", **more)


def _no_file(feed: str, hours: int) -> Watch:
    dimensions = {**_ours("csv-producer"), "Feed": feed}
    filled = ("files", "FILL(files, 0)", "files")
    return Watch("Headwater:Files", dimensions, 1, "Sum", hours, 3600, BELOW, "breaching", calculated=filled)


AGE = "AWS/Lambda:IteratorAge"
BEHIND = "AWS/Firehose:KinesisMillisBehindLatest"
AWAKE = "Headwater:Awake"
DYNAMODB = _function("dynamodb-producer")
CONSUMER = {"FunctionName": "${Consumer}"}
DELIVERY = {"DeliveryStreamName": "${Delivery}"}
STREAM = {"StreamName": f"{NAME}-events"}
DELIVERY_LOG = {"LogGroupName": f"/aws/kinesisfirehose/{NAME}-events-to-log"}
TABLES = {
    "DynamoDbProducerBehindHalfAlarm": Watch(AGE, DYNAMODB, DAY_MS * 50 // 100),
    "DynamoDbProducerBehindMostAlarm": Watch(AGE, DYNAMODB, DAY_MS * 80 // 100),
}
FEEDS = {"links.v-2": 168, "school": 26}
"""The feeds of the template that the tests render, with their hours."""
ALARMS: dict[str, dict[str, Watch]] = {
    "stream": {
        "DeliveryLateAlarm": Watch(
            "AWS/Firehose:DeliveryToS3.DataFreshness", DELIVERY, "${DeliverySeconds}", periods=3
        ),
        "DeliveryBehindHalfAlarm": Watch(BEHIND, DELIVERY, "${Retention:RetentionHours:Half}"),
        "DeliveryBehindMostAlarm": Watch(BEHIND, DELIVERY, "${Retention:RetentionHours:Most}"),
        "ReplicationFailsAlarm": Watch(
            *("AWS/S3:OperationsFailedReplication", log_replica.DIMENSIONS, 0, "Sum"),
            condition=log_replica.HAS,
        ),
    },
    "source": {
        "DeadFilesAlarm": Watch(
            "AWS/SQS:ApproximateNumberOfMessagesVisible", {"QueueName": "${DeadFileQueue.QueueName}"}, 0
        ),
        "FilesWaitAlarm": Watch(
            "AWS/SQS:ApproximateAgeOfOldestMessage", {"QueueName": "${FileQueue.QueueName}"}, 172_800
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
        # An hour: after the longest nights the consumer is as far behind until it has caught up.
        "ConsumerBehindHalfAlarm": Watch(AGE, CONSUMER, "${StreamStack:IteratorAgeHalf}", periods=12),
        "ConsumerBehindMostAlarm": Watch(AGE, CONSUMER, "${StreamStack:IteratorAgeMost}"),
    },
    "schedule": {
        "SchedulerErrorsAlarm": _errors("Scheduler"),
        # Measured in every call: where it is missing, nothing wakes.
        "SchedulerPendingAlarm": Watch(
            *("Headwater:Pending", {"Function": "${Scheduler}"}, 0, "Minimum", 24), missing="breaching"
        ),
    },
    "tables": TABLES,
    "tables-created": TABLES,
    "monitoring": {
        # Measured once a minute: where it is missing, nobody knows how late the tables are.
        "LagAlarm": Watch(
            *("Headwater:Lag", _ours("metrics"), "${LagSeconds}", "Minimum", 3),
            missing="breaching",
            quiet=True,
        ),
        "BacklogAlarm": Watch(
            "Headwater:Backlog", _ours("metrics"), "${BacklogRows}", "Minimum", 6, quiet=True
        ),
        # It silences another one: without a measurement it must not.
        "AsleepAlarm": Watch(
            *(AWAKE, _ours("scheduler"), 1, "Minimum", 1, 600, BELOW),
            quiet=True,
            condition="HasSchedule",
        ),
        "SchedulerSilentAlarm": Watch(
            *(AWAKE, _ours("scheduler"), 1, "SampleCount", 2, 900, BELOW, "breaching"),
            condition="HasSchedule",
        ),
        "ConsumerDeadLettersAlarm": _letters("consumer"),
        # Nobody measures at night: the state stays as it is.
        "DeadLettersWaitAlarm": Watch(
            *("Headwater:DeadLetters", _ours("metrics"), 0, "Minimum", 24, 3600), missing="ignore", enough=8
        ),
        "ConsumerThrottlesAlarm": _throttles("consumer"),
        "ConsumerSlowAlarm": _slow("consumer", "ConsumersStack:ConsumerSeconds"),
        "WritesThrottledAlarm": Watch("AWS/Kinesis:WriteProvisionedThroughputExceeded", STREAM, 0, "Sum", 3),
        "ReadsThrottledAlarm": Watch("AWS/Kinesis:ReadProvisionedThroughputExceeded", STREAM, 0, "Sum", 6),
        "DeliveryFailuresAlarm": Watch(
            *("AWS/Firehose:DeliveryToS3.Success", {"DeliveryStreamName": f"{NAME}-events-to-log"}),
            *(1, "Average", 3, 300, BELOW),
        ),
        "DeliveryErrorsAlarm": Watch("AWS/Logs:IncomingLogEvents", DELIVERY_LOG, 0, "Sum"),
        "WarehouseStorageAlarm": _rds(
            *("FreeStorageSpace", "${FreeGibibytes}", "Minimum", 3, 300, BELOW),
            calculated=("bytes", "bytes / 1073741824", "GiB"),
        ),
        "WarehouseMemoryAlarm": _rds(
            *("FreeableMemory", "${FreeableMebibytes}", "Minimum", 6, 300, BELOW),
            calculated=("bytes", "bytes / 1048576", "MiB"),
        ),
        "WarehouseConnectionsAlarm": _rds("DatabaseConnections", "${MostConnections}", "Maximum", 3),
        "WarehouseCpuAlarm": _rds("CPUUtilization", 90, "Average", 24),
        "ReplayFailedAlarm": Watch(
            "AWS/Events:TriggeredRules", {"RuleName": "${ReplayFailedRule}"}, 0, "Sum"
        ),
    },
    "alarms": {
        "CsvProducerDeadLettersAlarm": _letters("csv-producer"),
        "RejectsAlarm": Watch("Headwater:Rejects", _ours("csv-producer"), 0, "Sum"),
        "CsvProducerErrorLinesAlarm": Watch(f"Headwater/ErrorLines:{NAME}-csv-producer", {}, 0, "Sum"),
        "CsvProducerThrottlesAlarm": _throttles("csv-producer"),
        "DynamoDbProducerDeadLettersAlarm": _letters("dynamodb-producer"),
        "DynamoDbProducerLateAlarm": Watch(
            *(AGE, DYNAMODB, "${LateSeconds}", "Maximum", 3), calculated=("age", "age / 1000", "seconds")
        ),
        "DynamoDbProducerThrottlesAlarm": _throttles("dynamodb-producer"),
        "DynamoDbProducerSlowAlarm": _slow("dynamodb-producer", "ProducersStack:DynamoDbSeconds"),
    },
    "feeds": {
        "NoFileLinksV2193125599c": _no_file("links.v-2", FEEDS["links.v-2"]),
        "NoFileSchoold64debd942": _no_file("school", FEEDS["school"]),
    },
}
"""By template and logical id."""
