"""CloudFormation templates resolved as a deployment resolves them: parameters, pseudo-parameters, functions.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

_NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of functions: !Ref, !Sub, !GetAtt."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
# A template's dates, such as the version of a policy, are texts.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def load_template(path: Path) -> dict[str, Any]:
    """Return a template with every function in its long form."""
    return yaml.load(path.read_text(), _Loader)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Resource:
    """A resource of a stack, with what its properties resolve to. `id` is what Ref returns."""

    stack: str
    logical: str
    type: str
    account: str
    region: str
    id: str
    arn: str
    properties: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.stack}/{self.logical}"


@dataclass(frozen=True)
class Stack:
    """A template deployed under a name. `imports` are the exports of the other stacks of its account."""

    name: str
    template: Mapping[str, Any]
    account: str
    region: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    imports: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    """ARNs of resources that exist, by logical name: those of secrets end with what AWS chooses."""

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """The resources whose condition holds, by logical name."""
        wanted = {
            logical: body
            for logical, body in self.template["Resources"].items()
            if self._holds(body.get("Condition"))
        }
        return {logical: self._resource(logical, body) for logical, body in wanted.items()}

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """The outputs whose condition holds."""
        return {
            name: self.resolve(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
            if self._holds(output.get("Condition"))
        }

    @property
    def exports(self) -> dict[str, Any]:
        """The outputs as other stacks import them."""
        return {
            self.resolve(output["Export"]["Name"]): self.outputs[name]
            for name, output in self.template.get("Outputs", {}).items()
            if "Export" in output and name in self.outputs
        }

    def resolve(self, value: Any) -> Any:
        """Return a value without functions."""
        if isinstance(value, list):
            return [each for item in value if (each := self.resolve(item)) is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
        pairs = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in pairs.items() if item is not _NO_VALUE}

    def parameter(self, name: str) -> Any:
        """Return the value of a parameter, or its default."""
        declared = self.template["Parameters"][name]
        value = self.parameters.get(name, declared.get("Default"))
        assert value is not None, f"{self.name}: the parameter {name} has neither a value nor a default"
        if "List" in declared["Type"] and isinstance(value, str):
            return [part.strip() for part in value.split(",")] if value else []
        return str(value)

    def ref(self, name: str) -> Any:
        """Return what Ref returns."""
        if name.startswith("AWS::"):
            return self._pseudo(name)
        if name in self.template.get("Parameters", {}):
            return self.parameter(name)
        return self._identity(name)[0]

    def attribute(self, logical: str, attribute: str) -> str:
        """Return what GetAtt returns: ARNs as AWS forms them; anything else is only unique."""
        if (
            attribute in ("Arn", "TopicArn", "SecretArn", "StreamArn")
            and logical in self.template["Resources"]
        ):
            arn = self._identity(logical)[1]
            return f"{arn}/stream/2026-01-01T00:00:00.000" if attribute == "StreamArn" else arn
        return f"{self._identity(logical)[0]}.{attribute}"

    def _pseudo(self, name: str) -> Any:
        values = {
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::Partition": "aws",
            "AWS::StackName": self.name,
            "AWS::StackId": f"arn:aws:cloudformation:{self.region}:{self.account}:stack/{self.name}/0",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": _NO_VALUE,
        }
        return values[name]

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.resolve(self.template["Conditions"][condition]))

    def _resource(self, logical: str, body: Mapping[str, Any]) -> Resource:
        identity, arn = self._identity(logical)
        properties = self.resolve(body.get("Properties", {}))
        return Resource(
            self.name, logical, body["Type"], self.account, self.region, identity, arn, properties
        )

    def _identity(self, logical: str) -> tuple[str, str]:
        """Return what Ref and GetAtt Arn return for a resource."""
        if logical in self.known:
            return self.known[logical], self.known[logical]
        body = self.template["Resources"][logical]
        service, pattern, names = _FORMS.get(body["Type"], ("cloudformation", "{name}", ()))
        properties = body.get("Properties", {})
        given = (self.resolve(properties[name]) for name in names if name in properties)
        name = next((each for each in given if each is not _NO_VALUE), f"{self.name}-{logical}-1A2B3C")
        region = "" if service in ("s3", "iam") else self.region
        account = "" if service == "s3" else self.account
        arn = f"arn:aws:{service}:{region}:{account}:{pattern.format(name=name)}"
        if body["Type"] == "AWS::SQS::Queue":
            return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{name}", arn
        return (arn if body["Type"] in _REF_IS_ARN else str(name)), arn


_FORMS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "AWS::S3::Bucket": ("s3", "{name}", ("BucketName",)),
    "AWS::Kinesis::Stream": ("kinesis", "stream/{name}", ("Name",)),
    "AWS::KinesisFirehose::DeliveryStream": ("firehose", "deliverystream/{name}", ("DeliveryStreamName",)),
    "AWS::SQS::Queue": ("sqs", "{name}", ("QueueName",)),
    "AWS::SNS::Topic": ("sns", "{name}", ("TopicName",)),
    "AWS::KMS::Key": ("kms", "key/{name}", ()),
    "AWS::KMS::Alias": ("kms", "{name}", ("AliasName",)),
    "AWS::IAM::Role": ("iam", "role/{name}", ("RoleName",)),
    "AWS::IAM::ManagedPolicy": ("iam", "policy/{name}", ("ManagedPolicyName",)),
    "AWS::Lambda::Function": ("lambda", "function:{name}", ("FunctionName",)),
    "AWS::DynamoDB::Table": ("dynamodb", "table/{name}", ("TableName",)),
    "AWS::Logs::LogGroup": ("logs", "log-group:{name}:*", ("LogGroupName",)),
    "AWS::Logs::LogStream": ("logs", "log-stream:{name}", ("LogStreamName",)),
    "AWS::SecretsManager::Secret": ("secretsmanager", "secret:{name}-AbCdEf", ("Name",)),
    "AWS::ECS::Cluster": ("ecs", "cluster/{name}", ("ClusterName",)),
    "AWS::ECS::TaskDefinition": ("ecs", "task-definition/{name}:1", ("Family",)),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "alarm:{name}", ("AlarmName",)),
    "AWS::EC2::Instance": ("ec2", "instance/{name}", ()),
    "AWS::IAM::InstanceProfile": ("iam", "instance-profile/{name}", ()),
    "AWS::RDS::DBInstance": ("rds", "db:{name}", ("DBInstanceIdentifier",)),
    "AWS::Events::Rule": ("events", "rule/{name}", ("Name",)),
    "AWS::Scheduler::Schedule": ("scheduler", "schedule/default/{name}", ("Name",)),
}
_REF_IS_ARN = {
    "AWS::SNS::Topic",
    "AWS::IAM::ManagedPolicy",
    "AWS::SecretsManager::Secret",
    "AWS::ECS::TaskDefinition",
}


def _sub(stack: Stack, argument: Any) -> str:
    text, values = argument if isinstance(argument, list) else (argument, {})

    def value(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        if name in values:
            return str(stack.resolve(values[name]))
        logical, dot, attribute = name.partition(".")
        return str(stack.attribute(logical, attribute) if dot else stack.ref(name))

    return _VARIABLE.sub(value, text)


def _get_att(stack: Stack, argument: Any) -> str:
    logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return stack.attribute(logical, attribute)


def _if(stack: Stack, argument: Any) -> Any:
    condition, yes, no = argument
    return stack.resolve(yes if stack.resolve({"Condition": condition}) else no)


def _join(stack: Stack, argument: Any) -> str:
    separator, parts = argument
    return str(separator).join(str(part) for part in stack.resolve(parts))


def _select(stack: Stack, argument: Any) -> Any:
    number, values = argument
    return stack.resolve(values)[int(stack.resolve(number))]


def _split(stack: Stack, argument: Any) -> list[str]:
    separator, text = argument
    return str(stack.resolve(text)).split(separator)


def _find(stack: Stack, argument: Any) -> Any:
    name, first, second = (stack.resolve(each) for each in argument)
    return stack.resolve(stack.template["Mappings"][name][first][second])


def _import(stack: Stack, argument: Any) -> Any:
    name = stack.resolve(argument)
    assert name in stack.imports, f"{stack.name} imports {name}, which no stack of its account exports"
    return stack.imports[name]


def _equals(stack: Stack, argument: Any) -> bool:
    left, right = stack.resolve(argument)
    return str(left) == str(right)


_FUNCTIONS: Mapping[str, Callable[[Stack, Any], Any]] = {
    "Ref": lambda stack, name: stack.ref(name),
    "Condition": lambda stack, name: stack.resolve(stack.template["Conditions"][name]),
    "Fn::Sub": _sub,
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find,
    "Fn::ImportValue": _import,
    "Fn::Equals": _equals,
    "Fn::Not": lambda stack, argument: not stack.resolve(argument[0]),
    "Fn::And": lambda stack, argument: all(stack.resolve(each) for each in argument),
    "Fn::Or": lambda stack, argument: any(stack.resolve(each) for each in argument),
    "Fn::Base64": lambda stack, argument: stack.resolve(argument),
    "Fn::GetAZs": lambda stack, argument: [f"{stack.region}{zone}" for zone in "abc"],
}
