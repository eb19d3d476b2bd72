"""`headwater deploy plan` and `headwater deploy status` against CloudFormation of the embedded AWS.

It deploys cfn/artifacts.yaml as it is; of other templates it lacks types, so that the stacks have only their
parameters and outputs. tests/localstack has the whole.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from deployments import REPORTING, SOURCE, ZIP, changed, planned, toml

from headwater.cli import main
from headwater.commands.deployment import account
from headwater.deployment.templates import FOLDER
from headwater.schedule.calendar import DAYS

REGION = "eu-west-2"
Values = Mapping[str, Any]
Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True, slots=True)
class World:
    """An installation of its own in one account of the embedded AWS."""

    session: Any
    endpoint: str
    values: dict[str, Any]

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint)

    def stack(self, template: str, values: Values | None = None) -> tuple[str, dict[str, Any]]:
        """The name of a stack, and the arguments that deploy it."""
        deployment, stacks, _ = planned(values or self.values)
        stack = next(one for one in stacks if one.template.name == template)
        name = deployment.stack(template)
        return name, {
            "StackName": name,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value.text} for key, value in stack.values.items()
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in deployment.tags.items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }

    def deploy(self, template: str, values: Values | None = None, outputs: Values | None = None) -> str:
        """Deploy the template itself, or with `outputs` its parameters and these outputs alone."""
        name, arguments = self.stack(template, values)
        body = (FOLDER / f"{template}.yaml").read_text()
        if outputs:
            _, stacks, _ = planned(values or self.values)
            declared = next(one for one in stacks if one.template.name == template).template.parameters
            bare = {
                # As text, since moto describes a list in the form of Python.
                "Parameters": {key: {"Type": "String"} for key in declared},
                "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
                "Outputs": {key: {"Value": value} for key, value in outputs.items()},
            }
            body = json.dumps(bare)
        self.client("cloudformation").create_stack(TemplateBody=body, **arguments)
        return name


@pytest.fixture
def world(aws: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """An installation in the reporting account, whose credentials the commands have."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.delenv("HEADWATER_HOME", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    values = changed("tags.environment", f"e{aws.suffix[:6]}")
    keys = use_account(aws, REPORTING, monkeypatch)
    session = boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION
    )
    return World(session, aws.endpoint, values)


@pytest.fixture(autouse=True)
def _lists_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS describes a list of parameters as the text that was given, moto has Python's form of it."""
    original = account.described

    def described(client: Any, name: str) -> Mapping[str, Any] | None:
        answer = original(client, name)
        for one in (answer or {}).get("Parameters", ()):
            if one["ParameterValue"].startswith("["):
                one["ParameterValue"] = ",".join(ast.literal_eval(one["ParameterValue"]))
        return answer

    monkeypatch.setattr(account, "described", described)


def use_account(aws: Any, number: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    role = f"arn:aws:iam::{number}:role/deployer"
    keys: dict[str, str] = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    return keys


@pytest.fixture
def run(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*argv: str, values: Values | None = None) -> tuple[int, str, str]:
        (tmp_path / "deployment.toml").write_text(toml(values or world.values), encoding="utf-8")
        code = main(["deploy", *argv, "--file", "deployment.toml"])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


# Plan


def test_a_plan_of_empty_accounts_shows_new_stacks_in_order_with_their_commands(
    run: Run, world: World
) -> None:
    code, out, err = run("plan")
    assert code == 3
    prefix = f"headwater-{world.values['tags']['environment']}"
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        f"{prefix}-artifacts: new",
        f"{prefix}-stream: new",
        f"{prefix}-consumers: new",
    ]
    assert f"aws cloudformation deploy --region eu-west-2 --stack-name {prefix}-stream" in out
    assert f"file://deployment/{REPORTING}/stream.json --capabilities CAPABILITY_IAM" in out
    assert f"account {REPORTING}: 3 stacks looked at\n" in err
    assert f"account {SOURCE}: 4 stacks not looked at: it needs that account's credentials\n" in err
    assert "run `headwater cfn render`" in err
    assert err.endswith("3 stacks of 3 would change\n")


