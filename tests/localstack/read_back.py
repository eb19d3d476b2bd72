"""Deployed resources as their own APIs report them, in the form of the template's properties.

CREATE_COMPLETE of an emulator proves little: properties that it does not know are dropped in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import read_private
from botocore.exceptions import ClientError

Properties: TypeAlias = Mapping[str, Any]
Client: TypeAlias = Callable[[str], Any]
"""Returns a client of a service in the resource's account."""

_ABSENT = [
    "404",
    "NoSuch",
    "NotFound",
    "NotExist",
    "NonExistent",
    "ServerSideEncryptionConfigurationNotFoundError",
    "InvalidKeyId",
]


def read(kind: str, reference: str, wanted: Properties, client: Client) -> Properties | None:
    """The properties of a resource; None where it does not exist.

    `reference` is what Ref returns; `wanted` are the template's properties, which name what it belongs to.
    """
    try:
        return READERS[kind](reference, wanted, client)
    except ClientError as error:
        if any(word in error.response["Error"]["Code"] for word in _ABSENT):
            return None
        raise


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """The paths of properties that are not as wanted. What is found beyond them does not count."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name, value in wanted.items():
            yield from differences(value, found.get(name), f"{path}.{name}" if path else name)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for one, other in zip(_sorted(wanted), _sorted(found), strict=True):
            yield from differences(one, other, path)
    elif _plain(wanted) != _plain(found):
        yield path


def _sorted(values: list[Any]) -> list[Any]:
    return sorted(values, key=lambda value: json.dumps(_plain(value), sort_keys=True, default=str))


def _plain(value: Any) -> Any:
    """Texts for numbers and booleans, which templates may write either way."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bool):
        return str(value).lower()
    return (
        str(int(value))
        if isinstance(value, float) and value.is_integer()
        else value
        if value is None
        else str(value)
    )


def _key(reference: str, _: Properties, client: Client) -> Properties | None:
    kms = client("kms")
    found = kms.describe_key(KeyId=reference)["KeyMetadata"]
    if found["KeyState"] == "PendingDeletion":
        return None
    return {
        "Description": found["Description"],
        "EnableKeyRotation": kms.get_key_rotation_status(KeyId=reference)["KeyRotationEnabled"],
        "KeyPolicy": json.loads(kms.get_key_policy(KeyId=reference, PolicyName="default")["Policy"]),
    }


def _alias(reference: str, _: Properties, client: Client) -> Properties | None:
    for page in client("kms").get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"] == reference:
                return {"AliasName": reference, "TargetKeyId": alias.get("TargetKeyId")}
    return None


def _stream(reference: str, _: Properties, client: Client) -> Properties:
    found = client("kinesis").describe_stream_summary(StreamName=reference)["StreamDescriptionSummary"]
    return {
        "Name": found["StreamName"],
        "RetentionPeriodHours": found["RetentionPeriodHours"],
        "ShardCount": found["OpenShardCount"],
        "StreamModeDetails": found.get("StreamModeDetails"),
        "StreamEncryption": {"EncryptionType": found.get("EncryptionType"), "KeyId": found.get("KeyId")},
    }


def _stream_policy(_: str, wanted: Properties, client: Client) -> Properties | None:
    answer = client("kinesis").get_resource_policy(ResourceARN=wanted["ResourceArn"])
    policy = json.loads(answer.get("Policy") or "{}")
    return {"ResourceArn": wanted["ResourceArn"], "ResourcePolicy": policy} if policy else None


def _bucket(reference: str, _: Properties, client: Client) -> Properties:
    s3, bucket = client("s3"), {"Bucket": reference}
    s3.head_bucket(**bucket)

    def get(what: str, member: str | None = None) -> Any:
        try:
            answer = getattr(s3, f"get_{what}")(**bucket)
        except ClientError:
            return None
        answer.pop("ResponseMetadata")
        return answer[member] if member else answer

    logging = (get("bucket_logging") or {}).get("LoggingEnabled") or {}
    rules = (get("bucket_encryption", "ServerSideEncryptionConfiguration") or {}).get("Rules", [])
    lock = get("object_lock_configuration", "ObjectLockConfiguration")
    return {
        "BucketName": reference,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [_encryption(rule) for rule in rules]},
        "LifecycleConfiguration": {
            "Rules": [_rule(rule) for rule in (get("bucket_lifecycle_configuration") or {}).get("Rules", [])]
        },
        "LoggingConfiguration": {
            "DestinationBucketName": logging.get("TargetBucket"),
            "LogFilePrefix": logging.get("TargetPrefix"),
        },
        "NotificationConfiguration": {
            "QueueConfigurations": [
                _notification(each, event)
                for each in get("bucket_notification_configuration").get("QueueConfigurations", [])
                for event in each["Events"]
            ]
        },
        "ObjectLockEnabled": lock is not None,
        "ObjectLockConfiguration": lock,
        "OwnershipControls": get("bucket_ownership_controls", "OwnershipControls"),
        "PublicAccessBlockConfiguration": get("public_access_block", "PublicAccessBlockConfiguration"),
        "VersioningConfiguration": {"Status": get("bucket_versioning").get("Status")},
    }


