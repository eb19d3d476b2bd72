"""`headwater deploy check`: refuse a deployment before the first call to AWS."""

from __future__ import annotations

import argparse

from headwater.commands.deployment.arguments import add_deployment, plan_of
from headwater.deployment.checks import missing_values
from headwater.deployment.deployment import REPORTING, SOURCE, TABLES
from headwater.exit_codes import DONE, REFUSED
from headwater.output import counted, show, tell
from headwater.parsing import Commands, add_command
from schemas.refusals import unknown

_TEMPLATES = tuple(dict.fromkeys((*REPORTING, *SOURCE, TABLES)))


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    deploy = add_command(
        commands, "deploy", "check a deployment on AWS", example="headwater deploy check --home home"
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
    parser.add_argument(
        "templates",
        nargs="*",
        metavar="TEMPLATE",
        help="such as stream; all by default",
    )
    add_deployment(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 2 if something is wrong. Raises ConfigurationError."""
    for name in options.templates:
        if name not in _TEMPLATES:
            raise unknown("template", name, _TEMPLATES)
    plan = plan_of(options)
    stacks = [
        stack for stack in plan.stacks if not options.templates or stack.template.name in options.templates
    ]
    problems = plan.problems + missing_values(stacks)
    for problem in problems:
        show(problem)
    if problems:
        tell(f"{plan.file}: {counted(len(problems), 'problem')}")
        return REFUSED
    tell(f"{plan.file}: {counted(len(stacks), 'stack')} can be deployed")
    return DONE
