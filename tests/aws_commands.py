"""Commands of the AWS CLI as documents show them, checked against the service models of botocore."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name

OF_THE_CLI = {"profile", "query", "output", "cli-binary-format", "region"}
# Commands of the AWS CLI that are not operations of a service, with their options.
CUSTOM = {
    ("cloudformation", "deploy"): {
        *("stack-name", "template-file", "tags", "capabilities", "parameter-overrides"),
        *("s3-bucket", "s3-prefix"),
    },
    ("cloudformation", "wait"): {"stack-name"},
    ("s3", "cp"): set(),
    ("s3", "ls"): {"recursive", "summarize"},
    ("s3", "sync"): {"exclude"},
    ("logs", "tail"): {"follow", "since", "filter-pattern"},
    ("ecr", "get-login-password"): set(),
}
RENAMED = {
    "notification-endpoint": "endpoint"
}  # `--endpoint` is an abbreviation of an option of all commands


def scripts(page: str) -> list[str]:
    """The shell blocks of a page, also inside lists, with each command on one line."""
    found = re.findall(r"^( *)```sh\n(.*?)^\1```$", page, re.M | re.S)
    return [re.sub(r" *\\\n *", " ", text) for _, text in found]


def aws_commands(page: str) -> list[list[str]]:
    """The `aws` commands of a page, as words; also those inside `$(...)`."""
    return [
        shlex.split(found.group(1) or found.group(2))
        for text in scripts(page)
        for found in re.finditer(r"\$\((aws [^()]*(?:\([^()]*\))?[^()]*)\)|^ *(aws .*)$", text, re.M)
    ]


def options(command: list[str]) -> dict[str, str]:
    """The options of a command with their values; "" for one that has none."""
    found = {}
    for place, word in enumerate(command):
        if word.startswith("--"):
            following = command[place + 1] if place + 1 < len(command) else "--"
            found[word[2:]] = "" if following.startswith("--") else following
    return found


def unknown_options(command: list[str]) -> set[str]:
    """Options that the operation does not have. Raises KeyError for an operation that does not exist."""
    service, operation = command[1:3]
    given = {RENAMED.get(name, name) for name in options(command)} - OF_THE_CLI
    if (service, operation) in CUSTOM:
        return given - CUSTOM[service, operation]
    model, names = _model(service)
    members: dict[str, Any] = {**(model.operation_model(names[operation]).input_shape or model).members}
    known = {xform_name(name, "-") for name in members}
    flags = {f"no-{xform_name(name, '-')}" for name, shape in members.items() if shape.type_name == "boolean"}
    return given - known - flags


@cache
def _model(service: str) -> tuple[Any, dict[str, str]]:
    """The model of a service as the CLI calls it, and its operations by their names in the CLI."""
    name = "s3" if service == "s3api" else service
    model = botocore.session.get_session().get_service_model(name)
    return model, {xform_name(name, "-"): name for name in model.operation_names}


def missing_options(command: list[str]) -> set[str]:
    """Options that the operation requires and the command lacks."""
    service, operation = command[1:3]
    if (service, operation) in CUSTOM:
        return set()
    model, names = _model(service)
    shape = model.operation_model(names[operation]).input_shape
    given = {RENAMED.get(name, name) for name in options(command)}
    return {xform_name(name, "-") for name in (shape.required_members if shape else ())} - given
