"""`headwater env`: the environment of a deployed installation, from the outputs of its stacks."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from headwater.commands.deployment.account import described
from headwater.exit_codes import DONE
from headwater.output import listed, show_export
from headwater.parsing import Commands, add_command
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError

VARIABLES = {
    "StreamArn": "HEADWATER_STREAM",
    "LogBucketName": "HEADWATER_LOG_BUCKET",
    "SourceBucketName": "HEADWATER_SOURCE_BUCKET",
    "WarehouseSecretArn": "HEADWATER_WAREHOUSE_SECRET",
    "WarehouseHost": "HEADWATER_WAREHOUSE_HOST",
    "WarehouseDatabase": "HEADWATER_WAREHOUSE_DATABASE",
    "HashSecretArn": "HEADWATER_HASH_SECRET",
}
"""Variables by the name of the output that holds the value, in the order of printing."""


class Stack(NamedTuple):
    """A deployed stack: its values by variable."""

    name: str
    values: Mapping[str, str]


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "env",
        "print the environment of a deployed installation",
        example="headwater env --stack headwater-prod-stream --stack headwater-prod-source > headwater.env",
        run=run,
        description=(
            "Reads the outputs of stacks of the templates in cfn/, and prints the variables that they "
            "determine as `export` lines, as `headwater up` does. Name the stacks whose parts you use: "
            "stream and source for files and the log, producers where fields are hashed, consumers for the "
            "warehouse. Stacks of another account need credentials of that account."
        ),
    )
    parser.add_argument(
        "--stack", action="append", required=True, metavar="NAME", help="a deployed stack; may be repeated"
    )
    parser.add_argument("--region", metavar="R", help="the stacks' region, instead of the environment's")


def run(options: argparse.Namespace) -> int:
    """Return exit code 0. Raises ConfigurationError, TransientError."""
    import boto3

    with aws_errors("connecting to CloudFormation"):
        session = boto3.session.Session(region_name=options.region)
        client = session.client("cloudformation")
    stacks = [_read(client, name) for name in dict.fromkeys(options.stack)]
    exports = {"AWS_DEFAULT_REGION": client.meta.region_name, **_merged(stacks)}
    for name, value in exports.items():
        show_export(name, value)
    return DONE


def _read(client: Any, name: str) -> Stack:
    """Read the values of one stack. Raises ConfigurationError if it has none that are known."""
    stack = _described(client, name)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    values = {VARIABLES[key]: value for key, value in outputs.items() if key in VARIABLES and value}
    if not values:
        raise ConfigurationError(
            f"the stack {name} ({stack['StackStatus']}) has none of the outputs {listed(VARIABLES)}: name a "
            "stack of stream.yaml, source.yaml, producers.yaml or consumers.yaml that is deployed"
        )
    return Stack(name, values)


def _described(client: Any, name: str) -> Mapping[str, Any]:
    if (found := described(client, name)) is not None:
        return found
    raise ConfigurationError(
        f"there is no stack {name} in the region {client.meta.region_name} of this account: name one that is "
        "deployed, with --region where it is in another"
    )


def _merged(stacks: Iterable[Stack]) -> dict[str, str]:
    """Return the values of all stacks, by variable. Raises ConfigurationError if two disagree."""
    found: dict[str, tuple[str, str]] = {}
    for stack in stacks:
        for variable, value in stack.values.items():
            other, first = found.setdefault(variable, (stack.name, value))
            if first != value:
                raise ConfigurationError(
                    f"the stacks {other} and {stack.name} disagree about {variable}: {first} and {value}. "
                    "Name stacks of one installation only"
                )
    return {variable: found[variable][1] for variable in VARIABLES.values() if variable in found}