def test_a_plan_of_what_is_deployed_changes_nothing_and_creates_nothing(run: Run, world: World) -> None:
    world.deploy("artifacts")
    before = world.client("cloudformation").list_change_sets(StackName=world.stack("artifacts")[0])[
        "Summaries"
    ]
    code, out, err = run("plan", "artifacts")
    assert (code, out) == (0, f"{world.stack('artifacts')[0]}: nothing changes\n")
    assert err.endswith("0 stacks of 1 would change\n")
    after = world.client("cloudformation").list_change_sets(StackName=world.stack("artifacts")[0])[
        "Summaries"
    ]
    assert before == after


def test_the_replica_is_looked_for_in_its_own_region(run: Run, world: World) -> None:
    replica = {"region": "eu-west-1"}
    values = {**world.values, "reporting": {**world.values["reporting"], "replica": replica}}
    world.deploy("replica", values)  # in the region of the other stacks
    name, arguments = world.stack("replica", values)
    code, out, _ = run("plan", "replica", values=values)
    assert (code, out.splitlines()[0]) == (3, f"{name}: new")
    assert f"--region eu-west-1 --stack-name {name}" in out
    client = world.session.client("cloudformation", region_name="eu-west-1", endpoint_url=world.endpoint)
    client.create_stack(TemplateBody=(FOLDER / "replica.yaml").read_text(), **arguments)
    assert run("plan", "replica", values=values)[:2] == (0, f"{name}: nothing changes\n")
    _, out, _ = run("status", values=values)
    assert re.search(rf"{name} +CREATE_COMPLETE", out)
    assert 'ReplicaKeyArn = "arn:aws:kms:eu-west-1:' in out


def test_a_plan_shows_what_a_parameter_changes(run: Run, world: World) -> None:
    world.deploy("artifacts")
    values = {
        **world.values,
        "reporting": {**world.values["reporting"], "artifacts": {"NoncurrentDays": 100}},
    }
    code, out, _ = run("plan", "artifacts", values=values)
    assert code == 3
    assert out.splitlines()[1:4] == [
        "  changed          parameter NoncurrentDays: '90' -> '100'",
        "  changed          ArtifactsBucket (AWS::S3::Bucket)",
        "    Properties.LifecycleConfiguration.Rules[0].NoncurrentVersionExpiration.NoncurrentDays",
    ]


def test_a_plan_refuses_what_would_lose_data(run: Run, world: World) -> None:
    """The deployed stack has a bucket that the template does not have."""
    _, arguments = world.stack("artifacts")
    body = (FOLDER / "artifacts.yaml").read_text()
    more = "  OtherBucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Retain\n\nOutputs:\n"
    body = body.replace("Outputs:\n", more)
    world.client("cloudformation").create_stack(TemplateBody=body, **arguments)
    code, out, _ = run("plan", "artifacts")
    assert code == 2
    assert "  removed          OtherBucket (AWS::S3::Bucket)\n  REFUSED: OtherBucket: it holds data" in out
    assert "aws cloudformation deploy" not in out


def test_a_plan_names_stacks_that_the_file_no_longer_has(run: Run, world: World) -> None:
    name = world.stack("artifacts")[0].replace("artifacts", "replay")
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    world.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    code, out, _ = run("plan")
    assert code == 3
    assert f"{name}: deployed, and no longer in the file" in out


def test_a_plan_takes_a_stack_that_was_only_planned_as_new(run: Run, world: World) -> None:
    """As `aws cloudformation deploy --no-execute-changeset` leaves it."""
    _, arguments = world.stack("artifacts")
    body = (FOLDER / "artifacts.yaml").read_text()
    world.client("cloudformation").create_change_set(
        ChangeSetName="planned", ChangeSetType="CREATE", TemplateBody=body, **arguments
    )
    code, out, _ = run("plan", "artifacts")
    assert code == 3
    assert out.startswith(f"{arguments['StackName']}: new\n")


