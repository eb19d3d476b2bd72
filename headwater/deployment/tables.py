"""The template of an account's DynamoDB tables: one event source mapping for each, which discards nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headwater.deployment.forms import Json, description, imported, logical_id, notified, parameters
from schemas.sources.dynamodb import KeyAttribute

_RETENTION_MS = 24 * 60 * 60 * 1000  # of a DynamoDB stream; it cannot be changed
_ALARMS = {"Half": 50, "Most": 80}  # per cent of the retention
_POLICY_SIZE = 6_000
"""Characters of a managed policy. IAM allows 6,144 without white space:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
_READ = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
_TABLE = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table"
_RETAIN = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def stream_parameter(table: str) -> str:
    """Return the name of the parameter for the ARN of a table's stream."""
    return logical_id("Stream", table)


def tables_template(
    tables: Mapping[str, Sequence[KeyAttribute]], *, create: bool, table_keys: Iterable[str] = ()
) -> Json:
    """Return the template.

    Args:
        tables: Tables with their keys, hash attribute first.
        create: Create the tables, which are retained when the stack is deleted.
        table_keys: ARNs of the customer managed keys of existing tables.
    """
    names = sorted(tables)
    resources: Json = {}
    if create:
        resources |= {logical_id("Table", name): _table(name, tables[name]) for name in names}
    policies = _policies(names, create, sorted(table_keys))
    resources |= policies
    resources |= {logical_id("Mapping", name): _mapping(name, create, policies) for name in names}
    resources |= {f"DynamoDbProducerBehind{name}Alarm": _alarm(percent) for name, percent in _ALARMS.items()}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Headwater, tables: the event source mappings of an account's DynamoDB tables.",
        "Parameters": _parameters([] if create else names),
        "Resources": resources,
    }


def _parameters(tables: Iterable[str]) -> Json:
    shared = parameters(("Application", "Environment", "SourceStack", "ProducersStack", "RunbookUrl"))
    return shared | {stream_parameter(table): _stream_parameter(table) for table in tables}


def _stream_parameter(table: str) -> Json:
    name = table.replace(".", r"\.")
    return {
        "Type": "String",
        "Description": f"ARN of the stream of the table {table}",
        "AllowedPattern": rf"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{{12}}:table/{name}/stream/.+",
        "ConstraintDescription": f"the ARN of a stream of the table {table}",
    }


def _stream(table: str, create: bool) -> Json:
    if create:
        return {"Fn::GetAtt": [logical_id("Table", table), "StreamArn"]}
    return {"Ref": stream_parameter(table)}


def _mapping(table: str, create: bool, policies: Mapping[str, Any]) -> Json:
    """Return the mapping of a table. It retries until a record expires, which the alarms announce."""
    # -1 is for ever: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "DependsOn": sorted(policies),  # Lambda refuses a mapping whose function cannot read the stream
        "Properties": {
            "FunctionName": imported("ProducersStack", "DynamoDbProducerArn"),
            "EventSourceArn": _stream(table, create),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 1000,
            "MaximumBatchingWindowInSeconds": 1,
            "ParallelizationFactor": 1,  # one batch of a shard at a time
            "BisectBatchOnFunctionError": False,
            "MaximumRetryAttempts": -1,
            "MaximumRecordAgeInSeconds": -1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        },
    }


def _policies(tables: Sequence[str], create: bool, table_keys: Sequence[str]) -> Json:
    """Return the managed policies for the streams: as many as their sizes require."""
    groups: list[list[str]] = []
    size = _POLICY_SIZE
    for table in tables:
        # The two ARNs of a table, with everything in them but its name.
        needed = 2 * len(table) + 170
        if size + needed > _POLICY_SIZE:
            groups.append([])
            size = 600  # actions, the rest of the statements
        groups[-1].append(table)
        size += needed
    policies = {f"ReadStreams{number}": _policy(group, create) for number, group in enumerate(groups, 1)}
    keys: list[Any] = [imported("SourceStack", "SourceKeyArn")] if create else [*table_keys]
    if keys and tables:
        policies["DecryptStreams"] = _managed([_decrypt(keys)])
    return policies


def _policy(tables: Sequence[str], create: bool) -> Json:
    streams = [_stream(table, create) for table in tables]
    # ListStreams is asked about a table, before any stream is known:
    # https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    listed = [{"Fn::Sub": f"{_TABLE}/{table}/stream/*"} for table in tables]
    return _managed(
        [
            {"Sid": "ReadStreams", "Effect": "Allow", "Action": [*_READ], "Resource": streams},
            {"Sid": "ListStreams", "Effect": "Allow", "Action": "dynamodb:ListStreams", "Resource": listed},
        ]
    )


def _decrypt(keys: Sequence[Any]) -> Json:
    # A stream is encrypted with the key of its table, and DynamoDB uses the caller's right to that key:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    # https://docs.aws.amazon.com/kms/latest/developerguide/services-dynamodb.html
    return {
        "Sid": "DecryptStreams",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": [*keys],
        "Condition": {
            "StringEquals": {"kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}}
        },
    }


def _managed(statements: list[Json]) -> Json:
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "Roles": [imported("ProducersStack", "DynamoDbProducerRoleName")],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
        },
    }


def _alarm(percent: int) -> Json:
    """Return the alarm for records that are older than a share of the retention, after which they are lost.

    IteratorAge is a metric of the function, so that one alarm guards all of its mappings:
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    function = "${Application}-${Environment}-dynamodb-producer"
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": f"{function}-behind-{percent}"},
            "AlarmDescription": description(
                f"The DynamoDB producer is {percent} % of the 24 hours behind for which DynamoDB keeps "
                "changes. Those that it has not read by then are lost: read its log, and correct the cause.",
                f"dynamodb-producer-behind-{percent}",
            ),
            "Namespace": "AWS/Lambda",
            "MetricName": "IteratorAge",
            "Dimensions": [{"Name": "FunctionName", "Value": {"Fn::Sub": function}}],
            "Statistic": "Maximum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": _RETENTION_MS * percent // 100,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",  # a table without changes has no age
            **notified(),
        },
    }


def _table(table: str, key: Sequence[KeyAttribute]) -> Json:
    return {
        "Type": "AWS::DynamoDB::Table",
        **_RETAIN,
        "Properties": {
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": attribute.name, "AttributeType": attribute.type} for attribute in key
            ],
            "KeySchema": [
                {"AttributeName": attribute.name, "KeyType": kind}
                for attribute, kind in zip(key, ("HASH", "RANGE"), strict=False)
            ],
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "DeletionProtectionEnabled": True,
            "SSESpecification": {
                "SSEEnabled": True,
                "SSEType": "KMS",
                "KMSMasterKeyId": imported("SourceStack", "SourceKeyArn"),
            },
        },
    }
