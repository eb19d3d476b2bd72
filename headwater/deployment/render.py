"""The files of a deployment as text: the same input gives the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headwater.deployment.deployment import PEERING, RENDERED, REPORTING, SOURCE, Deployment
from headwater.deployment.stacks import Stack

_HEAD = """\
# Rendered by `headwater cfn render` from deployment.toml and the entities. Change those, not this file.
"""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files by their paths, and those that wait for values."""

    files: Mapping[str, str]
    waiting: Mapping[str, tuple[str, ...]]
    """The parameters without a value, by the file that they belong to."""


def render(deployment: Deployment, stacks: Iterable[Stack]) -> Rendered:
    """Return the files: tags.json, and <account>/<template>.json with the values of all parameters.

    `aws cloudformation deploy` keeps the former value of a parameter that its file leaves out, so that every
    parameter is written, also with its default. A template without a value for one of them has no file.
    """
    files = {"tags.json": _tags(deployment)}
    waiting: dict[str, tuple[str, ...]] = {}
    for stack in stacks:
        path = f"{stack.account}/{stack.name}"
        if stack.template.name in RENDERED:
            files[f"{path}.yaml"] = _HEAD + _yaml(stack.template.body)
        if stack.missing:
            waiting[f"{path}.json"] = stack.missing
        else:
            files[f"{path}.json"] = _parameters(stack)
    return Rendered(dict(sorted(files.items())), waiting)


def is_rendered(path: str) -> bool:
    """Return whether a path below the folder is that of a file which `render` writes for some deployment."""
    rendered = "|".join(RENDERED)
    names = "|".join((*REPORTING, *SOURCE, *RENDERED, rf"{PEERING}-[0-9]{{12}}"))
    return re.fullmatch(rf"tags\.json|[0-9]{{12}}/(({rendered})\.yaml|({names})\.json)", path) is not None


def _tags(deployment: Deployment) -> str:
    # `--tags` takes this form only: the text of each is NAME=VALUE.
    return _lines(
        json.dumps(f"{name}={value}", ensure_ascii=False) for name, value in sorted(deployment.tags.items())
    )


def _parameters(stack: Stack) -> str:
    # One line for each parameter, so that a diff shows what changed.
    return _lines(
        json.dumps({"ParameterKey": name, "ParameterValue": value.text}, ensure_ascii=False)
        for name, value in sorted(stack.values.items())
    )


def _lines(items: Iterable[str]) -> str:
    return "[\n  " + ",\n  ".join(items) + "\n]\n"


def _yaml(body: object) -> str:
    import yaml

    # An anchor for a value that is used twice would be harder to read.
    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    return str(yaml.dump(body, Dumper=dumper, sort_keys=False, width=110, allow_unicode=True))