def test_a_plan_as_json_has_all_of_it(run: Run, world: World) -> None:
    world.deploy(
        "artifacts", changed("tags.owner", "others") | {"tags": {**world.values["tags"], "owner": "x"}}
    )
    code, out, _ = run("plan", "artifacts", "stream", "--json", values=world.values)
    found = json.loads(out)
    assert code == 3
    assert found["account"] == REPORTING
    artifacts, stream = found["stacks"]
    assert artifacts["changes"]["values"] == [
        {"what": "tag", "name": "owner", "before": "x", "after": "data-platform"}
    ]
    assert (artifacts["state"], stream["state"]) == ("changes", "new")
    assert stream["command"].startswith("aws cloudformation deploy")


def test_a_stack_that_waits_for_a_value_says_so(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = changed("reporting.consumers", {}) | {"tags": world.values["tags"]}
    code, out, _ = run("plan", "consumers", values=values)
    assert code == 3
    assert "  waits for WarehouseSecretArn\n" in out
    assert "aws cloudformation deploy" not in out


def test_credentials_of_another_account_are_refused_with_the_accounts_of_the_file(
    run: Run, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_account(aws, "999900001111", monkeypatch)
    for command in ("plan", "status"):
        code, _, err = run(command)
        assert code == 2
        assert "the credentials are of account 999900001111" in err
        assert f"{REPORTING}, {SOURCE}" in err


def test_a_file_that_check_refuses_is_refused_before_any_call(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    code, out, err = run("plan", values=changed("region", "eu-west-9"))
    assert (code, out) == (2, "")
    assert "eu-west-9" in err


def test_an_aws_that_is_away_may_be_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert run("plan")[0] == 5
    assert run("status")[0] == 5


def test_a_profile_that_does_not_exist_is_refused(run: Run) -> None:
    code, _, err = run("plan", "--profile", "nobody")
    assert code == 2
    assert "ProfileNotFound" in err
    assert "aws configure list-profiles" in err


@pytest.mark.parametrize("template", ["source", "monitoring"], ids=["other account", "not in the file"])
def test_a_template_without_a_stack_here_is_refused(run: Run, template: str) -> None:
    """Otherwise a wrong profile would look like a deployment that changes nothing."""
    code, out, err = run("plan", template)
    assert (code, out) == (2, "")
    assert f"template {template}: no stack here; allowed: artifacts, consumers, stream." in err


# Status


def test_status_shows_missing_stacks_and_the_lines_to_copy(run: Run, world: World) -> None:
    values = changed("parameters.StreamKeyArn", None) | {"tags": world.values["tags"]}
    name = world.deploy("stream", values, outputs={"StreamKeyArn": "arn:aws:kms:x", "AlarmTopicArn": "arn:y"})
    code, out, err = run("status", values=values)
    assert code == 3
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith("headwater-")}
    assert "CREATE_COMPLETE" in rows[name]
    assert "(missing)" in rows[world.stack("artifacts")[0]]
    assert (
        f'copy into deployment.toml, below [parameters]:\nStreamKeyArn = "arn:aws:kms:x"  # {name}\n' in out
    )
    assert "AlarmTopicArn" not in out
    assert "0 event source mappings of 0 enabled and working" in err


def test_status_of_what_is_as_it_should_be_ends_with_0(run: Run, world: World) -> None:
    for template in ("artifacts", "stream", "consumers"):
        world.deploy(template, outputs=None if template == "artifacts" else {"Nothing": "x"})
    code, out, _ = run("status")
    assert code == 0, out
    assert len(out.splitlines()) == 5  # headings and three stacks


def test_status_shows_parameters_that_differ_and_a_package_that_is_older(run: Run, world: World) -> None:
    values = json.loads(json.dumps(world.values))
    values["parameters"]["ConsumersKey"] = "earlier.zip"
    values["reporting"]["consumers"]["ConsumerSeconds"] = 60
    world.deploy("consumers", values, outputs={"Nothing": "x"})
    code, out, _ = run("status")
    assert code == 3
    assert "ConsumersKey another package than the built one" in out
    assert "ConsumerSeconds differs" in out
    _, out, _ = run("status", "--json")
    (consumers,) = (one for one in json.loads(out)["stacks"] if one["drift"])
    assert {"name": "ConsumersKey", "deployed": "earlier.zip", "wanted": ZIP} in consumers["drift"]


def test_status_shows_alarms_with_their_runbooks(run: Run, world: World) -> None:
    client, prefix = world.client("cloudwatch"), f"headwater-{world.values['tags']['environment']}"
    for name, text in (
        ("consumer-behind-50", "A reason.\nRunbook: https://example.com/alarms.md#consumer-behind"),
        ("fine", ""),
    ):
        client.put_metric_alarm(
            AlarmName=f"{prefix}-{name}",
            AlarmDescription=text,
            Namespace="Headwater",
            MetricName="Lag",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    client.set_alarm_state(AlarmName=f"{prefix}-consumer-behind-50", StateValue="ALARM", StateReason="a test")
    code, out, _ = run("status")
    assert code == 3
    (row,) = (line for line in out.splitlines() if line.startswith(f"{prefix}-consumer-behind-50"))
    assert row.endswith("https://example.com/alarms.md#consumer-behind")
    assert "-fine" not in out


def test_status_shows_mappings_that_are_disabled_and_why(run: Run, world: World) -> None:
    name = f"headwater-{world.values['tags']['environment']}-consumer"
    mapping = consumer_mapping(world, name)
    assert "1 event source mapping of 1 enabled and working" in run("status")[2]
    world.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
    code, out, _ = run("status")
    assert code == 3
    (row,) = (line for line in out.splitlines() if line.startswith(f"{name} "))
    assert "Disabled" in row
    assert f"stream/{name}" in row


@pytest.mark.parametrize(
    ("at", "code", "why", "count"),
    [
        (
            "night",
            0,
            "it sleeps by the schedule until ",
            "0 event source mappings of 1 enabled and working, 1 asleep",
        ),
        ("day", 3, "the schedule turns it on as soon as the warehouse is on", "0 event source mappings of 1"),
    ],
)
def test_status_knows_the_mapping_that_sleeps_by_the_schedule(
    run: Run, world: World, at: str, code: int, why: str, count: str
) -> None:
    values = json.loads(json.dumps(world.values))
    values["reporting"]["stream"] = {"RetentionHours": 336}
    values["reporting"]["schedule"] = hours(at) | {"SchedulerKey": ZIP, "WarehouseInstanceId": "warehouse"}
    name = f"headwater-{world.values['tags']['environment']}-consumer"
    mapping = consumer_mapping(world, name)
    for template in ("artifacts", "stream", "consumers", "schedule"):
        outputs = {"ConsumerMappingId": mapping} if template == "consumers" else {"Nothing": "x"}
        world.deploy(template, values, outputs=None if template == "artifacts" else outputs)
    world.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
    found, out, err = run("status", values=values)
    assert found == code, out + err
    (row,) = (line for line in out.splitlines() if line.startswith(f"{name} "))
    assert why in row
    assert count in err


def hours(at: str) -> dict[str, Any]:
    """A schedule by which it is always day now, or night for days."""
    day = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
    days = [day] if at == "night" else [*DAYS]
    return {"Zone": "Etc/UTC", "From": "00:00", "To": "24:00", "WorkingDays": days}


def consumer_mapping(world: World, name: str) -> str:
    """A function with an event source mapping; return the id of the mapping."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        package.writestr("handler.py", "")
    role = world.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    world.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="handler.handler",
        Role=role,
        Code={"ZipFile": content.getvalue()},
    )
    kinesis = world.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]
    made = world.client("lambda").create_event_source_mapping(
        FunctionName=name, EventSourceArn=arn, StartingPosition="LATEST"
    )
    return str(made["UUID"])


def test_status_says_what_check_would_say(run: Run, world: World) -> None:
    values = changed("reporting.stream.LockDays", 0) | {"tags": world.values["tags"]}
    code, _, err = run("status", values=values)
    assert code == 3
    assert "LockDays" in err
