"""docs/deploy.md: its commands fit the templates, the rendered files and the services of AWS."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_commands import aws_commands, missing_options, options, scripts, unknown_options
from aws_endpoint import Aws
from deployments import example

from headwater import cli
from headwater.deployment.templates import Template, load_templates, read_template
from schemas.catalog.loader import SAMPLE_ENTITIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
TEXT = "\n".join(scripts(PAGE))
COMMANDS = aws_commands(PAGE)
ELSEWHERE = [
    command
    for name in ("warehouse", "workbench", "firm-addresses")
    for command in aws_commands((ROOT / "docs" / f"{name}.md").read_text())
]
"""Commands of pages about parts of a deployment."""
DEPLOYS = [command for command in COMMANDS if command[1:3] == ["cloudformation", "deploy"]]
SIDES = ("producers", "consumers", "refresher")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader has it who has built the packages and configured a replay."""
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copytree(SAMPLE_ENTITIES, folder / "home" / "entities")
    text = example()
    digest = f'replay = {{ ImageDigest = "sha256:{"0" * 64}", WarehouseSecretArn = "{_secret(text)}" }}'
    replaying = text.replace("[reporting]\n", f"[reporting]\n{digest}\n")
    (folder / "home" / "deployment.toml").write_text(replaying)
    (folder / "dist" / "lambda").mkdir(parents=True)
    names = [f"{side}-arm64" for side in SIDES]
    manifest = {f"{name}.zip": {"sha256": "0" * 64, "key": f"{name}-{'0' * 12}.zip"} for name in names}
    (folder / "dist" / "lambda" / "manifest.json").write_text(json.dumps(manifest))
    (folder / "cfn").symlink_to(ROOT / "cfn")
    packages = str(folder / "dist" / "lambda")
    assert cli.main(["cfn", "render", "--home", str(folder / "home"), "--packages", packages]) == 0
    return folder


def _secret(text: str) -> str:
    (arn,) = re.findall(r'WarehouseSecretArn = "(.*)"', text)
    return str(arn)


def test_the_page_has_the_commands_that_are_checked_here() -> None:
    assert len(COMMANDS) == TEXT.count("aws ") - TEXT.count("/aws ")
    assert len(DEPLOYS) >= 8


@pytest.mark.parametrize("command", [*COMMANDS, *ELSEWHERE], ids=lambda command: " ".join(command[1:5]))
def test_an_aws_command_exists_with_its_options(command: list[str]) -> None:
    assert not unknown_options(command)
    assert not missing_options(command)


@pytest.mark.parametrize("command", DEPLOYS, ids=lambda command: options(command)["stack-name"])
def test_a_deployment_fits_the_template_and_the_rendered_files(command: list[str], home: Path) -> None:
    given = options(command)
    file = home / given["template-file"]
    template = read_template(file)
    assert given["stack-name"] == f"headwater-prod-{template.name}"
    assert ("capabilities" in given) is makes_roles(template)
    parameters = json.loads((home / given["parameter-overrides"].removeprefix("file://")).read_text())
    assert [one["ParameterKey"] for one in parameters] == sorted(template.parameters)
    for one in parameters:
        assert template.parameters[one["ParameterKey"]].allowed(one["ParameterValue"]) is None
    assert json.loads((home / given["tags"].removeprefix("file://")).read_text())
    account = given["parameter-overrides"].split("/")[-2]
    assert account == {"reporting": "111122223333", "source": "444455556666"}[given["profile"]]
    assert file.stat().st_size <= 51_200 or "s3-bucket" in given


def makes_roles(template: Template) -> bool:
    return any(one["Type"].startswith("AWS::IAM::") for one in template.body["Resources"].values())


def test_every_rendered_file_is_deployed(home: Path) -> None:
    written = {
        file.relative_to(home).as_posix()
        for file in (home / "home" / "deployment").rglob("*")
        if file.is_file()
    }
    assert written == {
        word.removeprefix("file://") for command in DEPLOYS for word in command if "home/" in word
    }


