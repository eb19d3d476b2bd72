"""Creation and checks of the queue of new files, and of the bucket's notifications to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headwater.aws import Aws
from headwater.deployed import SOURCE, Deployed
from headwater.output import listed
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import QueueConfigurationTypeDef

WATCHED_PREFIXES = ("drop/", "corrections/")


def find_queue(aws: Aws, settings: Settings) -> tuple[str, str]:
    """Return URL and ARN of the queue of new files. Raises ConfigurationError if it does not exist."""
    with aws_errors(f"looking for the queue {settings.queue}"):
        url = aws.sqs.get_queue_url(QueueName=settings.queue)["QueueUrl"]
        found = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def check_queue(found: Deployed, aws: Aws, settings: Settings) -> None:
    """Check that the queue exists and that the bucket sends the notifications of both prefixes to it."""
    bucket, arn = settings.source_bucket, None
    with found.check(f"queue {settings.queue}", SOURCE):
        _, arn = find_queue(aws, settings)
    with found.check(f"bucket {bucket}", SOURCE):
        configuration = aws.s3.get_bucket_notification_configuration(Bucket=bucket)
        watched = tuple(_watched_prefixes(configuration.get("QueueConfigurations", []), arn))
        missed = [prefix for prefix in WATCHED_PREFIXES if not prefix.startswith(watched)]
        if arn and missed:
            raise ConfigurationError(
                f"the bucket {bucket} does not notify the queue {settings.queue} of objects under "
                f"{listed(missed)}"
            )


def _watched_prefixes(queues: Iterable[Mapping[str, Any]], arn: str | None) -> Iterator[str]:
    """Yield the prefixes whose new objects are reported to this queue; "" for a whole bucket."""
    for queue in queues:
        if queue["QueueArn"] == arn and "s3:ObjectCreated:*" in queue["Events"]:
            rules = queue.get("Filter", {}).get("Key", {}).get("FilterRules", [])
            if all(rule["Name"].lower() == "prefix" for rule in rules):
                yield rules[0]["Value"] if rules else ""


def make_queue(aws: Aws, settings: Settings) -> str:
    """Create the queue and return its ARN. Only S3 may send to it, for this one bucket."""
    with aws_errors(f"making the queue {settings.queue}"):
        try:
            aws.sqs.get_queue_url(QueueName=settings.queue)
        except aws.sqs.exceptions.QueueDoesNotExist:
            aws.sqs.create_queue(QueueName=settings.queue)
    url, arn = find_queue(aws, settings)
    with aws_errors(f"letting S3 send to the queue {settings.queue}"):
        aws.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps(_only_from(settings.source_bucket, arn))}
        )
    return arn


def _only_from(bucket: str, queue_arn: str) -> dict[str, object]:
    """The policy of the queue.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
    """
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": queue_arn.split(":")[4]},
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def watch(aws: Aws, bucket: str, queue_arn: str) -> None:
    """Send the notifications of both prefixes to the queue; keep other notifications of the bucket."""
    with aws_errors(f"asking the bucket {bucket} for notifications"):
        # The call below replaces the whole configuration, so that the rest of it has to be passed again.
        found = aws.s3.get_bucket_notification_configuration(Bucket=bucket)
        others = [q for q in found.get("QueueConfigurations", []) if q["QueueArn"] != queue_arn]
        aws.s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "TopicConfigurations": found.get("TopicConfigurations", []),
                "LambdaFunctionConfigurations": found.get("LambdaFunctionConfigurations", []),
                "QueueConfigurations": [*others, *_queue_configurations(queue_arn)],
            },
        )


def _queue_configurations(queue_arn: str) -> Iterator[QueueConfigurationTypeDef]:
    for prefix in WATCHED_PREFIXES:
        yield {
            "Id": f"headwater-{prefix.strip('/')}",
            "QueueArn": queue_arn,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
        }
