"""Headwater deployed on LocalStack as on AWS: the zips of `make package` and the templates in cfn/, by
CloudFormation in two accounts. Functions call AWS through the proxy, which records their calls."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import localstack_server
from botocore.config import Config
from botocore.exceptions import WaiterError
from headwater_up import clean_environment, headwater
from iam.proxy import Proxy, serving
from iam.templates import Stack, load_template

from headwater.exit_codes import DONE

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-2"
REPORTING, SOURCE = "111111111111", "222222222222"
PREFIX = "headwater-e2e"
WAIT_SECONDS = 300
CALLS = "calls.jsonl"
DEPLOYMENT = f"""
region = "{REGION}"
[tags]
application = "headwater"
environment = "e2e"
owner = "data-platform"
data-class = "confidential"
schedule = "always"
[reporting]
account = "{REPORTING}"
stream = {{ StreamMode = "PROVISIONED", ShardCount = 2 }}
[[source]]
account = "{SOURCE}"
create-tables = true
[parameters]
Architecture = "x86_64"
"""


@dataclass(frozen=True)
class Deployed(Stack):
    """A template, resolved with the physical ids that CloudFormation gave its resources."""

    physical: Mapping[str, str] = field(default_factory=dict)
    table_streams: Mapping[str, str] = field(default_factory=dict)
    url_suffix: str = "localhost.localstack.cloud"

    def attribute(self, logical: str, attribute: str) -> str:
        """What GetAtt returns."""
        if attribute == "StreamArn":
            return self.table_streams[logical]
        if attribute == "QueueName":
            return self._identity(logical)[1].rpartition(":")[2]
        if attribute in ("GroupId", "VpcId"):
            return self._identity(logical)[0]
        return super().attribute(logical, attribute)

    def _pseudo(self, name: str) -> Any:
        return self.url_suffix if name == "AWS::URLSuffix" else super()._pseudo(name)

    def as_on_aws(self) -> Deployed:
        """The same stack with conditions as AWS has them, such as kms:ViaService."""
        return replace(self, url_suffix="amazonaws.com")

    def _identity(self, logical: str) -> tuple[str, str]:
        reference, arn = super()._identity(logical)
        physical = self.physical.get(logical, reference)
        if physical.startswith("arn:"):
            return physical, physical
        if self.template["Resources"][logical]["Type"] in ("AWS::KMS::Key", "AWS::IAM::Role"):
            return physical, f"{arn.rpartition('/')[0]}/{physical}"
        return physical, arn


@dataclass
class Deployment:
    """Two accounts in one LocalStack, and what is deployed there."""

    host: str
    folder: Path
    home: Path
    zips: Path
    endpoint: str
    """Where functions call AWS: the proxy."""

    proxy: Proxy
    stacks: dict[tuple[str, str], Deployed] = field(default_factory=dict)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def database(self) -> Path:
        return self.folder / "warehouse.db"

    @property
    def calls(self) -> Path:
        return self.folder / CALLS

    @property
    def rendered(self) -> Path:
        return self.folder / "rendered"

    def client(self, account: str, service: str) -> Any:
        """A client of an administrator of the account, past the proxy."""
        with self._lock:  # boto3's default session is not safe for threads
            if (account, service) not in self._clients:
                self._clients[account, service] = self._new_client(account, service)
        return self._clients[account, service]

    def _new_client(self, account: str, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=f"http://{self.host}",
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=Config(read_timeout=900, s3={"addressing_style": "path"}),
        )

    def environment(self, account: str, **more: str) -> dict[str, str]:
        """Variables for the command line in an account."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.host}",
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "HEADWATER_HOME": str(self.home),
            **more,
        }

    def render(self, **parameters: str) -> None:
        """Write the parameters of all templates from deployment.toml, with values that are known by now."""
        lines = [f'{name} = "{value}"' for name, value in parameters.items()]
        (self.home / "deployment.toml").write_text("\n".join([DEPLOYMENT, *lines, ""]))
        done = headwater(
            "cfn", "render", "--home", self.home, "--into", self.rendered, "--packages", self.zips
        )
        assert done.code == DONE, done

    def upload(self, account: str) -> None:
        """Put the zips into the account's bucket, under the keys that templates name."""
        bucket = self.stacks[account, "artifacts"].outputs["ArtifactsBucketName"]
        for name, entry in json.loads((self.zips / "manifest.json").read_text()).items():
            self.client(account, "s3").upload_file(str(self.zips / name), bucket, entry["key"])

    def deploy_all(self, *stacks: tuple[str, str]) -> None:
        """Create stacks that need nothing of one another, at the same time: most of it is waiting."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda stack: self.deploy(*stack), stacks))

    def deploy(self, account: str, template: str) -> Deployed:
        """Create the stack of a template as rendered, and return it."""
        rendered = self.rendered / account / f"{template}.yaml"
        file = rendered if rendered.exists() else ROOT / "cfn" / f"{template}.yaml"
        parameters = json.loads((self.rendered / account / f"{template}.json").read_text())
        tags = (text.split("=", 1) for text in json.loads((self.rendered / "tags.json").read_text()))
        name = f"{PREFIX}-{template}"
        self.client(account, "cloudformation").create_stack(
            StackName=name,
            TemplateBody=file.read_text(),
            Parameters=parameters,
            Tags=[{"Key": key, "Value": value} for key, value in tags],
            Capabilities=["CAPABILITY_IAM"],
        )
        self._await(account, name, "stack_create_complete")
        given = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in parameters}
        return self._deployed(account, template, load_template(file), given)

    def _deployed(
        self, account: str, template: str, declared: Mapping[str, Any], given: Mapping[str, str]
    ) -> Deployed:
        name = f"{PREFIX}-{template}"
        others = [stack for (owner, _), stack in self.stacks.items() if owner == account]
        imports = {name: value for stack in others for name, value in stack.exports.items()}
        found = (
            self.client(account, "cloudformation")
            .get_paginator("list_stack_resources")
            .paginate(StackName=name)
        )
        physical = {
            item["LogicalResourceId"]: item["PhysicalResourceId"]
            for page in found
            for item in page["StackResourceSummaries"]
            if item["LogicalResourceId"] in declared["Resources"]  # moto has one more, without a name
        }
        streams = {
            logical: self.client(account, "dynamodb").describe_table(TableName=table)["Table"][
                "LatestStreamArn"
            ]
            for logical, table in physical.items()
            if declared["Resources"][logical]["Type"] == "AWS::DynamoDB::Table"
        }
        stack = Deployed(
            name, declared, account, REGION, given, imports, physical=physical, table_streams=streams
        )
        self.stacks[account, template] = stack
        return stack

    def delete(self, account: str, template: str) -> None:
        """Delete the stack of a template."""
        name = f"{PREFIX}-{template}"
        self.client(account, "cloudformation").delete_stack(StackName=name)
        self._await(account, name, "stack_delete_complete")

    def _await(self, account: str, name: str, state: str) -> None:
        cloudformation = self.client(account, "cloudformation")
        waiter = cloudformation.get_waiter(state)
        try:
            waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": WAIT_SECONDS})
        except WaiterError as error:
            events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
            failed = [
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
                for event in events
                if "FAILED" in event["ResourceStatus"]
            ]
            raise AssertionError("\n".join([f"{name} is not {state}", *failed])) from error


def build_zips(home: Path, into: Path) -> None:
    """Build the packages as `make package` does, for this machine's processor."""
    program = [sys.executable, "-m", "cfn.packaging", "--arch", "x86_64", "--ca-bundle", "none"]
    subprocess.run(
        [*program, "--home", str(home), "--out", str(into)], cwd=ROOT, env=clean_environment(), check=True
    )


@contextmanager
def running(folder: Path, home: Path, zips: Path) -> Iterator[Deployment]:
    """A LocalStack of its own for a deployment, and the proxy in front of it."""
    port = localstack_server.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with localstack_server.in_host_mode(FUNCTION_ENDPOINT=endpoint) as host:
        proxy = Proxy(host, folder / CALLS)
        with serving(proxy, port):
            yield Deployment(host, folder, home, zips, endpoint, proxy)