def _encryption(rule: Mapping[str, Any]) -> Properties:
    return {
        "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
        "ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"],
    }


def _rule(rule: Mapping[str, Any]) -> Properties:
    return {
        "Id": rule["ID"],
        "Status": rule["Status"],
        "Prefix": rule.get("Prefix") or rule.get("Filter", {}).get("Prefix"),
        "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
        "NoncurrentVersionExpiration": rule.get("NoncurrentVersionExpiration"),
        "AbortIncompleteMultipartUpload": rule.get("AbortIncompleteMultipartUpload"),
    }


def _notification(found: Mapping[str, Any], event: str) -> Properties:
    rules = found["Filter"]["Key"]["FilterRules"]
    lowered = [{"Name": rule["Name"].lower(), "Value": rule["Value"]} for rule in rules]
    return {"Event": event, "Queue": found["QueueArn"], "Filter": {"S3Key": {"Rules": lowered}}}


def _bucket_policy(_: str, wanted: Properties, client: Client) -> Properties:
    policy = client("s3").get_bucket_policy(Bucket=wanted["Bucket"])["Policy"]
    return {"Bucket": wanted["Bucket"], "PolicyDocument": json.loads(policy)}


def _log_group(reference: str, _: Properties, client: Client) -> Properties | None:
    for group in client("logs").describe_log_groups(logGroupNamePrefix=reference)["logGroups"]:
        if group["logGroupName"] == reference:
            return {
                "LogGroupName": reference,
                "KmsKeyId": group.get("kmsKeyId"),
                "RetentionInDays": group.get("retentionInDays"),
            }
    return None


def _log_stream(_: str, wanted: Properties, client: Client) -> Properties | None:
    found = client("logs").describe_log_streams(logGroupName=wanted["LogGroupName"])["logStreams"]
    names = [stream["logStreamName"] for stream in found]
    return wanted if wanted["LogStreamName"] in names else None


def _role(reference: str, wanted: Properties, client: Client) -> Properties:
    iam = client("iam")
    found = iam.get_role(RoleName=reference)["Role"]
    names = iam.list_role_policies(RoleName=reference)["PolicyNames"]
    policies = iam.list_attached_role_policies(RoleName=reference)["AttachedPolicies"]
    attached = [policy["PolicyArn"] for policy in policies]
    return {
        "Description": found.get("Description"),
        "AssumeRolePolicyDocument": found["AssumeRolePolicyDocument"],
        # Templates attach policies to the roles of other templates.
        "ManagedPolicyArns": [arn for arn in wanted.get("ManagedPolicyArns", []) if arn in attached],
        "Policies": [
            {
                "PolicyName": name,
                "PolicyDocument": iam.get_role_policy(RoleName=reference, PolicyName=name)["PolicyDocument"],
            }
            for name in names
        ],
    }


def _managed_policy(reference: str, _: Properties, client: Client) -> Properties:
    iam = client("iam")
    policy = iam.get_policy(PolicyArn=reference)["Policy"]
    version = iam.get_policy_version(PolicyArn=reference, VersionId=policy["DefaultVersionId"])
    roles = iam.list_entities_for_policy(PolicyArn=reference, EntityFilter="Role")["PolicyRoles"]
    return {
        "Description": policy.get("Description"),
        "PolicyDocument": version["PolicyVersion"]["Document"],
        "Roles": [role["RoleName"] for role in roles],
    }


