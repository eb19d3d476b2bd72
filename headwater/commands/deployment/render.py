"""`headwater cfn render`: write what CloudFormation needs beside the templates."""

from __future__ import annotations

import argparse

from headwater.commands.deployment.arguments import add_deployment, plan_of
from headwater.commands.deployment.folder import changes, write
from headwater.deployment.render import render
from headwater.exit_codes import DONE, FINDINGS
from headwater.output import counted, show, tell
from headwater.parsing import Commands, add_command
from schemas.errors import ConfigurationError


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    cfn = add_command(
        commands, "cfn", "write what CloudFormation needs", example="headwater cfn render --home home"
    )
    actions = cfn.add_subparsers(dest="action", metavar="ACTION", required=True)
    parser = add_command(
        actions,
        "render",
        "write parameters and mappings from deployment.toml and the entities",
        example="headwater cfn render --home home",
        run=run,
        description=(
            "Writes for each account the parameters of every template, and tables.yaml with one event "
            "source mapping for each DynamoDB table of the entities. The same input gives the same bytes: "
            "commit the files, and a diff shows what a deployment will change. Where a parameter has no "
            "value yet, such as an output of a stack that is not deployed, the file is not written, and "
            "stderr names what it waits for. Writes nothing, with exit code 2, if `headwater deploy check` "
            "refuses anything else."
        ),
    )
    add_deployment(parser)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 3 if a file would change"
    )


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 3 if `--check` finds a difference. Raises ConfigurationError."""
    plan = plan_of(options)
    if plan.problems:
        raise ConfigurationError(
            "\n".join((f"{plan.file} is refused, and nothing was written:", *plan.problems))
        )
    rendered = render(plan.deployment, plan.stacks)
    changed = changes(plan.present, rendered.files)
    for path, what in changed.items():
        show(f"{what:<8} {plan.into / path}")
    if not options.check:
        write(plan.into, rendered.files, changed)
    for path, names in rendered.waiting.items():
        tell(f"{plan.into / path} waits for {', '.join(names)}")
    tell(
        f"{counted(len(changed), 'file')} of {len(rendered.files)} changed" if changed else "nothing changed"
    )
    return FINDINGS if changed and options.check else DONE