def test_the_reader_sees_what_the_page_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first render, before there are packages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADWATER_HOME", raising=False)
    shutil.copytree(SAMPLE_ENTITIES, "home/entities")
    shutil.copy(ROOT / "cfn" / "example.deployment.toml", "home/deployment.toml")
    assert cli.main(["deploy", "check", "--home", "home", "artifacts", "stream", "source"]) == 0
    assert cli.main(["deploy", "check", "--home", "home"]) == 2  # the packages are missing
    capsys.readouterr()
    assert cli.main(["cfn", "render", "--home", "home"]) == 0
    printed = capsys.readouterr()
    (shown,) = (text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S) if not kind)
    assert shown == printed.out + printed.err
    assert cli.main(["cfn", "render", "--home", "home", "--check"]) == 0


def test_a_complete_example_can_be_deployed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packages = str(home / "dist" / "lambda")
    assert cli.main(["deploy", "check", "--home", str(home / "home"), "--packages", packages]) == 0
    stacks = int(capsys.readouterr().err.split(" stacks can be deployed")[0].split()[-1])
    assert f"{stacks - 1} stacks can be deployed" in PAGE  # the page comes to replay later


def test_the_page_lists_what_is_retained() -> None:
    section = PAGE.partition("| stack | retained |")[2].partition("\n\n")[0]
    listed = dict(re.findall(r"^\| (\w+) \| (.*) \|$", section, re.M))
    for template in load_templates().values():
        retained = {
            name for name, one in template.body["Resources"].items() if one.get("DeletionPolicy") == "Retain"
        }
        assert {*re.findall(r"`(\w+)`", listed.get(template.name, ""))} == retained, template.name


# The commands themselves, by the AWS CLI


def aws_cli() -> str | None:
    """The AWS CLI of HEADWATER_TEST_AWS or of the path, if it is version 2."""
    path = os.environ.get("HEADWATER_TEST_AWS") or shutil.which("aws")
    if path is None:
        return None
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return path if version.startswith("aws-cli/2") else None


def deployable() -> Iterator[list[str]]:
    """Deployments without `--profile`, up to the change set, each stack once."""
    seen = set()
    for command in DEPLOYS:
        words = shlex.split(re.sub(r"--profile \w+ |--s3-\w+ \S+ ?", "", shlex.join(command)))
        if tuple(words) not in seen:
            seen.add(tuple(words))
            yield [*words[1:], "--no-execute-changeset"]


@pytest.mark.parametrize("words", list(deployable()), ids=lambda words: words[3])
def test_the_aws_cli_takes_the_rendered_files(words: list[str], home: Path, aws: Aws) -> None:
    path = aws_cli()
    if path is None:
        pytest.skip("there is no AWS CLI 2: install it, or name it by HEADWATER_TEST_AWS")
    name = options(["", *words])["stack-name"]
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = subprocess.run(
        [path, *(f"{word}-{aws.suffix}" if word == name else word for word in words)],
        cwd=home,
        env={**os.environ, **keys, "AWS_ENDPOINT_URL": aws.endpoint, "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (change_set,) = re.findall(r"--change-set-name (\S+)", done.stdout)
    cloudformation = aws.client("cloudformation")
    made = cloudformation.describe_change_set(ChangeSetName=change_set)
    (stack,) = cloudformation.describe_stacks(StackName=made["StackName"])["Stacks"]
    given = options(["", *words])
    parameters = json.loads((home / given["parameter-overrides"].removeprefix("file://")).read_text())
    assert sorted(made["Parameters"], key=lambda one: str(one["ParameterKey"])) == parameters
    tags = json.loads((home / given["tags"].removeprefix("file://")).read_text())
    assert sorted(f"{tag['Key']}={tag['Value']}" for tag in stack["Tags"]) == tags
