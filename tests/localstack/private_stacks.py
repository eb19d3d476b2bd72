"""The stacks beside the pipe: replica, network, peering, replicas, warehouse, workbench, alarms, schedule.

No emulator knows all of their types. Each template is deployed on every emulator that is needed, without the
resources of types that this one lacks, and with stubs for what it imports from stacks that are not here.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import localstack_server
import read_back
from deployed_pipe import resources
from deployed_story import FUNCTIONS
from deployment import PREFIX, REGION, REPORTING, ROOT, SOURCE, Deployed, Deployment
from emulated import ON_LOCALSTACK, ON_MINISTACK, ON_MOTO
from iam.templates import load_template

FOLDER = ROOT / "cfn"
TEMPLATES = tuple(
    (account, name)
    for account, name in (
        (REPORTING, "replica"),
        (REPORTING, "network"),
        (SOURCE, "replicas"),
        (REPORTING, "peering"),
        (REPORTING, "warehouse"),
        (REPORTING, "workbench"),
        (REPORTING, "monitoring"),
        (SOURCE, "alarms"),
        (REPORTING, "schedule"),
    )
    if (FOLDER / f"{name}.yaml").exists()
)
_NETWORK = {
    *("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup", "AWS::EC2::RouteTable"),
    *("AWS::EC2::Route", "AWS::IAM::Role", "AWS::Logs::LogGroup"),
}
"""What the types of ministack and moto belong to. They are read back on LocalStack."""

NETWORK = {
    "VpcCidr": "10.20.0.0/16",
    "DatabaseCidrA": "10.20.0.0/24",
    "DatabaseCidrB": "10.20.1.0/24",
    "ConsumerCidrA": "10.20.2.0/24",
    "ConsumerCidrB": "10.20.3.0/24",
    "ProducerCidrA": "10.20.4.0/24",
    "ProducerCidrB": "10.20.5.0/24",
    "EndpointCidrA": "10.20.6.0/24",
    "EndpointCidrB": "10.20.7.0/24",
    "WorkbenchCidr": "10.20.8.0/24",
    "ZoneA": f"{REGION}a",
    "ZoneB": f"{REGION}b",
    "ReplicasCidr": "10.30.1.0/24",
    "ReplicasZone": f"{REGION}a",
    "SourceVpcCidr": "10.30.0.0/16",
    "DynamoDbPrefixListId": "pl-0123456789abcdef0",
    "S3PrefixListId": "pl-0123456789abcdef1",
}
VALUES = {
    **NETWORK,
    "Environment": PREFIX.partition("-")[2],
    "SourceAccount": SOURCE,
    "ReportingAccount": REPORTING,
    "ProducerGroupId": "sg-0123456789abcdef0",
    "PeeringRoleArn": f"arn:aws:iam::{SOURCE}:role/headwater-peering",
    "AlarmEmail": "alarms@example.com",
    "RunbookUrl": "docs",
    "FirmCidrs": "198.51.100.0/24",
    "WarehouseInstanceId": f"{PREFIX}-warehouse",
    "CodeBucket": "code",
    "SchedulerKey": "scheduler.zip",
    "Zone": "Europe/London",
    "From": "07:00",
    "To": "20:00",
}
"""Values of parameters without a default, by name."""

STUBS: Mapping[str, Any] = {
    "OperationsKeyArn": {"Fn::GetAtt": ["Key", "Arn"]},
    "AlarmTopicArn": {"Ref": "Topic"},
    "ConsumerSeconds": "300",
    "DynamoDbSeconds": "300",
}
"""What stands for an export of a stack that is not deployed here; a role's ARN for any other ARN."""


@contextmanager
def localstack(folder: Path) -> Iterator[Deployment]:
    """A LocalStack of its own."""
    with localstack_server.in_host_mode() as host:
        yield _deployment(host, folder)


