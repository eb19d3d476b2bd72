"""What `headwater up` creates locally is what the templates create, resource by resource.

Every property of a template's resource is either compared with what the local AWS answers, or in NOT_LOCAL
with its reason: a property that a template gains fails here until somebody decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from iam.templates import Stack, load_template

from headwater.aws import Aws, connect
from headwater.deployment.tables import logical_id, tables_template
from headwater.embedded.aws import EmbeddedAws
from headwater.local.provision import make_flow, make_stores
from schemas.catalog.loader import load_catalog
from schemas.settings import Settings
from schemas.sources.dynamodb import tables

CFN = Path(__file__).resolve().parents[2] / "cfn"
ACCOUNT, REGION = "123456789012", "eu-west-1"  # of the embedded AWS
PARAMETERS = {"Environment": "test", "SourceAccounts": ACCOUNT, "StreamMode": "PROVISIONED"}
CATALOG = load_catalog()

_ENCRYPTED = "the local AWS encrypts nothing: it is on this machine"
_RETENTION = "nothing local is kept for long"
_REDRIVEN = "the local poller retries for as long as it runs"
NOT_LOCAL: Mapping[str, Mapping[str, str]] = {
    "EventStream": {
        "StreamModeDetails": "a local stream is provisioned, which is the default of CreateStream",
        "RetentionPeriodHours": _RETENTION,
        "StreamEncryption": _ENCRYPTED,
    },
    "Delivery": {
        "RoleARN": "no local role has rights",
        "EncryptionConfiguration": _ENCRYPTED,
        "CloudWatchLoggingOptions": "errors are on stderr",
    },
    "LogBucket": {
        "BucketEncryption": _ENCRYPTED,
        "LifecycleConfiguration": _RETENTION,
        "LoggingConfiguration": "nobody reads access logs of a local bucket",
        "ObjectLockEnabled": "a local log may be deleted",
        "ObjectLockConfiguration": "a local log may be deleted",
        "OwnershipControls": "one account",
        "PublicAccessBlockConfiguration": "on this machine",
        "VersioningConfiguration": "for Object Lock; nothing overwrites an object of the log",
    },
    "SourceBucket": {
        "BucketEncryption": _ENCRYPTED,
        "LifecycleConfiguration": _RETENTION,
        "LoggingConfiguration": "nobody reads access logs of a local bucket",
        "OwnershipControls": "one account",
        "PublicAccessBlockConfiguration": "on this machine",
    },
    "FileQueue": {
        "KmsMasterKeyId": _ENCRYPTED,
        "MessageRetentionPeriod": _RETENTION,
        "ReceiveMessageWaitTimeSeconds": "the local poller waits by a parameter of its calls",
        "RedrivePolicy": _REDRIVEN,
        "VisibilityTimeout": "the local poller extends it while it reads a file",
    },
    "Table": {
        "PointInTimeRecoverySpecification": _RETENTION,
        "DeletionProtectionEnabled": "a local table may be deleted",
        "SSESpecification": _ENCRYPTED,
    },
}


def stack(template: Mapping[str, Any], **parameters: str) -> Stack:
    declared = template["Parameters"].keys()
    return Stack(
        name="headwater-test",
        template=template,
        account=ACCOUNT,
        region=REGION,
        parameters={name: value for name, value in {**PARAMETERS, **parameters}.items() if name in declared},
    )


REPORTING = stack(load_template(CFN / "stream.yaml"))
SOURCE = stack(load_template(CFN / "source.yaml"))


def resource(of: Stack, kind: str, name: str) -> Mapping[str, Any]:
    """The properties of the one resource of this type and physical name."""
    (found,) = (one for one in of.resources.values() if one.type == kind and name in one.properties.values())
    return found.properties


SETTINGS = Settings(
    stream=REPORTING.outputs["StreamArn"].rpartition("/")[2],
    log_bucket=REPORTING.outputs["LogBucketName"],
    source_bucket=SOURCE.outputs["SourceBucketName"],
)
STREAM = resource(REPORTING, "AWS::Kinesis::Stream", SETTINGS.stream)
DELIVERY = resource(REPORTING, "AWS::KinesisFirehose::DeliveryStream", SETTINGS.delivery_stream)
LOG_BUCKET = resource(REPORTING, "AWS::S3::Bucket", SETTINGS.log_bucket)
SOURCE_BUCKET = resource(SOURCE, "AWS::S3::Bucket", SETTINGS.source_bucket)
QUEUE = resource(SOURCE, "AWS::SQS::Queue", SETTINGS.queue)


@pytest.fixture(scope="module")
def local() -> Iterator[Aws]:
    """An embedded AWS with everything that `up` creates, named as a deployment would name it."""
    with EmbeddedAws() as server:
        environ = {**server.environment(), "AWS_DEFAULT_REGION": REGION}
        aws = connect(environ, SETTINGS)
        make_stores(aws, SETTINGS, CATALOG)
        make_flow(aws, SETTINGS, CATALOG, pumped=False)
        yield aws


def compared(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a template that the local resource must have."""
    unused = NOT_LOCAL[kind].keys() - properties.keys()
    assert not unused, f"NOT_LOCAL names properties of {kind} that the template does not have"
    return {name: value for name, value in properties.items() if name not in NOT_LOCAL[kind]}


