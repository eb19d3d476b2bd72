"""`headwater deploy check`: refuse a deployment before the first call to AWS."""

from __future__ import annotations

import argparse

from headwater.commands.deployment import plan, status
from headwater.commands.deployment.arguments import add_deployment, add_templates, chosen, plan_of
from headwater.deployment.checks import missing_values
from headwater.exit_codes import DONE, REFUSED
from headwater.output import counted, show, tell
from headwater.parsing import Commands, add_command


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    deploy = add_command(
        commands,
        "deploy",
        "check, plan and watch a deployment on AWS",
        example="headwater deploy check --home home",
    )
    actions = deploy.add_subparsers(dest="action", metavar="ACTION", required=True)
    parser = add_command(
        actions,
        "check",
        "list what is wrong with deployment.toml",
        example="headwater deploy check --home home artifacts stream",
        run=run,
        description=(
            "Reads the file, the entities and the templates, and calls nothing: accounts, region, names that "
            "are too long, tables, and the value of every parameter. Lists all that is wrong, with exit code "
            "2. Parameters without a value are wrong in the templates that are named: name those that you "
            "are about to deploy."
        ),
    )
    add_templates(parser)
    add_deployment(parser)
    plan.add_parser(actions)
    status.add_parser(actions)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 2 if something is wrong. Raises ConfigurationError."""
    read = plan_of(options)
    stacks = chosen(options, read.stacks)
    problems = read.problems + missing_values(stacks)
    for problem in problems:
        show(problem)
    if problems:
        tell(f"{read.file}: {counted(len(problems), 'problem')}")
        return REFUSED
    tell(f"{read.file}: {counted(len(stacks), 'stack')} can be deployed")
    return DONE