@contextmanager
def ministack(folder: Path) -> Iterator[Deployment]:
    """A ministack, which `make e2e` installs beside LocalStack."""
    installed = Path(os.environ.get(localstack_server.FOLDER) or ROOT / ".localstack")
    program = installed / "ministack" / "bin" / "ministack"
    variables = {"BIND_HOST": "127.0.0.1", "MINISTACK_REGION": REGION, "TMPDIR": str(folder)}
    with _served([str(program)], "GATEWAY_PORT", variables) as host:
        yield _deployment(host, folder)


@contextmanager
def moto(folder: Path) -> Iterator[Deployment]:
    """moto's server, which is among the project's own tools for tests."""
    with _served([sys.executable, "-m", "moto.server", "-H", "127.0.0.1"], "MOTO_PORT", {}) as host:
        yield _deployment(host, folder)


_VARIABLE = re.compile(r"\$\{(\w+)(\.[\w.]+)?\}")
EMULATORS = {"localstack": localstack, "ministack": ministack, "moto": moto}
TYPES = {"localstack": ON_LOCALSTACK, "ministack": ON_MINISTACK, "moto": ON_MOTO}
"""The types that are read back on each."""


def _deployment(host: str, folder: Path) -> Deployment:
    return Deployment(host, folder, folder, folder, f"http://{host}", None)  # type: ignore[arg-type]


@contextmanager
def _served(program: list[str], variable: str, more: Mapping[str, str]) -> Iterator[str]:
    port = localstack_server.free_port()
    variables = {**os.environ, **more, variable: str(port)}
    with subprocess.Popen(
        program, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _await(process, f"http://127.0.0.1:{port}/")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    give_up = time.monotonic() + localstack_server.START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            urlopen(url, timeout=5).close()
        except HTTPError:  # an answer
            return
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise RuntimeError(f"{process.args} did not start (exit code {process.returncode})")


def deploy(deployment: Deployment, emulator: str) -> None:
    """Deploy every template that the emulator is needed for, as far as it knows the types."""
    wanted = TYPES[emulator]
    known = wanted if emulator == "localstack" else wanted | _NETWORK
    given = {**VALUES, **_made(deployment)}
    templates = {pair: load_template(FOLDER / f"{pair[1]}.yaml") for pair in TEMPLATES}
    bodies = {
        pair: reduced(template, known)
        for pair, template in templates.items()
        if pair[1] == "network" or wanted & {body["Type"] for body in template["Resources"].values()}
    }
    for account in (REPORTING, SOURCE):
        _deploy_stubs(deployment, account, [body for (owner, _), body in bodies.items() if owner == account])
    for (account, name), body in bodies.items():
        if body["Resources"]:
            _create(deployment, account, name, body, given)


def _made(deployment: Deployment) -> dict[str, str]:
    """Make what exists before: a VPC, a package, log groups of functions. Returns values by parameter."""
    vpc = deployment.client(SOURCE, "ec2").create_vpc(CidrBlock=NETWORK["SourceVpcCidr"])["Vpc"]["VpcId"]
    s3, code = deployment.client(REPORTING, "s3"), io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "def handler(event, context): ...\n")
    s3.create_bucket(Bucket=VALUES["CodeBucket"], CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=VALUES["CodeBucket"], Key=VALUES["SchedulerKey"], Body=code.getvalue())
    for account, function in FUNCTIONS:
        deployment.client(account, "logs").create_log_group(logGroupName=f"/aws/lambda/{PREFIX}-{function}")
    return {"VpcId": vpc, "SourceVpcId": vpc}


def read(deployment: Deployment, emulator: str) -> dict[str, tuple[int, list[str]]]:
    """How many resources of each template were read, and `type: property` of what is not as it wants."""
    found = {}
    for (account, name), stack in deployment.stacks.items():
        if (account, name) in TEMPLATES:
            read = list(resources(deployment, account, stack, TYPES[emulator]))
            lacking = {
                f"{resource.type}: {path}"
                for resource, _, properties in read
                for path in _differences(resource.properties, properties)
            }
            found[name] = len(read), sorted(lacking)
    return found


