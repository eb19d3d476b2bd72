"""Mistakes about the firm's addresses."""

from typing import Any

from cfn_templates import Template
from mutations import DELETED, Mutation, put, statement

LOG, ACCESS, KEY = "stream/LogBucketPolicy", "stream/AccessLogBucketPolicy", "stream/LogKey"
OUTSIDE = {"NotIpAddress": {"aws:SourceIp": {"Ref": "FirmCidrs"}}}
NOT_VIA = {"Bool": {"aws:ViaAWSService": "false"}}
ROLES = {"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/${Application}-${Environment}-*"}
SPARED = {"ArnNotLike": {"aws:PrincipalArn": ROLES}}


def _condition(name: str, place: str, *parts: dict[str, Any]) -> Mutation:
    merged = {operator: keys for part in parts for operator, keys in part.items()}
    return statement(name, place, Condition=merged)


def _always(template: Template) -> None:
    """Take the condition away under which the statement applies."""
    statements = template.resources["LogBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    statements[:] = [one["Fn::If"][1] if "Fn::If" in one else one for one in statements]


FIRM: tuple[Mutation, ...] = (
    put("no restriction", "stream/Resources/LogBucketPolicy/Properties/PolicyDocument/Statement/1", DELETED),
    put("no restriction of a key", "source/Resources/SourceKey/Properties/KeyPolicy/Statement/1", DELETED),
    Mutation("restricted to no range", "stream", _always),
    statement("access in place of refusal", f"{LOG}/OnlyFromFirm", Effect="Allow"),
    statement("reading alone", f"{LOG}/OnlyFromFirm", Action="s3:GetObject"),
    statement("objects alone", f"{LOG}/OnlyFromFirm", Resource={"Fn::Sub": "${LogBucket.Arn}/*"}),
    statement("one principal alone", f"{LOG}/OnlyFromFirm", Principal={"AWS": {"Ref": "SourceAccounts"}}),
    _condition("the firm itself", f"{LOG}/OnlyFromFirm", {"IpAddress": OUTSIDE["NotIpAddress"]}, NOT_VIA),
    _condition("Firehose locked out of the log", f"{LOG}/OnlyFromFirm", OUTSIDE, NOT_VIA),
    _condition("deployments locked out", f"{LOG}/OnlyFromFirm", OUTSIDE, SPARED),
    _condition(
        "requests without the key", f"{LOG}/OnlyFromFirm", OUTSIDE, SPARED, {"BoolIfExists": NOT_VIA["Bool"]}
    ),
    _condition(
        "every role spared",
        f"{LOG}/OnlyFromFirm",
        OUTSIDE,
        NOT_VIA,
        {"ArnNotLike": {"aws:PrincipalArn": {"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/*"}}},
    ),
    _condition(
        "every VPC spared",
        f"{LOG}/OnlyFromFirm",
        OUTSIDE,
        NOT_VIA,
        SPARED,
        {"Null": {"aws:SourceVpc": "true"}},
    ),
    _condition("access logs locked out", f"{ACCESS}/OnlyFromFirm", OUTSIDE, NOT_VIA),
    statement("a key closed to its administrators", f"{KEY}/ManagedFromFirm", Action="kms:*"),
    statement(
        "the policy of a key",
        f"{KEY}/ManagedFromFirm",
        Action=["kms:CreateGrant", "kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"],
    ),
    statement("a key deleted from anywhere", f"{KEY}/ManagedFromFirm", Action=["kms:CreateGrant"]),
    _condition("RDS and EC2 without grants", f"{KEY}/ManagedFromFirm", OUTSIDE),
    put("any range", "stream/Parameters/FirmCidrs/AllowedPattern", ".*"),
    put("the whole internet", "source/Parameters/FirmCidrs/AllowedPattern", "([0-9.]+/[0-9]+)?"),
    put(
        "the condition inverted",
        "artifacts/Conditions/HasFirmCidrs",
        {"Fn::Equals": [{"Fn::Join": ["", {"Ref": "FirmCidrs"}]}, ""]},
    ),
)