def test_the_stream(local: Aws) -> None:
    found = local.kinesis.describe_stream_summary(StreamName=SETTINGS.stream)["StreamDescriptionSummary"]
    assert compared("EventStream", STREAM) == {
        "Name": found["StreamName"],
        "ShardCount": str(found["OpenShardCount"]),
    }


def test_the_delivery_stream(local: Aws) -> None:
    wanted = compared("Delivery", {**DELIVERY, **DELIVERY["ExtendedS3DestinationConfiguration"]})
    found = local.firehose.describe_delivery_stream(DeliveryStreamName=SETTINGS.delivery_stream)
    description: Any = found["DeliveryStreamDescription"]
    destination = description["Destinations"][0]["ExtendedS3DestinationDescription"]
    del wanted["ExtendedS3DestinationConfiguration"]
    source = wanted.pop("KinesisStreamSourceConfiguration")
    assert source.keys() == {"KinesisStreamARN", "RoleARN"}
    assert (
        source["KinesisStreamARN"]
        == description["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"]
    )
    assert wanted == {
        "DeliveryStreamName": description["DeliveryStreamName"],
        "DeliveryStreamType": description["DeliveryStreamType"],
        **{name: destination[name] for name in wanted.keys() & destination.keys()},
    }


def test_the_log_bucket(local: Aws) -> None:
    local.s3.head_bucket(Bucket=SETTINGS.log_bucket)
    assert compared("LogBucket", LOG_BUCKET) == {"BucketName": SETTINGS.log_bucket}


def test_the_source_bucket_and_its_notifications(local: Aws) -> None:
    bucket = SETTINGS.source_bucket
    found = local.s3.get_bucket_notification_configuration(Bucket=bucket)
    local_rules = [
        {
            "Event": queue["Events"],
            "Queue": queue["QueueArn"],
            "Filter": queue["Filter"]["Key"]["FilterRules"],
        }
        for queue in found["QueueConfigurations"]
    ]
    wanted = compared("SourceBucket", SOURCE_BUCKET)
    notifications = wanted.pop("NotificationConfiguration")
    assert notifications.keys() == {"QueueConfigurations"}
    assert local_rules == [
        {"Event": [rule["Event"]], "Queue": rule["Queue"], "Filter": rule["Filter"]["S3Key"]["Rules"]}
        for rule in notifications["QueueConfigurations"]
    ]
    versioning = {"Status": local.s3.get_bucket_versioning(Bucket=bucket)["Status"]}
    assert wanted == {"BucketName": bucket, "VersioningConfiguration": versioning}


def test_the_queue_and_who_may_send_to_it(local: Aws) -> None:
    url = local.sqs.get_queue_url(QueueName=SETTINGS.queue)["QueueUrl"]
    assert compared("FileQueue", QUEUE) == {"QueueName": url.rpartition("/")[2]}
    attributes = local.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    (policy,) = (
        one.properties["PolicyDocument"]
        for one in SOURCE.resources.values()
        if one.type == "AWS::SQS::QueuePolicy"
        and any(queue.endswith(f"/{SETTINGS.queue}") for queue in one.properties["Queues"])
    )
    wanted = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    # The template's only other statement denies calls without TLS, which the local AWS does not have.
    assert json.loads(attributes["Policy"])["Statement"] == [
        {name: value for name, value in statement.items() if name != "Sid"} for statement in wanted
    ]


@pytest.mark.parametrize("table", tables(CATALOG))
def test_the_tables_and_their_streams(local: Aws, table: str) -> None:
    template = tables_template(tables(CATALOG), create=True)
    declared = template["Resources"][logical_id("Table", table)]["Properties"]
    found: Any = local.dynamodb.describe_table(TableName=table)["Table"]
    stream = found["StreamSpecification"]
    assert stream.pop("StreamEnabled") is True  # which a template implies
    assert compared("Table", declared) == {
        **{name: found[name] for name in ("TableName", "AttributeDefinitions", "KeySchema")},
        "BillingMode": found["BillingModeSummary"]["BillingMode"],
        "StreamSpecification": stream,
    }


def test_every_resource_that_holds_or_moves_data_is_compared() -> None:
    """A new one needs a test here, or a reason why it is not local."""
    kinds = {
        *(
            "AWS::Kinesis::Stream",
            "AWS::KinesisFirehose::DeliveryStream",
            "AWS::S3::Bucket",
            "AWS::SQS::Queue",
        ),
        *("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::S3Tables::TableBucket"),
    }
    names = {
        next(value for key, value in one.properties.items() if key.endswith("Name") or key == "Name")
        for of in (REPORTING, SOURCE)
        for one in of.resources.values()
        if one.type in kinds
    }
    ours = {
        SETTINGS.stream,
        SETTINGS.delivery_stream,
        SETTINGS.log_bucket,
        SETTINGS.source_bucket,
        SETTINGS.queue,
    }
    others = {name for name in names - ours if "-access-" not in name and not name.endswith("-dead")}
    assert names >= ours
    assert others == set(), "access logs and the dead letters of the queue are not local; anything else is"
