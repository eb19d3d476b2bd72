"""The stacks of one AWS account as they are deployed, and whose credentials the process has. Only reads."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.commands.deployment.arguments import Plan
from headwater.deployment.deployment import RENDERED, REPORTING, SOURCE
from headwater.deployment.stacks import Stack
from headwater.deployment.states import DeployedStack
from headwater.deployment.templates import read_body, template_of
from headwater.output import counted, listed, tell
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the present credentials, in the region of the deployment."""

    number: str
    region: str
    session: Any

    def client(self, service: str, region: str = "") -> Any:
        """Return a client of a service, which retries throttled calls. `region`: if it is another one."""
        from botocore.config import Config

        # As long as the account's other users leave no room, the calls wait: they are few.
        return self.session.client(
            service,
            region_name=region or self.region,
            config=Config(retries={"mode": "standard", "total_max_attempts": 6}),
        )


def add_account(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the credentials."""
    parser.add_argument(
        "--profile", metavar="NAME", help="a profile of AWS's configuration, instead of AWS_PROFILE"
    )


def connect_account(profile: str | None, region: str) -> Account:
    """Return the account of the credentials. Raises ConfigurationError, TransientError."""
    import boto3

    with aws_errors("asking STS whose credentials these are (GetCallerIdentity)"):
        session = boto3.session.Session(region_name=region, profile_name=profile)
        number = str(session.client("sts").get_caller_identity()["Account"])
    return Account(number, region, session)


def stacks_here(plan: Plan, account: Account) -> list[Stack]:
    """Return the deployment's stacks of the account, and write to stderr which others are left out.

    Raises ConfigurationError if the account is not one of the deployment's.
    """
    accounts = list(dict.fromkeys(stack.account for stack in plan.stacks))
    if account.number not in accounts:
        raise ConfigurationError(
            f"the credentials are of account {account.number}, and {plan.file} has {listed(accounts)}: "
            "choose credentials of one of these by AWS_PROFILE or --profile"
        )
    for other in accounts:
        stacks = counted(sum(stack.account == other for stack in plan.stacks), "stack")
        seen = (
            "looked at" if other == account.number else "not looked at: it needs that account's credentials"
        )
        tell(f"account {other}: {stacks} {seen}")
    return [stack for stack in plan.stacks if stack.account == account.number]


def described(client: Any, name: str) -> Mapping[str, Any] | None:
    """Return what CloudFormation says about a stack; None if there is none. Raises ConfigurationError."""
    from botocore.exceptions import ClientError

    with aws_errors(f"DescribeStacks of {name}"):
        try:
            return dict(client.describe_stacks(StackName=name)["Stacks"][0])
        except ClientError as error:
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
            if error.response["Error"]["Code"] != "ValidationError":
                raise
    return None


def deployed_stacks(account: Account, regions: Mapping[str, str]) -> Mapping[str, DeployedStack]:
    """Return the stacks that exist, by name. Raises ConfigurationError, TransientError.

    `regions`: the region of each stack, by its name.
    """
    clients = {region: account.client("cloudformation", region) for region in {*regions.values()}}
    found = {name: described(clients[region], name) for name, region in regions.items()}
    return {
        name: _stack(clients[regions[name]], name, answer)
        for name, answer in found.items()
        if answer is not None
    }


def other_stacks(plan: Plan, stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield the names of stacks that an earlier deployment.toml may have had, and this one does not.

    Only the file knows the region of a replica, so that one that left the file is not found.
    """
    present = {stack.name for stack in stacks}
    for name in dict.fromkeys((*REPORTING, *SOURCE, *RENDERED)):
        if name not in present:
            yield plan.deployment.stack(name)


def _stack(client: Any, name: str, answer: Mapping[str, Any]) -> DeployedStack:
    with aws_errors(f"GetTemplate of {name}"):
        body = client.get_template(StackName=name, TemplateStage="Original").get("TemplateBody", "")
    # botocore has parsed a template in JSON already.
    text = body if isinstance(body, str) else json.dumps(body)
    return DeployedStack(
        name=name,
        status=str(answer["StackStatus"]),
        changed_at=answer.get("LastUpdatedTime", answer["CreationTime"]),
        parameters={one["ParameterKey"]: one["ParameterValue"] for one in answer.get("Parameters", ())},
        tags={tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())},
        outputs={one["OutputKey"]: one["OutputValue"] for one in answer.get("Outputs", ())},
        template=template_of(name, read_body(text, f"the deployed template of {name}")),
    )
