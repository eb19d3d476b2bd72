"""`headwater env` against CloudFormation of the embedded AWS."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from headwater.cli import main
from headwater.commands.deployment.env import VARIABLES
from schemas.settings import read_settings

REGION = "eu-west-1"
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/headwater-test-events"


@pytest.fixture(autouse=True)
def shell(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


def deploy(aws: Any, stem: str, **outputs: str) -> str:
    """Deploy a stack with these outputs; return its name."""
    name: str = aws.name(stem)
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    return name


def exported(text: str) -> dict[str, str]:
    lines = [shlex.split(line) for line in text.splitlines()]
    assert all(line[0] == "export" and len(line) == 2 for line in lines)
    return dict(line[1].split("=", 1) for line in lines)


def test_the_outputs_of_all_stacks_are_printed_as_a_shell_reads_them(
    aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = deploy(aws, "stream", StreamArn=ARN, LogBucketName="log", StreamKeyArn="arn:aws:kms:x")
    source = deploy(aws, "source", SourceBucketName="source", QueueArn="arn:aws:sqs:x")
    consumers = deploy(aws, "consumers", WarehouseDatabase="a database; $(rm -rf /)", LogBucketName="log")
    assert main(["env", "--stack", stream, "--stack", source, "--stack", consumers]) == 0
    found = exported(capsys.readouterr().out)
    assert found == {
        "AWS_DEFAULT_REGION": REGION,
        "HEADWATER_STREAM": ARN,
        "HEADWATER_LOG_BUCKET": "log",
        "HEADWATER_SOURCE_BUCKET": "source",
        "HEADWATER_WAREHOUSE_DATABASE": "a database; $(rm -rf /)",
    }
    assert read_settings(found).stream == ARN


def test_every_known_output_is_a_variable_that_is_read(aws: Any, capsys: pytest.CaptureFixture[str]) -> None:
    values = {key: f"value-{number}" for number, key in enumerate(VARIABLES)}
    name = deploy(aws, "all", **values)
    assert main(["env", "--stack", name, "--region", REGION]) == 0
    found = exported(capsys.readouterr().out)
    assert {VARIABLES[key]: value for key, value in values.items()}.items() <= found.items()
    settings = read_settings(found)
    read = {str(getattr(settings, field)) for field in settings.__dataclass_fields__}
    assert set(values.values()) <= read


def refusal(capsys: pytest.CaptureFixture[str], *stacks: str, region: str = REGION) -> str:
    words = [word for stack in stacks for word in ("--stack", stack)]
    assert main(["env", *words, "--region", region]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def test_a_stack_that_does_not_exist_is_named_with_its_region(
    aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = deploy(aws, "stream", StreamArn=ARN)
    assert f"there is no stack {name} in the region eu-west-2" in refusal(capsys, name, region="eu-west-2")
    assert "there is no stack nowhere in the region eu-west-1" in refusal(capsys, name, "nowhere")


def test_a_stack_without_known_outputs_is_refused(aws: Any, capsys: pytest.CaptureFixture[str]) -> None:
    name = deploy(aws, "other", AlarmTopicArn="arn:aws:sns:x")
    assert f"the stack {name} (CREATE_COMPLETE) has none of the outputs StreamArn" in refusal(capsys, name)


def test_stacks_of_two_installations_are_refused(aws: Any, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = deploy(aws, "one", LogBucketName="a"), deploy(aws, "two", LogBucketName="b")
    text = f"the stacks {one} and {two} disagree about HEADWATER_LOG_BUCKET: a and b"
    assert text in refusal(capsys, one, two)