def _delivery(reference: str, _: Properties, client: Client) -> Properties:
    answer = client("firehose").describe_delivery_stream(DeliveryStreamName=reference)
    found = answer["DeliveryStreamDescription"]
    return {
        "DeliveryStreamName": found["DeliveryStreamName"],
        "DeliveryStreamType": found["DeliveryStreamType"],
        "KinesisStreamSourceConfiguration": found["Source"]["KinesisStreamSourceDescription"],
        "ExtendedS3DestinationConfiguration": found["Destinations"][0]["ExtendedS3DestinationDescription"],
    }


def _topic(reference: str, _: Properties, client: Client) -> Properties:
    found = client("sns").get_topic_attributes(TopicArn=reference)["Attributes"]
    return {"TopicName": reference.rpartition(":")[2], "KmsMasterKeyId": found.get("KmsMasterKeyId")}


def _topic_policy(_: str, wanted: Properties, client: Client) -> Properties:
    found = client("sns").get_topic_attributes(TopicArn=wanted["Topics"][0])["Attributes"]
    return {"Topics": wanted["Topics"], "PolicyDocument": json.loads(found["Policy"])}


def _alarm(reference: str, _: Properties, client: Client) -> Properties | None:
    found = client("cloudwatch").describe_alarms(AlarmNames=[reference])["MetricAlarms"]
    return found[0] if found else None


def _queue(reference: str, wanted: Properties, client: Client) -> Properties:
    found = client("sqs").get_queue_attributes(QueueUrl=reference, AttributeNames=["All"])["Attributes"]
    return {
        **found,
        "QueueName": found["QueueArn"].rpartition(":")[2],
        "RedrivePolicy": json.loads(found.get("RedrivePolicy", "null")),
    }


def _queue_policy(_: str, wanted: Properties, client: Client) -> Properties | None:
    url = wanted["Queues"][0]
    answer = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    policy = answer.get("Attributes", {}).get("Policy")
    return {"Queues": wanted["Queues"], "PolicyDocument": json.loads(policy)} if policy else None


def _function(reference: str, wanted: Properties, client: Client) -> Properties:
    answer = client("lambda").get_function(FunctionName=reference)
    found = dict(answer["Configuration"])
    found["Code"] = wanted["Code"]  # the API only has a copy, whose behaviour the test sees
    found["ReservedConcurrentExecutions"] = answer.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    return found


def _mapping(reference: str, wanted: Properties, client: Client) -> Properties:
    found = dict(client("lambda").get_event_source_mapping(UUID=reference))
    found["FunctionName"] = found["FunctionArn"]
    found["Enabled"] = found["State"] in ("Enabled", "Enabling", "Creating")
    return found


def _calls(_: str, wanted: Properties, client: Client) -> Properties:
    found = client("lambda").get_function_event_invoke_config(
        FunctionName=wanted["FunctionName"], Qualifier=wanted["Qualifier"]
    )
    return {
        **wanted,
        **{name: found.get(name) for name in ("MaximumEventAgeInSeconds", "MaximumRetryAttempts")},
    }


def _schedule(reference: str, _: Properties, client: Client) -> Properties:
    found: Properties = client("scheduler").get_schedule(Name=reference)
    return found


def _table(reference: str, _: Properties, client: Client) -> Properties:
    dynamodb = client("dynamodb")
    found = dynamodb.describe_table(TableName=reference)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=reference)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    encryption = found.get("SSEDescription", {})
    return {
        **found,
        "BillingMode": found.get("BillingModeSummary", {}).get("BillingMode"),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery == "ENABLED"},
        "SSESpecification": {
            "SSEEnabled": encryption.get("Status") == "ENABLED",
            "SSEType": encryption.get("SSEType"),
            "KMSMasterKeyId": encryption.get("KMSMasterKeyArn"),
        },
    }


READERS: Mapping[str, Callable[[str, Properties, Client], Properties | None]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::DynamoDB::Table": _table,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Alias": _alias,
    "AWS::KMS::Key": _key,
    "AWS::Kinesis::ResourcePolicy": _stream_policy,
    "AWS::Kinesis::Stream": _stream,
    "AWS::KinesisFirehose::DeliveryStream": _delivery,
    "AWS::Lambda::EventInvokeConfig": _calls,
    "AWS::Lambda::EventSourceMapping": _mapping,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Logs::LogStream": _log_stream,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::Scheduler::Schedule": _schedule,
    **read_private.READERS,
}
