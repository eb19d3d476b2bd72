"""The CloudFormation templates as data: their parameters, and the names of what they create."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.catalog.files import read_text
from schemas.errors import ConfigurationError

FOLDER = Path(__file__).parents[2] / "cfn"  # the same place in a checkout and in an installed package


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as a template declares it."""

    name: str
    type: str
    default: str | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()
    lengths: tuple[float, float] = (0, float("inf"))
    range: tuple[float, float] = (float("-inf"), float("inf"))
    constraint: str | None = None
    """What the template's author says about the allowed values."""

    @property
    def is_list(self) -> bool:
        """True if a value is several, with commas between them."""
        return self.type == "CommaDelimitedList" or self.type.startswith("List<")

    def allowed(self, value: str) -> str | None:
        """Return what is allowed instead of this value, or None if CloudFormation would take it.

        AllowedPattern must match a whole value, and each value of a list:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
        """
        parts = [part.strip() for part in value.split(",")] if self.is_list else [value]
        rule = next((rule for part in parts for rule in self._broken(part)), None)
        return rule and (self.constraint or rule)

    def _broken(self, value: str) -> Iterable[str]:
        if self.values and value not in self.values:
            yield ", ".join(self.values)
        if self.pattern and not re.fullmatch(self.pattern, value):
            yield f"text that matches {self.pattern}"
        if not self.lengths[0] <= len(value) <= self.lengths[1]:
            yield f"{self.lengths[0]:g} to {self.lengths[1]:g} characters"
        if self.type in ("Number", "List<Number>"):
            yield from self._broken_number(value)

    def _broken_number(self, value: str) -> Iterable[str]:
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            yield "a whole number"  # all of them count or measure in whole units
        elif not self.range[0] <= int(value) <= self.range[1]:
            yield f"a number from {self.range[0]:g} to {self.range[1]:g}"


@dataclass(frozen=True, slots=True)
class Template:
    """A template: its file's name without the suffix, its parameters in order, and the whole as values."""

    name: str
    parameters: Mapping[str, Parameter]
    body: Mapping[str, Any]


def load_templates(folder: Path = FOLDER) -> Mapping[str, Template]:
    """Return the templates of a folder by their names. Raises ConfigurationError."""
    if find_spec("yaml") is None:
        raise ConfigurationError("PyYAML is not installed: run `pip install 'headwater[deploy]'`")
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigurationError(f"{folder}: found no template; allowed: the folder cfn/ of Headwater")
    return {file.stem: read_template(file) for file in files}


def template_of(name: str, body: Mapping[str, Any]) -> Template:
    """Return a template from its values."""
    declared = body.get("Parameters", {})
    return Template(name, {key: _parameter(key, value) for key, value in declared.items()}, body)


def read_template(file: Path) -> Template:
    """Return the template of a file. Raises ConfigurationError."""
    try:
        text = read_text(file)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    return template_of(file.stem, read_body(text, str(file)))


def read_body(text: str, where: str) -> Mapping[str, Any]:
    """Return the values of a template's text, YAML or JSON; none for an empty text.

    Raises ConfigurationError.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_loader()) or {}
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: {error}") from None


@cache
def _loader() -> Any:
    """Return a SafeLoader that reads the short forms of CloudFormation's functions as the long ones."""
    import yaml

    def function(loader: Any, tag: str, node: Any) -> dict[str, Any]:
        name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
        if isinstance(node, yaml.ScalarNode):
            return {name: loader.construct_scalar(node)}
        if isinstance(node, yaml.SequenceNode):
            return {name: loader.construct_sequence(node, deep=True)}
        return {name: loader.construct_mapping(node, deep=True)}

    def text(loader: Any, node: Any) -> Any:
        return loader.construct_scalar(node)

    # The one in C, where libyaml is, is ten times as fast.
    loader: Any = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    loader.add_multi_constructor("!", function)
    loader.add_constructor("tag:yaml.org,2002:timestamp", text)  # the version of a policy looks like a date
    return loader


def _parameter(name: str, declared: Mapping[str, Any]) -> Parameter:
    infinity = float("inf")
    return Parameter(
        name=name,
        type=declared["Type"],
        default=_text(declared["Default"]) if "Default" in declared else None,
        pattern=declared.get("AllowedPattern"),
        values=tuple(map(_text, declared.get("AllowedValues", ()))),
        lengths=(float(declared.get("MinLength", 0)), float(declared.get("MaxLength", infinity))),
        range=(float(declared.get("MinValue", -infinity)), float(declared.get("MaxValue", infinity))),
        constraint=declared.get("ConstraintDescription"),
    )


def _text(value: object) -> str:
    """Return a scalar of YAML as CloudFormation passes it: `true` is the text true."""
    return str(value).lower() if isinstance(value, bool) else str(value)
