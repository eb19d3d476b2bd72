"""`headwater deploy status`: how the deployed stacks, alarms and mappings of an account are."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from headwater.commands.deployment.account import add_account, connect_account, deployed_stacks, stacks_here
from headwater.commands.deployment.arguments import add_deployment, plan_of
from headwater.commands.deployment.scheduled import scheduled_mapping
from headwater.commands.deployment.watched import Alarm, EventSource, alarms, mappings
from headwater.deployment.comparing import shown
from headwater.deployment.stacks import PACKAGE_KEYS, Stack
from headwater.deployment.states import DeployedStack, refusal
from headwater.exit_codes import DONE, FINDINGS
from headwater.output import counted, show, show_json, show_table, tell
from headwater.parsing import Commands, add_command, add_json

_MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class Drift:
    """A parameter whose deployed value is not that of the file."""

    name: str
    deployed: str | None
    wanted: str | None

    def __str__(self) -> str:
        """Return it as a remark. The key of a package is called by what it is for a person."""
        what = "another package than the built one" if self.name in PACKAGE_KEYS else "differs"
        return f"{self.name} {what}"


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A stack of deployment.toml, deployed or not."""

    stack: str
    status: str
    changed_at: datetime | None
    drift: tuple[Drift, ...]
    waits_for: tuple[str, ...]
    problem: str | None

    @property
    def remarks(self) -> str:
        """What is worth knowing, for a column of a table."""
        waiting = [f"waits for {', '.join(self.waits_for)}"] if self.waits_for else []
        return "; ".join([*filter(None, [self.problem]), *map(str, self.drift), *waiting])


@dataclass(frozen=True, slots=True)
class Copy:
    """A line of deployment.toml that waits for an output of a deployed stack."""

    section: str
    line: str
    stack: str


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to those of `headwater deploy`."""
    parser = add_command(
        actions,
        "status",
        "show stacks, alarms and event source mappings",
        example="headwater deploy status --home home",
        run=run,
        description=(
            "Shows the stacks of deployment.toml in the account of the present credentials: status, time of "
            "the last change, parameters whose deployed value is not that of the file, stacks that are "
            "missing, and the lines that the file still needs from outputs. Then the alarms that went off, "
            "with their runbooks, and the event source mappings that are disabled or fail, with the reason; "
            "one that sleeps by the schedule needs no attention. "
            "Changes nothing. Exit code 3 if any of this needs attention."
        ),
    )
    add_deployment(parser)
    add_account(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 3 if something needs attention. Raises ConfigurationError, TransientError."""
    plan = plan_of(options)
    for problem in plan.problems:
        tell(f"{plan.file}: {problem}")
    account = connect_account(options.profile, plan.deployment.region)
    here = stacks_here(plan, account)
    names = {plan.deployment.stack(stack.name): stack for stack in here}
    deployed = deployed_stacks(account, {name: stack.region for name, stack in names.items()})
    stacks = [_status(name, stack, deployed.get(name)) for name, stack in names.items()]
    copies = [*copies_of(plan.stacks, deployed)]
    prefix = f"{plan.deployment.prefix}-"
    schedule, consumers = (deployed.get(plan.deployment.stack(name)) for name in ("schedule", "consumers"))
    scheduled = scheduled_mapping(schedule, consumers, datetime.now(UTC))
    rung, read = alarms(account, prefix), mappings(account, prefix, scheduled)
    if options.json:
        show_json(
            {
                "account": account.number,
                "stacks": [asdict(one) for one in stacks],
                "copy": [asdict(one) for one in copies],
                "alarms": [asdict(one) for one in rung],
                "mappings": [asdict(one) for one in read],
            }
        )
    else:
        _show(stacks, copies, rung, read)
    is_fine = all(one.is_fine for one in read) and not (copies or rung or plan.problems)
    return DONE if is_fine and not any(one.remarks for one in stacks) else FINDINGS


def _status(name: str, stack: Stack, deployed: DeployedStack | None) -> StackStatus:
    if deployed is None:
        return StackStatus(name, _MISSING, None, (), stack.missing, "not deployed")
    return StackStatus(
        stack=name,
        status=deployed.status,
        changed_at=deployed.changed_at,
        drift=tuple(_drift(stack, deployed)),
        waits_for=stack.missing,
        problem="not deployed" if deployed.is_empty else refusal(deployed.status),
    )


def _drift(stack: Stack, deployed: DeployedStack) -> Iterator[Drift]:
    for name, value in stack.values.items():
        found = deployed.parameters.get(name)
        if found not in (value.text, "****"):  # what AWS shows of a parameter with NoEcho
            yield Drift(name, shown(name, found), shown(name, value.text))


def copies_of(stacks: Iterable[Stack], deployed: Mapping[str, DeployedStack]) -> Iterator[Copy]:
    """Yield the lines for parameters without a value that are outputs of deployed stacks, each once.

    `headwater env` shows the same outputs: they are names and ARNs, never secrets.
    """
    stacks = list(stacks)
    empty = {name for stack in stacks for name, value in stack.values.items() if not value.text}
    waiting = empty.union(*(stack.missing for stack in stacks))
    for stack in deployed.values():
        for name, text in stack.outputs.items():
            if name in waiting and text:
                waiting.discard(name)
                yield Copy("[parameters]", f'{name} = "{text}"', stack.name)


# What a person reads


def _show(
    stacks: Iterable[StackStatus], copies: list[Copy], rung: Iterable[Alarm], read: list[EventSource]
) -> None:
    rows = [(one.stack, one.status, _time(one.changed_at), one.remarks) for one in stacks]
    show_table(("stack", "status", "changed", "remarks"), rows)
    if copies:
        show(f"\ncopy into deployment.toml, below {copies[0].section}:")
    for copy in copies:
        show(f"{copy.line}  # {copy.stack}")
    if alarmed := [(one.name, _time(one.since), one.runbook) for one in rung]:
        show("")
        show_table(("alarm", "since", "runbook"), alarmed)
    if off := [(one.function, one.source, one.state, one.why) for one in read if not one.works]:
        show("")
        show_table(("function", "source", "mapping", "why"), off)
    asleep = sum(one.asleep for one in read)
    working = f"{counted(len(read) - len(off), 'event source mapping')} of {len(read)} enabled and working"
    tell(f"{working}, {asleep} asleep" if asleep else working)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
