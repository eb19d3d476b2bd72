"""The CloudFormation templates as plain values, and their intrinsic functions as short texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "cfn"

Json = dict[str, Any]

IMPORTED = {
    "SourceStack": "source",
    "StreamStack": "stream",
    "ProducersStack": "producers",
    "ConsumersStack": "consumers",
    "NetworkStack": "network",
}
"""Parameters that name a stack, and the template of that stack."""
NO_VALUE = {"Ref": "AWS::NoValue"}


class _Loader(yaml.SafeLoader):
    """A safe loader that also reads the short forms of intrinsic functions."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> Json:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@dataclass(frozen=True, slots=True)
class Template:
    """One template: its name, which is that of its file, and its parsed body."""

    name: str
    body: Json

    @property
    def resources(self) -> Json:
        return self.body["Resources"]  # type: ignore[no-any-return]

    @property
    def parameters(self) -> Json:
        return self.body.get("Parameters", {})  # type: ignore[no-any-return]

    @property
    def outputs(self) -> Json:
        return self.body.get("Outputs", {})  # type: ignore[no-any-return]

    def of_type(self, *types: str) -> Iterator[tuple[str, Json]]:
        """Yield logical id and properties of the resources of these types."""
        for logical_id, resource in self.resources.items():
            if resource["Type"] in types:
                yield logical_id, resource.get("Properties", {})

    def type_of(self, reference: object) -> str | None:
        """Return the type of the resource that `!Ref` or `!GetAtt` refers to; None for anything else."""
        if isinstance(reference, dict) and len(reference) == 1:
            (function, value), *_ = reference.items()
            name = value[0] if function == "Fn::GetAtt" else value if function == "Ref" else None
            return self.resources.get(name, {}).get("Type") if isinstance(name, str) else None
        return None


World = Mapping[str, Template]
"""All templates of an installation by name; those that are rendered included."""


def parse(text: str) -> Json:
    """Return the body of a template."""
    body = yaml.load(text, _Loader)  # a SafeLoader
    assert isinstance(body, dict)
    return body


def load_world() -> dict[str, Template]:
    """Return the templates that are written by hand, and a rendered one in both of its forms."""
    world = {
        file.stem: Template(file.stem, parse(file.read_text())) for file in sorted(FOLDER.glob("*.yaml"))
    }
    return world | rendered()


def rendered() -> dict[str, Template]:
    """Return tables.yaml for tables that exist, and for tables that the stack creates; and feeds.yaml."""
    from headwater.deployment.feeds import feeds_template
    from headwater.deployment.tables import tables_template
    from schemas.sources.dynamodb import KeyAttribute

    tables = {
        "accounts": [KeyAttribute("accountId", "S")],
        "usage.events-1": [KeyAttribute("accountId", "S"), KeyAttribute("at", "N")],
    }
    key = "arn:aws:kms:eu-west-2:000000000000:key/0"
    bodies = {
        "tables": tables_template(tables, create=False, table_keys=[key]),
        "tables-created": tables_template(tables, create=True),
        "feeds": feeds_template({"school": 26, "links.v-2": 168}),
    }
    return {name: Template(name, json.loads(json.dumps(body))) for name, body in bodies.items()}


def copy_world(world: World) -> dict[str, Template]:
    return {name: Template(name, deepcopy(template.body)) for name, template in world.items()}


def text(value: Any) -> str:
    """Return a value as a text in which equal references have equal texts.

    `${Name}` is a parameter or resource, `${Name.Arn}` an attribute, `${SourceStack:Name}` an imported value.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    ((function, argument),) = value.items()
    if function == "Ref":
        return f"${{{argument}}}"
    if function == "Fn::GetAtt":
        return f"${{{'.'.join(argument)}}}"
    if function == "Fn::ImportValue":
        return f"${{{re.sub(r'[${}]', '', text(argument))}}}"
    if function == "Fn::Sub":
        return _substituted(argument)
    if function == "Fn::FindInMap":
        return f"${{{':'.join(re.sub(r'[${}]', '', text(part)) for part in argument)}}}"
    return json.dumps(value, sort_keys=True)


def _substituted(argument: Any) -> str:
    if isinstance(argument, str):
        return argument
    pattern, variables = argument
    return re.sub(
        r"\$\{([^}]+)\}",
        lambda match: text(variables[match[1]]) if match[1] in variables else match[0],
        pattern,
    )


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def branches(value: Any, condition: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values that an `!If` can have, with their conditions; any other value alone."""
    if isinstance(value, dict) and "Fn::If" in value:
        name, then, otherwise = value["Fn::If"]
        yield from branches(then, f"{condition}{name}")
        yield from branches(otherwise, f"{condition}!{name}")
    elif value != NO_VALUE:
        yield condition, value


