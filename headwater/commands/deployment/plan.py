"""`headwater deploy plan`: what a deployment would change, from the templates and the deployed stacks."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from headwater.commands.deployment.account import (
    add_account,
    connect_account,
    deployed_stacks,
    other_stacks,
    stacks_here,
)
from headwater.commands.deployment.arguments import Plan, add_deployment, add_templates, chosen, plan_of
from headwater.commands.deployment.folder import changes
from headwater.deployment.comparing import HIDDEN, Comparison, ResourceChange, ValueChange, compare
from headwater.deployment.render import render
from headwater.deployment.stacks import Stack
from headwater.deployment.states import DeployedStack, refusal
from headwater.deployment.templates import FOLDER
from headwater.exit_codes import DONE, FINDINGS, REFUSED
from headwater.output import counted, show, show_json, tell
from headwater.parsing import Commands, add_command, add_json
from schemas.errors import ConfigurationError

_LARGEST = 51_200  # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What the deployment of one stack would do."""

    stack: str
    state: str
    """`new`, `changes`, `unchanged`, or `refused` where CloudFormation would not take it."""
    status: str | None
    """The status of the deployed stack."""
    waits_for: tuple[str, ...]
    """Parameters that deployment.toml has no value for."""
    changes: Comparison
    refusals: tuple[str, ...]
    """Why it cannot be deployed, and which data a deployment would lose."""
    command: str | None
    """The command that deploys it; None if there is nothing to deploy, or it cannot be deployed now."""


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to those of `headwater deploy`."""
    parser = add_command(
        actions,
        "plan",
        "show what a deployment would change",
        example="headwater deploy plan --home home stream consumers",
        run=run,
        description=(
            "Compares the stacks of deployment.toml in the account of the present credentials with the "
            "deployed ones: parameters, tags, outputs, and every resource by its logical id, with the "
            "properties that change and whether CloudFormation replaces it. Reads the deployed templates and "
            "creates nothing, not even a change set. Exit code 0: nothing changes; 3: something does; 2: "
            "deployment.toml is refused, a stack is in a state that refuses updates, or a resource that "
            "holds data would be replaced or leave its stack."
        ),
    )
    add_templates(parser)
    add_deployment(parser)
    add_account(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, 2 or 3. Raises ConfigurationError, TransientError."""
    plan = plan_of(options)
    if plan.problems:
        raise ConfigurationError("\n".join((f"{plan.file} is refused:", *plan.problems)))
    account = connect_account(options.profile, plan.deployment.region)
    here = stacks_here(plan, account)
    stacks = chosen(options, here)
    names = [plan.deployment.stack(stack.name) for stack in stacks]
    forgotten = [] if options.templates else [*other_stacks(plan, here)]
    regions = {name: stack.region for name, stack in zip(names, stacks, strict=True)}
    deployed = deployed_stacks(account, dict.fromkeys(forgotten, account.region) | regions)
    plans = [
        _planned(plan, stack, deployed.get(name), options.profile)
        for name, stack in zip(names, stacks, strict=True)
    ]
    left = [name for name in forgotten if name in deployed]
    if options.json:
        show_json({"account": account.number, "stacks": [asdict(one) for one in plans], "left_over": left})
    else:
        _show(plans, left)
    _summarize(plan, plans)
    if any(one.refusals for one in plans):
        return REFUSED
    return FINDINGS if left or any(one.state != "unchanged" for one in plans) else DONE


def _planned(plan: Plan, stack: Stack, deployed: DeployedStack | None, profile: str | None) -> StackPlan:
    name, tags = plan.deployment.stack(stack.name), plan.deployment.tags
    status = deployed.status if deployed else None
    refused = refusal(status) if status else None
    if deployed is None or deployed.is_empty:
        found, state = Comparison((), ()), "new"
    else:
        found = compare(stack, tags, deployed)
        state = "unchanged" if found.is_empty else "changes"
    dangers = [f"{one.logical_id}: {one.danger}" for one in found.resources if one.danger]
    refusals = tuple(([f"{status}: {refused}"] if refused else []) + dangers)
    is_ready = state != "unchanged" and not stack.missing and not refusals
    return StackPlan(
        stack=name,
        state="refused" if refused else state,
        status=status,
        waits_for=stack.missing,
        changes=found,
        refusals=refusals,
        command=_command(plan, stack, name, profile) if is_ready else None,
    )


def _command(plan: Plan, stack: Stack, name: str, profile: str | None) -> str:
    """Return the command that deploys a stack from the rendered files."""
    folder = plan.into / stack.account
    by_hand = FOLDER / f"{stack.template.name}.yaml"
    file = by_hand if by_hand.is_file() else folder / f"{stack.name}.yaml"
    words = ["aws", "cloudformation", "deploy", *(["--profile", profile] if profile else [])]
    words += ["--region", stack.region, "--stack-name", name, "--template-file", _short(file)]
    words += ["--tags", f"file://{plan.into / 'tags.json'}"]
    words += ["--parameter-overrides", f"file://{folder / stack.name}.json"]
    if any(one["Type"].startswith("AWS::IAM::") for one in stack.template.body["Resources"].values()):
        words += ["--capabilities", "CAPABILITY_IAM"]
    if file.is_file() and file.stat().st_size > _LARGEST:
        bucket = f"{plan.deployment.prefix}-artifacts-{stack.account}-{plan.deployment.region}"
        words += ["--s3-bucket", bucket, "--s3-prefix", "templates"]
    return shlex.join(words)


def _short(file: Path) -> str:
    """Return a path as one types it: relative, if it is below the present folder."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


# What a person reads


def _show(plans: list[StackPlan], left: list[str]) -> None:
    for one in plans:
        for line in _lines(one):
            show(line)
    for name in left:
        show(f"{name}: deployed, and no longer in the file: delete the stack, or put it back")


def _lines(plan: StackPlan) -> Iterator[str]:
    number = len(plan.changes.values) + len(plan.changes.resources)
    said = {"unchanged": "nothing changes", "new": "new", "changes": counted(number, "change")}
    yield f"{plan.stack}: {said.get(plan.state, plan.state)}"
    if plan.waits_for:
        yield f"  waits for {', '.join(plan.waits_for)}"
    for value in plan.changes.values:
        yield f"  {value.how:<16} {value.what} {value.name}{_texts(value)}"
    for resource in plan.changes.resources:
        yield from _resource(resource)
    for refused in plan.refusals:
        yield f"  REFUSED: {refused}"
    if plan.command:
        yield f"  {plan.command}"


def _texts(value: ValueChange) -> str:
    if value.what == "output" or HIDDEN in (value.before, value.after):
        return "" if value.what == "output" else f" {HIDDEN}"
    before, after = (repr(text) for text in (value.before, value.after))
    if value.how == "changed":
        return f": {before} -> {after}"
    return f": {after if value.how == 'added' else before}"


def _resource(resource: ResourceChange) -> Iterator[str]:
    yield f"  {resource.what:<16} {resource.logical_id} ({resource.type})"
    for path in resource.paths:
        yield f"    {path}"


def _summarize(plan: Plan, plans: list[StackPlan]) -> None:
    rendered = render(plan.deployment, plan.stacks)
    if changes(plan.present, rendered.files):
        tell(f"{plan.into} is not what {plan.file} renders: run `headwater cfn render` before you deploy")
    changing = sum(one.state != "unchanged" for one in plans)
    tell(f"{counted(changing, 'stack')} of {len(plans)} would change")
