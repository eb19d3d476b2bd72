"""The replica of the log in a second region: what S3 replicates, by which role and condition."""

from __future__ import annotations

import re

from cfn_templates import Json, text

HAS = "HasReplica"
RULE = "log-of-record"
LOG_BY_NAME = "arn:${AWS::Partition}:s3:::${Application}-${Environment}-log-${AWS::AccountId}-${AWS::Region}"
"""The log bucket, which refers to the role that names it."""
REPLICATED = "log*"
"""Events, errors and schemas. Dead letters and summaries expire, and would not in the replica."""
CONFIGURATION: Json = {
    "Fn::If": [
        HAS,
        {
            "Role": "${ReplicationRole.Arn}",
            "Rules": [
                {
                    "Id": RULE,
                    "Status": "Enabled",
                    "Priority": 1,
                    "Filter": {"Prefix": REPLICATED.removesuffix("*")},
                    # What somebody deletes in the log stays in the replica.
                    "DeleteMarkerReplication": {"Status": "Disabled"},
                    # Without it S3 skips objects that are encrypted with a key of KMS.
                    "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                    "Destination": {
                        "Bucket": "${ReplicaBucketArn}",
                        "EncryptionConfiguration": {"ReplicaKmsKeyID": "${ReplicaKeyArn}"},
                        "Metrics": {"Status": "Enabled"},
                    },
                }
            ],
        },
        "${AWS::NoValue}",
    ]
}


def _part(number: int, arn: str) -> Json:
    return {"Fn::Select": [number, {"Fn::Split": [":", {"Ref": arn}]}]}


REPLICA_NAME = text(_part(5, "ReplicaBucketArn"))
VIA_REPLICA = f"s3.{text(_part(3, 'ReplicaKeyArn'))}.${{AWS::URLSuffix}}"
"""S3 in the region of the replica."""
DIMENSIONS = {"SourceBucket": "${LogBucket}", "DestinationBucket": REPLICA_NAME, "RuleId": RULE}
NEEDS: dict[str, set[str]] = {
    LOG_BY_NAME: {"s3:GetReplicationConfiguration", "s3:ListBucket"},
    f"{LOG_BY_NAME}/{REPLICATED}": {
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging",
    },
    f"${{ReplicaBucketArn}}/{REPLICATED}": {"s3:ReplicateObject", "s3:ReplicateTags"},
    "${ReplicaKeyArn}": {"kms:Encrypt"},
}
"""By resource: the actions of the role."""


def _needs(one: str, other: str) -> Json:
    given, needed = ({"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]} for name in (one, other))
    return {
        "RuleCondition": given,
        "Assertions": [{"Assert": needed, "AssertDescription": re.compile(".{40,}")}],
    }


RULES_OF_STREAM: Json = {
    "KeyOfTheReplica": _needs("ReplicaBucketArn", "ReplicaKeyArn"),
    "BucketOfTheReplica": _needs("ReplicaKeyArn", "ReplicaBucketArn"),
}
"""CloudFormation refuses a bucket of the replica without its key, and a key without the bucket."""
