"""Policies of buckets, queues, topics, keys and the stream: each statement is one of a reviewed list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cfn_templates import (
    POLICIES,
    Json,
    Statement,
    Template,
    World,
    conditions,
    documents,
    listed,
    statements,
    text,
)

from template_rules.endpoints import ENDPOINTS

ACCOUNT = {"StringEquals": {"aws:SourceAccount": ["${AWS::AccountId}"]}}
# `Bool` does not match where the key is absent, as it may be in calls that AWS services make; BoolIfExists,
# StringNotEquals and others would deny these.
WITHOUT_TLS = {"Bool": {"aws:SecureTransport": ["false"]}}
VIA = "{}.${{AWS::Region}}.${{AWS::URLSuffix}}"
PREFIX = "arn:${AWS::Partition}:s3:::${Application}-${Environment}"
PLACE = "${AWS::AccountId}-${AWS::Region}"


def _form(
    effect: str, principal: Any, actions: str, resources: list[str], condition: Json | None = None
) -> Json:
    return {
        "Effect": effect,
        "Principal": principal,
        "Action": actions.split(),
        "Resource": resources,
        "Condition": condition or {},
    }


def _tls(actions: str, *resources: str) -> Json:
    return _form("Deny", "*", actions, [*resources], WITHOUT_TLS)


def _bucket(name: str) -> Json:
    return _tls("s3:*", f"${{{name}.Arn}}", f"${{{name}.Arn}}/*")


ROLES = {
    "ArnNotLike": {"aws:PrincipalArn": ["arn:${AWS::Partition}:iam::*:role/${Application}-${Environment}-*"]}
}


def _outside(*keys: str) -> Json:
    """Return the condition of a request from outside the firm for which all of these keys are false."""
    return {"NotIpAddress": {"aws:SourceIp": ["${FirmCidrs}"]}, "Bool": {key: ["false"] for key in keys}}


def _from_firm(name: str, *keys: str, **spared: Any) -> Json:
    condition = _outside(*keys, "aws:ViaAWSService") | spared
    return _form("Deny", "*", "s3:*", [f"${{{name}.Arn}}", f"${{{name}.Arn}}/*"], condition)


SECRET = [
    _tls("secretsmanager:*", "*"),
    _form("Deny", "*", "secretsmanager:*", ["*"], _outside("aws:ViaAWSService") | ROLES),
]


def _access_logs(prefix: str) -> Json:
    origin = {"ArnEquals": {"aws:SourceArn": [f"{PREFIX}-{prefix}-{PLACE}"]}}
    service = {"Service": ["logging.s3.amazonaws.com"]}
    return _form("Allow", service, "s3:PutObject", [f"${{AccessLogBucket.Arn}}/{prefix}/*"], ACCOUNT | origin)


SOURCES = {"AWS": ["${SourceAccounts}"]}
OWN = {"AWS": ["arn:${AWS::Partition}:iam::${AWS::AccountId}:root"]}
SCHEMAS = ["${LogBucket.Arn}/log/_schemas/*"]

ACCOUNT_DECIDES = _form("Allow", OWN, "kms:*", ["*"])
ALARMS_ENCRYPT = _form(
    "Allow", {"Service": ["cloudwatch.amazonaws.com"]}, "kms:Decrypt kms:GenerateDataKey*", ["*"], ACCOUNT
)
LOG_GROUPS_ENCRYPT = _form(
    "Allow",
    {"Service": [VIA.format("logs")]},
    "kms:Decrypt kms:Encrypt kms:GenerateDataKey* kms:ReEncrypt*",
    ["*"],
    {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": [
                "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/*/"
                "${Application}-${Environment}-*"
            ]
        }
    },
)
ALARMS_PUBLISH = _form(
    "Allow", {"Service": ["cloudwatch.amazonaws.com"]}, "sns:Publish", ["${AlarmTopic}"], ACCOUNT
)


MANAGED_FROM_FIRM = _form(
    "Deny",
    "*",
    "kms:CreateGrant kms:DisableKey kms:ScheduleKeyDeletion",
    ["*"],
    _outside("aws:ViaAWSService"),
)
KEY = [ACCOUNT_DECIDES, MANAGED_FROM_FIRM]
ACCESS_LOG_BUCKET = [_bucket("AccessLogBucket"), _from_firm("AccessLogBucket", "aws:PrincipalIsAWSService")]


def _sources_encrypt(service: str) -> Json:
    via = {"StringEquals": {"kms:ViaService": [VIA.format(service)]}}
    return _form("Allow", SOURCES, "kms:GenerateDataKey", ["*"], via)


OPERATIONS_KEY = [*KEY, ALARMS_ENCRYPT, LOG_GROUPS_ENCRYPT]
ALARM_TOPIC = [ALARMS_PUBLISH, _tls("sns:Publish", "${AlarmTopic}")]

REVIEWED: dict[str, list[Json]] = {
    "artifacts.ArtifactsKey": KEY,
    "artifacts.ArtifactsBucketPolicy": [_bucket("ArtifactsBucket"), _from_firm("ArtifactsBucket")],
    "replica.ReplicaKey": KEY,
    "replica.ReplicaBucketPolicy": [_bucket("ReplicaBucket"), _from_firm("ReplicaBucket", **ROLES)],
    "stream.StreamKey": [*KEY, _sources_encrypt("kinesis")],
    "stream.LogKey": [*KEY, _sources_encrypt("s3")],
    "stream.OperationsKey": OPERATIONS_KEY,
    "stream.AlarmTopicPolicy": ALARM_TOPIC,
    "stream.AccessLogBucketPolicy": [*ACCESS_LOG_BUCKET, _access_logs("log")],
    "stream.EventStreamPolicy": [
        _form(
            "Allow",
            SOURCES,
            "kinesis:ListShards kinesis:PutRecords",
            ["${EventStream.Arn}"],
            {"Bool": {"aws:SecureTransport": ["true"]}},
        )
    ],
    "stream.LogBucketPolicy": [
        _bucket("LogBucket"),
        _from_firm("LogBucket", **ROLES),
        _form(
            "Deny",
            "*",
            "s3:PutObject",
            SCHEMAS,
            {"Null": {"s3:if-none-match": ["true"]}, "Bool": {"s3:ObjectCreationOperation": ["true"]}},
        ),
        _form("Allow", SOURCES, "s3:PutObject", SCHEMAS, {"Null": {"s3:if-none-match": ["false"]}}),
    ],
    "source.SourceKey": [
        *KEY,
        _form("Allow", {"Service": ["s3.amazonaws.com"]}, "kms:Decrypt kms:GenerateDataKey", ["*"], ACCOUNT),
    ],
    "source.OperationsKey": OPERATIONS_KEY,
    "source.AlarmTopicPolicy": ALARM_TOPIC,
    "source.AccessLogBucketPolicy": [*ACCESS_LOG_BUCKET, _access_logs("source")],
    "source.SourceBucketPolicy": [_bucket("SourceBucket"), _from_firm("SourceBucket", **ROLES)],
    "source.FileQueuePolicy": [
        _form(
            "Allow",
            {"Service": ["s3.amazonaws.com"]},
            "sqs:SendMessage",
            ["${FileQueue.Arn}"],
            ACCOUNT | {"ArnEquals": {"aws:SourceArn": [f"{PREFIX}-source-{PLACE}"]}},
        ),
        _tls("sqs:*", "${FileQueue.Arn}"),
    ],
    "warehouse.WarehouseKey": KEY,
    "warehouse.ConsumerSecretPolicy": SECRET,
    "warehouse.RefresherSecretPolicy": SECRET,
    "source.DeadFileQueuePolicy": [_tls("sqs:*", "${DeadFileQueue.Arn}")],
}
"""The statements of each resource policy, and of no other."""
REVIEWED |= ENDPOINTS


def reviewed_statements(world: World) -> Iterator[str]:
    """Statements of resource policies that were not reviewed, and reviewed ones that are missing."""
    found: dict[str, list[Json]] = {}
    for template in world.values():
        for statement in statements(template):
            if statement.kind in POLICIES:
                found.setdefault(f"{template.name}.{statement.holder}", []).append(_normal(statement))
    for holder in sorted({*REVIEWED, *found}):
        reviewed, present = REVIEWED.get(holder, []), found.get(holder, [])
        yield from (f"{holder}: {form} was not reviewed" for form in present if form not in reviewed)
        yield from (f"{holder}: has no {form}" for form in reviewed if form not in present)


def _normal(statement: Statement) -> Json:
    body = statement.body
    extra = {key: body[key] for key in body if key not in ("Sid", "Effect", "Action", "Condition")}
    principal = extra.pop("Principal", None)
    extra.pop("Resource", None)
    if isinstance(principal, dict):
        principal = {kind: [text(value) for value in listed(values)] for kind, values in principal.items()}
    return {
        "Effect": body.get("Effect"),
        "Principal": principal,
        "Action": sorted(statement.actions),
        "Resource": statement.resources,
        "Condition": conditions(body),
    } | extra


PROTECTED = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
    "AWS::Kinesis::Stream": ("AWS::Kinesis::ResourcePolicy", "ResourceArn"),
    "AWS::SecretsManager::Secret": ("AWS::SecretsManager::ResourcePolicy", "SecretId"),
}


def attached(world: World) -> Iterator[str]:
    """Buckets, queues, topics and streams without a policy of their own."""
    for template in world.values():
        for type_, (policy, path) in PROTECTED.items():
            targets = [
                target
                for _, properties in template.of_type(policy)
                for reference in listed(properties[path])
                for target in _target(template, reference)
            ]
            for logical_id, _ in template.of_type(type_):
                if targets.count(logical_id) != 1:
                    yield f"{template.name}.{logical_id}: has {targets.count(logical_id)} policies"


def _target(template: Template, reference: object) -> Iterator[str]:
    if template.type_of(reference) is not None:
        yield text(reference).strip("${}").removesuffix(".Arn")


def versions(world: World) -> Iterator[str]:
    """Policies in the old language, in which variables are plain text."""
    for template in world.values():
        for logical_id, resource in template.resources.items():
            for document in documents(resource.get("Properties", {})):
                if document.get("Version") != "2012-10-17" or set(document) != {"Version", "Statement"}:
                    yield f"{template.name}.{logical_id}: a policy of another version or form"


RULES = (reviewed_statements, attached, versions)
