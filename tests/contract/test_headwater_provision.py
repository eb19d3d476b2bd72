"""Provisioning against a real HTTP AWS."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from consumers.kinesis import StreamReader
from headwater.aws import Aws, connect
from headwater.local.provision import make_flow, make_stores
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.settings import Settings
from schemas.sources.dynamodb import tables

pytest_plugins = ("pollers_world",)


@pytest.fixture
def aws(embedded_aws: Aws) -> Aws:
    return embedded_aws


def test_provisioning_makes_what_the_entities_need(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    (table,) = tables(catalog)
    made = aws.dynamodb.describe_table(TableName=table)["Table"]
    assert [key["AttributeName"] for key in made["KeySchema"]] == ["n", "sk"]
    assert {a["AttributeName"]: a["AttributeType"] for a in made["AttributeDefinitions"]} == {
        "n": "N",
        "sk": "S",
    }
    assert made["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert aws.s3.get_bucket_versioning(Bucket=settings.source_bucket)["Status"] == "Enabled"
    assert len(StreamReader(aws.kinesis, settings.stream).shards()) == 2
    delivery = aws.firehose.describe_delivery_stream(DeliveryStreamName=settings.delivery_stream)
    destination = delivery["DeliveryStreamDescription"]["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (destination["Prefix"], destination["ErrorOutputPrefix"]) == ("log/", "log-errors/")


def test_provisioning_again_changes_nothing(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    """And neither a stream's generation nor anybody else's notification."""
    make_stores(aws, settings, catalog)
    other = aws.sqs.create_queue(QueueName=f"other-{uuid.uuid4().hex}")["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.s3.put_bucket_notification_configuration(
        Bucket=settings.source_bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}]
        },
    )
    make_flow(aws, settings, catalog, pumped=True)
    (table,) = tables(catalog)
    label = aws.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamLabel"]
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    assert aws.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamLabel"] == label
    watched = aws.s3.get_bucket_notification_configuration(Bucket=settings.source_bucket)
    prefixes = [
        rule["Value"]
        for queue in watched["QueueConfigurations"]
        for rule in queue.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    ]
    assert sorted(prefixes) == ["corrections/", "drop/"]
    assert arn in [queue["QueueArn"] for queue in watched["QueueConfigurations"]]


def test_a_delivery_stream_that_reads_kinesis_by_itself_is_made_where_nobody_pumps(
    aws: Aws, settings: Settings, catalog: Catalog
) -> None:
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=False)
    made = aws.firehose.describe_delivery_stream(DeliveryStreamName=settings.delivery_stream)
    source = made["DeliveryStreamDescription"]["Source"]["KinesisStreamSourceDescription"]
    assert source["KinesisStreamARN"].endswith(f"stream/{settings.stream}")


def test_a_stream_without_both_images_is_refused(aws: Aws, settings: Settings, catalog: Catalog) -> None:
    make_stores(aws, settings, catalog)
    (table,) = tables(catalog)
    aws.dynamodb.update_table(
        TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    with pytest.raises(ConfigurationError, match=f"{table} is KEYS_ONLY.*NEW_AND_OLD_IMAGES"):
        make_flow(aws, settings, catalog, pumped=True)


def answer_once(aws: Aws, operation: str, code: str, before: Callable[[], object] = lambda: None) -> None:
    """The operation's next call is answered with this error, after something else has happened."""
    service = operation.partition(".")[0]
    asked: list[str] = []

    def answered(request: Any, **_: object) -> AWSResponse | None:
        if asked:
            return None
        asked.append(request.url)
        before()
        body = json.dumps({"__type": code, "message": "said the server"}).encode()
        if service == "s3":
            body = f"<Error><Code>{code}</Code><Message>said the server</Message></Error>".encode()
        raw = io.BytesIO(body)
        raw.stream = lambda: iter([body])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, raw)

    getattr(aws, service).meta.events.register_first(f"before-send.{operation}", answered)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("dynamodb.UpdateTable", "ResourceInUseException"),
        ("kinesis.CreateStream", "LimitExceededException"),
        ("firehose.CreateDeliveryStream", "ConcurrentModificationException"),
        ("sqs.CreateQueue", "QueueDeletedRecently"),
        ("s3.PutBucketVersioning", "OperationAborted"),
        ("s3.PutBucketNotificationConfiguration", "OperationAborted"),
    ],
)
def test_what_is_busy_is_asked_again(
    aws: Aws, settings: Settings, catalog: Catalog, operation: str, code: str
) -> None:
    """As after a lost answer, when what was asked for is still being made."""
    answer_once(aws, operation, code)
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=True)
    (table,) = tables(catalog)
    made = aws.dynamodb.describe_table(TableName=table)["Table"]
    assert made["StreamSpecification"]["StreamEnabled"]
    assert aws.s3.get_bucket_versioning(Bucket=settings.source_bucket)["Status"] == "Enabled"


def test_a_stream_that_a_lost_answer_enabled_is_taken_as_it_is(
    aws: Aws, settings: Settings, catalog: Catalog
) -> None:
    make_stores(aws, settings, catalog)
    (table,) = tables(catalog)

    def enable() -> None:
        connect().dynamodb.update_table(
            TableName=table,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )

    answer_once(aws, "dynamodb.UpdateTable", "ValidationException", enable)
    make_flow(aws, settings, catalog, pumped=True)
    assert aws.dynamodb.describe_table(TableName=table)["Table"]["StreamSpecification"]["StreamEnabled"]
