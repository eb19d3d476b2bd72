"""The endpoints of the VPC: their services, and what their policies let through."""

from __future__ import annotations

from typing import Any

from cfn_templates import Json

ARN = "arn:${AWS::Partition}"
HERE = "${AWS::Region}:${AWS::AccountId}"
NAME = "${Application}-${Environment}"
OWN_CALLERS = {"aws:PrincipalAccount": ["${AWS::AccountId}"]}

GATEWAYS = {
    "S3Endpoint": ("s3", ["Consumer", "Producer", "Workbench"]),
    "DynamoDbEndpoint": ("dynamodb", ["Producer"]),
}
"""Gateways: the service, and the roles whose route tables lead to it."""
INTERFACES = {
    "KinesisEndpoint": "kinesis-streams",
    "FirehoseEndpoint": "kinesis-firehose",
    "SecretsEndpoint": "secretsmanager",
    "KmsEndpoint": "kms",
    "LogsEndpoint": "logs",
    "SsmEndpoint": "ssm",
    "SsmMessagesEndpoint": "ssmmessages",
    "Ec2MessagesEndpoint": "ec2messages",
    "EcrApiEndpoint": "ecr.api",
    "EcrDkrEndpoint": "ecr.dkr",
    "MailEndpoint": "email-smtp",
}
WITHOUT_POLICY = {"MailEndpoint"}


def _allow(actions: str, *resources: str, condition: Json | None = None) -> Json:
    return {
        "Effect": "Allow",
        "Principal": "*",
        "Action": actions.split(),
        "Resource": [*resources],
        "Condition": {"StringEquals": OWN_CALLERS} if condition is None else condition,
    }


_OWN_BUCKETS = {"StringEquals": OWN_CALLERS | {"aws:ResourceAccount": ["${AWS::AccountId}"]}}
_IMAGES = [
    _allow(
        "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetDownloadUrlForLayer",
        f"{ARN}:ecr:{HERE}:repository/*",
    ),
    _allow("ecr:GetAuthorizationToken", "*"),
]
_SESSIONS = (
    "ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel ssmmessages:OpenControlChannel "
    "ssmmessages:OpenDataChannel"
)
_COMMANDS = (
    "ec2messages:AcknowledgeMessage ec2messages:DeleteMessage ec2messages:FailMessage "
    "ec2messages:GetEndpoint ec2messages:GetMessages ec2messages:SendReply"
)

_POLICIES: dict[str, list[Any]] = {
    "S3Endpoint": [
        _allow(
            "s3:AbortMultipartUpload s3:GetObject s3:ListBucket s3:PutObject",
            f"{ARN}:s3:::{NAME}-*",
            condition=_OWN_BUCKETS,
        ),
        _allow("s3:GetObject", f"{ARN}:s3:::prod-${{AWS::Region}}-starport-layer-bucket/*", condition={}),
        _allow(
            "s3:GetObject",
            f"{ARN}:s3:::amazon-ssm-${{AWS::Region}}/*",
            f"{ARN}:s3:::aws-ssm-${{AWS::Region}}/*",
            condition={},
        ),
    ],
    "DynamoDbEndpoint": [
        _allow(
            "dynamodb:DeleteItem dynamodb:GetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem",
            f"{ARN}:dynamodb:{HERE}:table/{NAME}-*",
        )
    ],
    "KinesisEndpoint": [
        _allow(
            "kinesis:DescribeStreamSummary kinesis:GetRecords kinesis:GetShardIterator kinesis:ListShards "
            "kinesis:PutRecords",
            "${StreamStack:StreamArn}",
        )
    ],
    "FirehoseEndpoint": [
        _allow(
            "firehose:DescribeDeliveryStream", f"{ARN}:firehose:{HERE}:deliverystream/{NAME}-events-to-log"
        )
    ],
    "SecretsEndpoint": [
        _allow(
            "secretsmanager:GetSecretValue",
            f"{ARN}:secretsmanager:{HERE}:secret:*",
        )
    ],
    "KmsEndpoint": [_allow("kms:Decrypt kms:GenerateDataKey", f"{ARN}:kms:{HERE}:key/*")],
    "LogsEndpoint": [
        _allow(
            "logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents",
            f"{ARN}:logs:{HERE}:log-group:/aws/*/{NAME}-*",
        ),
        _allow("logs:DescribeLogGroups", "*"),
    ],
    "SsmEndpoint": [_allow("ssm:UpdateInstanceInformation", "*")],
    "SsmMessagesEndpoint": [_allow(_SESSIONS, "*")],
    "Ec2MessagesEndpoint": [_allow(_COMMANDS, "*")],
    "EcrApiEndpoint": _IMAGES,
    "EcrDkrEndpoint": _IMAGES,
}
ENDPOINTS = {f"network.{name}": policy for name, policy in _POLICIES.items()}
"""The statements of each endpoint's policy, and of no other."""
