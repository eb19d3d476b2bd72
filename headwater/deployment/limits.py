"""Lengths of the physical names that the templates give, as far as they follow from the parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from headwater.deployment.stacks import Stack

# The limit of each service, from its page in the CloudFormation resource reference:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
LONGEST: Mapping[tuple[str, str], int] = {
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::ECS::Cluster", "ClusterName"): 255,
    ("AWS::ECS::TaskDefinition", "Family"): 255,
    ("AWS::Events::Rule", "Name"): 64,
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"): 128,
    ("AWS::IAM::Role", "RoleName"): 64,
    ("AWS::KMS::Alias", "AliasName"): 256,
    ("AWS::Kinesis::Stream", "Name"): 128,
    ("AWS::KinesisFirehose::DeliveryStream", "DeliveryStreamName"): 64,
    ("AWS::Lambda::Function", "FunctionName"): 64,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::S3::Bucket", "BucketName"): 63,
    ("AWS::SNS::Topic", "TopicName"): 256,
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::Scheduler::Schedule", "Name"): 64,
}
_STACK = 128


def too_long(stack: Stack, name: str) -> Iterator[str]:
    """Yield what is wrong with the stack's own name, and with those of its resources."""
    if len(name) > _STACK:
        yield f"the stack {name} has {len(name)} characters; allowed: at most {_STACK}"
    known = {
        "AWS::AccountId": stack.account,
        "AWS::Region": stack.region,
        "AWS::StackName": name,
        **{parameter: value.text for parameter, value in stack.values.items()},
    }
    for resource in stack.template.body["Resources"].values():
        for property_, value in resource.get("Properties", {}).items():
            limit = LONGEST.get((resource["Type"], property_))
            text = _text(value, known)
            if limit and text and len(text) > limit:
                kind = resource["Type"].removeprefix("AWS::").replace("::", " ")
                yield f"the {kind} {text} has {len(text)} characters; allowed: at most {limit}"


def _text(value: Any, known: Mapping[str, str]) -> str | None:
    """Return a property as text; None if it depends on what is not known here, such as a resource."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        return None
    (function, argument), *_ = value.items()
    if function == "Ref":
        return known.get(argument)
    if function != "Fn::Sub" or not isinstance(argument, str):
        return None
    names = re.findall(r"\$\{([^!}]+)\}", argument)
    if not all(name in known for name in names):
        return None
    return re.sub(r"\$\{([^!}]+)\}", lambda match: known[match[1]], argument)
