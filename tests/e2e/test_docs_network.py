"""docs/network.md: its file is complete, and its commands fit AWS, the templates and what is rendered."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import Any

import pytest
from deployments import COMPLETE, planned
from test_docs_deploy import ROOT, makes_roles, options, test_an_aws_command_exists_with_its_options

from headwater.deployment.render import render
from headwater.deployment.templates import read_template

PAGE = (ROOT / "docs" / "network.md").read_text()
TEXT = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)).replace("\\\n", " ")
COMMANDS = [shlex.split(line) for line in TEXT.splitlines() if line.startswith("aws ")]
DEPLOYS = [command for command in COMMANDS if command[1:3] == ["cloudformation", "deploy"]]


def shown() -> dict[str, Any]:
    """The complete deployment with the page's file, later lines included."""
    text = "\n".join(re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S))
    values = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.M))
    (source,) = values["source"]
    return {
        **COMPLETE,
        "parameters": {**COMPLETE["parameters"], **values["parameters"]},
        "reporting": {**COMPLETE["reporting"], **values["reporting"]},
        "source": [{**COMPLETE["source"][0], **source}],
    }


def test_nothing_is_wrong_with_the_file_of_the_page() -> None:
    assert planned(shown())[2] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[1:5]))
def test_an_aws_command_of_the_page_exists(command: list[str]) -> None:
    test_an_aws_command_exists_with_its_options(command)


@pytest.mark.parametrize("command", DEPLOYS, ids=lambda command: options(command)["stack-name"])
def test_a_stack_of_the_page_is_rendered(command: list[str]) -> None:
    given = options(command)
    deployment, stacks, _ = planned(shown())
    path = given["parameter-overrides"].removeprefix("file://home/deployment/")
    (stack,) = (one for one in stacks if f"{one.account}/{one.name}.json" == path)
    assert path in render(deployment, stacks).files
    template = read_template(ROOT / given["template-file"])
    assert (template.name, given["stack-name"]) == (stack.template.name, deployment.stack(stack.name))
    assert ("capabilities" in given) is makes_roles(template)
    assert given["profile"] == (
        "reporting" if stack.account == COMPLETE["reporting"]["account"] else "source"
    )
