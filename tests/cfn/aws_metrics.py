"""Metrics that AWS itself writes: name, dimensions, and the page of AWS that documents both.

No emulator writes them, so that no test can make such an alarm fire: what is tested is that alarms and
dashboards name them as these pages do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

DOCS = "https://docs.aws.amazon.com/"


class AwsMetric(NamedTuple):
    """A metric of AWS."""

    dimensions: tuple[str, ...]
    page: str
    fires: str
    """What makes AWS write a value beyond a threshold."""


_LAMBDA = f"{DOCS}lambda/latest/dg/monitoring-metrics-types.html"
_SQS = f"{DOCS}AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"
_KINESIS = f"{DOCS}streams/latest/dev/monitoring-with-cloudwatch.html"
_FIREHOSE = f"{DOCS}firehose/latest/dev/monitoring-with-cloudwatch-metrics.html"
_RDS = f"{DOCS}AmazonRDS/latest/UserGuide/rds-metrics.html"
_LOGS = f"{DOCS}AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html"
_S3 = f"{DOCS}AmazonS3/latest/userguide/metrics-dimensions.html"
_EVENTS = f"{DOCS}eventbridge/latest/userguide/eb-monitoring.html"

AWS_METRICS: Mapping[tuple[str, str], AwsMetric] = {
    ("AWS/Lambda", "Errors"): AwsMetric(
        ("FunctionName",), _LAMBDA, "an exception of the function, its time limit or its memory"
    ),
    ("AWS/Lambda", "Throttles"): AwsMetric(
        ("FunctionName",), _LAMBDA, "no concurrency is left for an invocation"
    ),
    ("AWS/Lambda", "Duration"): AwsMetric(
        ("FunctionName",), _LAMBDA, "the time of an invocation, in milliseconds"
    ),
    ("AWS/Lambda", "IteratorAge"): AwsMetric(
        ("FunctionName",), _LAMBDA, "the age of the last record of a batch of a stream, in milliseconds"
    ),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): AwsMetric(
        ("QueueName",), _SQS, "messages that can be received"
    ),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): AwsMetric(
        ("QueueName",), _SQS, "the age of the oldest message that is not deleted, in seconds"
    ),
    ("AWS/Kinesis", "IncomingRecords"): AwsMetric(("StreamName",), _KINESIS, "records that were put"),
    ("AWS/Kinesis", "WriteProvisionedThroughputExceeded"): AwsMetric(
        ("StreamName",), _KINESIS, "records that were refused because of throttling"
    ),
    ("AWS/Kinesis", "ReadProvisionedThroughputExceeded"): AwsMetric(
        ("StreamName",), _KINESIS, "calls of GetRecords that were throttled"
    ),
    ("AWS/Firehose", "DeliveryToS3.DataFreshness"): AwsMetric(
        ("DeliveryStreamName",), _FIREHOSE, "the age of the oldest record that is not delivered, in seconds"
    ),
    ("AWS/Firehose", "DeliveryToS3.Success"): AwsMetric(
        ("DeliveryStreamName",), _FIREHOSE, "a put to S3 that failed makes the average less than 1"
    ),
    ("AWS/Firehose", "KinesisMillisBehindLatest"): AwsMetric(
        ("DeliveryStreamName",), _FIREHOSE, "how far the last record read is behind the newest one"
    ),
    ("AWS/RDS", "FreeStorageSpace"): AwsMetric(("DBInstanceIdentifier",), _RDS, "free storage, in bytes"),
    ("AWS/RDS", "FreeableMemory"): AwsMetric(("DBInstanceIdentifier",), _RDS, "freeable memory, in bytes"),
    ("AWS/RDS", "DatabaseConnections"): AwsMetric(
        ("DBInstanceIdentifier",), _RDS, "connections of clients to the instance"
    ),
    ("AWS/RDS", "CPUUtilization"): AwsMetric(
        ("DBInstanceIdentifier",), _RDS, "the share of the processor that is in use, in per cent"
    ),
    ("AWS/S3", "OperationsFailedReplication"): AwsMetric(
        ("SourceBucket", "DestinationBucket", "RuleId"),
        _S3,
        "an object that the rule covers could not be replicated",
    ),
    ("AWS/Logs", "IncomingLogEvents"): AwsMetric(
        ("LogGroupName",), _LOGS, "log events that were uploaded to the log group"
    ),
    ("AWS/Events", "TriggeredRules"): AwsMetric(
        ("RuleName",), _EVENTS, "an event that the rule matches; the test matches such events"
    ),
}
"""By namespace and name."""
DIMENSIONS = {key: metric.dimensions for key, metric in AWS_METRICS.items()}
