"""A template with its parameters filled in: what CloudFormation creates, as far as it is known beforehand.

What only AWS knows stays symbolic: references to resources, their attributes, and imported values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.deployment.templates import Parameter, Template

Json = Mapping[str, Any]
_NO_VALUE = {"Ref": "AWS::NoValue"}
_IN_TEXT = re.compile(r"\$\{([^!}][^}]*)\}")
_MODEL = ("Type", "DeletionPolicy", "UpdateReplacePolicy", "DependsOn", "Metadata", "Properties")
"""Attributes of a resource whose change is a change of the stack."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The resources and outputs whose conditions are true. All scalars are text, as parameters are."""

    resources: Mapping[str, Json]
    outputs: Mapping[str, Any]


def resolve(template: Template, values: Mapping[str, str], pseudo: Mapping[str, str]) -> Resolved:
    """Return the template with these values.

    Args:
        template: The template.
        values: Values of parameters; one without a value stays symbolic.
        pseudo: Values of pseudo parameters, such as `AWS::Region`.
    """
    resolver = _Resolver(template, {**pseudo, **values})
    body = template.body
    resources = {
        name: {part: resolver.value(resource[part]) for part in _MODEL if part in resource}
        for name, resource in body.get("Resources", {}).items()
        if resolver.is_active(resource)
    }
    outputs = {
        name: resolver.value({part: output[part] for part in ("Value", "Export") if part in output})
        for name, output in body.get("Outputs", {}).items()
        if resolver.is_active(output)
    }
    return Resolved(resources, outputs)


def references(value: Any) -> Iterator[str]:
    """Yield the logical ids that a resolved value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "Ref" and isinstance(item, str):
                yield item
            elif name == "Fn::GetAtt" and isinstance(item, list):
                yield str(item[0])
            elif name == "Fn::Sub" and isinstance(item, str):
                yield from (found.partition(".")[0] for found in _IN_TEXT.findall(item))
            else:
                yield from references(item)


class _Resolver:
    """Evaluates the intrinsic functions of one template."""

    def __init__(self, template: Template, values: Mapping[str, str]) -> None:
        self._values = values
        self._parameters: Mapping[str, Parameter] = template.parameters
        self._conditions: Json = template.body.get("Conditions", {})
        self._mappings: Json = template.body.get("Mappings", {})
        self._functions: Mapping[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._attribute,
            "Fn::Sub": self._substitute,
            "Fn::If": self._choose,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find,
        }

    def is_active(self, part: Json) -> bool:
        """Return whether the condition of a resource or output is true."""
        return "Condition" not in part or self._is_true({"Condition": part["Condition"]})

    def value(self, node: Any) -> Any:
        """Return a value with everything in it evaluated that can be."""
        if isinstance(node, list):
            items = [self.value(item) for item in node]
            return [item for item in items if item != _NO_VALUE]
        if not isinstance(node, dict):
            return _text(node)
        if len(node) == 1:
            (name, argument), *_ = node.items()
            if name in self._functions:
                return self._functions[name](argument)
        members = {name: self.value(item) for name, item in node.items()}
        return {name: item for name, item in members.items() if item != _NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name not in self._values:
            return {"Ref": name}
        text = self._values[name]
        is_list = name in self._parameters and self._parameters[name].is_list
        return [part.strip() for part in text.split(",")] if is_list else text

    def _attribute(self, argument: Any) -> Any:
        return {"Fn::GetAtt": argument.split(".", 1) if isinstance(argument, str) else self.value(argument)}

    def _substitute(self, argument: Any) -> Any:
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        own = {name: self.value(item) for name, item in variables.items()}

        def replace(match: re.Match[str]) -> str:
            found = own.get(match[1], self._values.get(match[1], match[0]))
            return found if isinstance(found, str) else _in_text(found)

        result = _IN_TEXT.sub(replace, text)
        return {"Fn::Sub": result} if _IN_TEXT.search(result) else result

    def _choose(self, argument: Any) -> Any:
        name, then, otherwise = argument
        return self.value(then if self._is_true({"Condition": name}) else otherwise)

    def _join(self, argument: Any) -> Any:
        separator, parts = argument[0], self.value(argument[1])
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return str(separator).join(parts)
        return {"Fn::Join": [separator, parts]}

    def _select(self, argument: Any) -> Any:
        index, items = self.value(argument[0]), self.value(argument[1])
        if isinstance(index, str) and isinstance(items, list) and int(index) < len(items):
            return items[int(index)]
        return {"Fn::Select": [index, items]}

    def _split(self, argument: Any) -> Any:
        separator, text = argument[0], self.value(argument[1])
        return text.split(separator) if isinstance(text, str) else {"Fn::Split": [separator, text]}

    def _find(self, argument: Any) -> Any:
        names = self.value(argument)
        found: Any = self._mappings
        for name in names:
            known = isinstance(found, Mapping) and isinstance(name, str)
            found = {str(key): item for key, item in found.items()}.get(name) if known else None
        return {"Fn::FindInMap": names} if found is None else self.value(found)

    def _is_true(self, condition: Any) -> bool:
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self._is_true(self._conditions[argument])
        if function == "Fn::Equals":
            return bool(self.value(argument[0]) == self.value(argument[1]))
        if function == "Fn::Not":
            return not self._is_true(argument[0])
        if function == "Fn::And":
            return all(self._is_true(one) for one in argument)
        return any(self._is_true(one) for one in argument)  # Fn::Or is the last one


def _in_text(symbolic: Json) -> str:
    """Return a symbolic value as a part of a text: as `Fn::Sub` writes references, and otherwise as JSON."""
    if "Ref" in symbolic:
        return f"${{{symbolic['Ref']}}}"
    if "Fn::GetAtt" in symbolic:
        return f"${{{'.'.join(symbolic['Fn::GetAtt'])}}}"
    return json.dumps(symbolic, sort_keys=True)


def _text(scalar: Any) -> Any:
    """Return a scalar as CloudFormation passes it: `true` and 168 are texts."""
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)