def _differences(wanted: read_back.Properties, found: read_back.Properties | None) -> Iterable[str]:
    return ["(all)"] if found is None else read_back.differences(wanted, found)


def _create(
    deployment: Deployment, account: str, name: str, body: Mapping[str, Any], values: Mapping[str, str]
) -> Deployed:
    given = {
        parameter: value
        for parameter in body.get("Parameters", {})
        if (value := values.get(parameter, _stack_name(parameter))) is not None
    }
    cloudformation = deployment.client(account, "cloudformation")
    cloudformation.create_stack(
        StackName=f"{PREFIX}-{name}",
        TemplateBody=json.dumps(body),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Tags=[{"Key": "application", "Value": "headwater"}],
        Capabilities=["CAPABILITY_IAM"],
    )
    deployment._await(account, f"{PREFIX}-{name}", "stack_create_complete")
    return deployment._deployed(account, name, body, given)


def _stack_name(parameter: str) -> str | None:
    return f"{PREFIX}-{parameter.removesuffix('Stack').lower()}" if parameter.endswith("Stack") else None


def _deploy_stubs(deployment: Deployment, account: str, bodies: list[Mapping[str, Any]]) -> None:
    """Deploy a stack for each one that these templates import from and that is not among them."""
    wanted: dict[str, set[str]] = {}
    for body in bodies:
        for stack, output in re.findall(
            r'"Fn::ImportValue": {"Fn::Sub": "\$\{(\w+)Stack\}:(\w+)"', json.dumps(body)
        ):
            wanted.setdefault(stack.lower(), set()).add(output)
    for stack in wanted.keys() - {name for _, name in TEMPLATES}:
        body = {
            "Resources": {
                "Key": {
                    "Type": "AWS::KMS::Key",
                    "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": []}},
                },
                "Topic": {"Type": "AWS::SNS::Topic", "Properties": {}},
            },
            "Outputs": {
                output: {
                    "Value": STUBS.get(output, f"arn:aws:iam::{account}:role/{output}"),
                    "Export": {"Name": {"Fn::Sub": f"${{AWS::StackName}}:{output}"}},
                }
                for output in sorted(wanted[stack])
            },
        }
        _create(deployment, account, stack, body, {})


def reduced(template: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return a template without resources of other types; what refers to them gets a text instead."""
    resources = {name: body for name, body in template["Resources"].items() if body["Type"] in known}
    gone = template["Resources"].keys() - resources.keys()
    body = {**template, "Resources": resources}
    if not resources:
        return body
    found: dict[str, Any] = _without(body, gone)
    for resource in found["Resources"].values():
        depends = resource.pop("DependsOn", [])
        resource["DependsOn"] = [
            name for name in ([depends] if isinstance(depends, str) else depends) if name in resources
        ]
        if not resource["DependsOn"]:
            del resource["DependsOn"]
    return found


def _without(value: Any, gone: Container[str]) -> Any:
    if isinstance(value, list):
        return [_without(each, gone) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" and argument in gone:
            return f"absent-{argument}"
        if name == "Fn::GetAtt":
            return _attribute(argument, gone)
        if name == "Fn::Sub" and isinstance(argument, str):
            return {name: _VARIABLE.sub(lambda match: _text(match, gone), argument)}
    return {key: _without(each, gone) for key, each in value.items()}


def _attribute(argument: Any, gone: Container[str]) -> Any:
    logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    # No emulator has the attribute of the secret that RDS manages; moto takes no text with a dot in JSON.
    is_absent = logical in gone or attribute.startswith("MasterUserSecret")
    return f"absent-{logical}" if is_absent else {"Fn::GetAtt": [logical, attribute]}


def _text(match: re.Match[str], gone: Container[str]) -> str:
    return f"absent-{match[1]}" if match[1] in gone else match[0]