class Statement(NamedTuple):
    """One statement of a policy, with texts in place of intrinsic functions."""

    template: str
    holder: str
    """Logical id of the resource that has the policy."""
    kind: str
    """identity, trust, or the type of the resource that a resource policy is about."""
    body: Json
    condition: str = ""
    """Name of the condition under which it applies, with `!` in front where it must be false."""

    @property
    def sid(self) -> str:
        return str(self.body.get("Sid", "?"))

    @property
    def where(self) -> str:
        return f"{self.template}.{self.holder}.{self.sid}"

    @property
    def actions(self) -> list[str]:
        return listed(self.body.get("Action", []))

    @property
    def resources(self) -> list[str]:
        return [text(resource) for resource in listed(self.body.get("Resource", []))]


POLICIES = {
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::Kinesis::ResourcePolicy": "ResourcePolicy",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::EC2::VPCEndpoint": "PolicyDocument",
    "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
}
"""Types of resources that have or are a resource policy, and the property that has it."""


def statements(template: Template) -> Iterator[Statement]:
    """Yield all statements of a template's policies, of all branches of conditions."""
    for logical_id, resource in template.resources.items():
        for kind, document in _documents(resource):
            for statement in listed(document.get("Statement", [])):
                for condition, body in branches(statement):
                    yield Statement(template.name, logical_id, kind, body, condition)


def _documents(resource: Json) -> Iterator[tuple[str, Json]]:
    properties, type_ = resource.get("Properties", {}), resource["Type"]
    if type_ == "AWS::IAM::Role":
        yield "trust", properties["AssumeRolePolicyDocument"]
        yield from (("identity", policy["PolicyDocument"]) for policy in properties.get("Policies", ()))
    elif type_ in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy"):
        yield "identity", properties["PolicyDocument"]
    elif POLICIES.get(type_) in properties:
        yield type_, properties[POLICIES[type_]]


def conditions(body: Json) -> Json:
    """Return the condition of a statement with texts in place of intrinsic functions."""
    return {
        operator: {key: [text(value) for value in listed(values)] for key, values in keys.items()}
        for operator, keys in body.get("Condition", {}).items()
    }


def normal(value: Any) -> Any:
    """Return a value with texts in place of intrinsic functions, except `Fn::If`."""
    if isinstance(value, list):
        return [normal(item) for item in value]
    if not isinstance(value, dict):
        return value
    if (
        len(value) == 1
        and (name := next(iter(value))) != "Fn::If"
        and (name == "Ref" or name.startswith("Fn::"))
    ):
        return text(value)
    return {key: normal(item) for key, item in value.items()}


def differences(where: str, found: Any, expected: Any) -> Iterator[str]:
    """Yield how a value differs from an expected one. A compiled pattern stands for texts that it matches."""
    if isinstance(expected, re.Pattern):
        if not isinstance(found, str) or not expected.fullmatch(found):
            yield f"{where}: {found!r}, not {expected.pattern}"
    elif isinstance(expected, dict) and isinstance(found, dict):
        yield from _members(where, found, expected)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from differences(f"{where}[{number}]", one, other)
    elif (type(found), found) != (type(expected), expected):
        yield f"{where}: {found!r}, not {expected!r}"


def _members(where: str, found: Json, expected: Json) -> Iterator[str]:
    for key in sorted({*expected, *found}):
        if key not in found:
            yield f"{where}.{key}: missing, not {expected[key]}"
        elif key not in expected:
            yield f"{where}.{key}: {found[key]}, not reviewed"
        else:
            yield from differences(f"{where}.{key}", found[key], expected[key])


def documents(value: Any) -> Iterator[Json]:
    """Yield the policy documents anywhere inside a value."""
    if isinstance(value, dict):
        if "Statement" in value:
            yield value
        for item in value.values():
            yield from documents(item)
    elif isinstance(value, list):
        for item in value:
            yield from documents(item)
