"""`headwater replay`: rebuild, check or roll back a table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from headwater.commands import damage, revisions
from headwater.exit_codes import DONE, FINDINGS
from headwater.installation import load
from headwater.output import counted, show, show_json, show_table, tell
from headwater.parsing import Commands, add_command, add_json, add_warehouse, days, moment
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from replay.differences import Difference
    from replay.plan import Plan
    from replay.ports import Ports
    from replay.run import RunResult
    from schemas.catalog.entity import Entity

_LISTED = 100  # differing rows that are listed one by one; the others are only counted


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "replay",
        "rebuild a table from the log, or check it",
        example="headwater replay compare school",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_rebuild(actions)
    _add_rollback(actions)
    comparing = add_command(
        actions,
        "compare",
        "find the rows of a table that differ from the log",
        example="headwater replay compare school",
        run=_compare,
        description="Folds the log and the stream beside the live table. Exit code 3 when rows differ.",
    )
    _add_common(comparing)
    revisions.add_parsers(actions)
    damage.add_parser(actions)


def _add_rebuild(actions: Commands[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "rebuild",
        "rebuild a table from the log, and swap it in",
        example="headwater replay rebuild school --as-of 2026-01-31T12:00:00Z",
        run=_rebuild,
        description=(
            "Builds the table beside the live one, compares the two and swaps them; readers and writers are "
            "not interrupted. If rows differ, it does not swap, and the exit code is 3. After an "
            "interruption or a refusal the next run resumes, provided that the part of the log already read "
            "is unchanged. With --as-of: the table as the sources had it at that moment, in a view of its "
            "own, which is kept until `replay discard` drops it or, with --keep-days, the first --as-of run "
            "after that time."
        ),
    )
    parser.add_argument("--as-of", type=moment, metavar="TIME", help="such as 2026-01-31T12:00:00Z")
    parser.add_argument("--keep-days", type=days, metavar="DAYS", help="how long to keep an --as-of table")
    parser.add_argument(
        "--fresh", action="store_true", help="start from the beginning, even if an earlier run can be resumed"
    )
    _add_decisions(parser)


def _add_rollback(actions: Commands[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "rollback",
        "switch back to the table that the last rebuild replaced",
        example="headwater replay rollback school",
        run=_rollback,
        description=(
            "Applies to the retired table what is new on the stream, compares and swaps. Exit code 3 when "
            "rows differ."
        ),
    )
    _add_decisions(parser)


def _add_decisions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
    parser.add_argument("--accept-differences", action="store_true", help="swap even if rows differ")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="an entity, such as school")
    add_json(parser)
    add_warehouse(parser)


def _rebuild(options: argparse.Namespace) -> int:
    from replay.as_of import plan_as_of
    from replay.rebuild import plan_rebuild

    def plan(ports: Ports, entity: Entity) -> Plan:
        if options.as_of:
            return plan_as_of(ports, entity, options.as_of, fresh=options.fresh, keep=options.keep_days)
        accept, fresh = options.accept_differences, options.fresh
        return plan_rebuild(ports, entity, accept_differences=accept, fresh=fresh)

    if options.keep_days and not options.as_of:
        raise ConfigurationError("--keep-days needs --as-of: add the moment of the table")
    return _execute(options, plan)


def _rollback(options: argparse.Namespace) -> int:
    from replay.rebuild import plan_rollback

    return _execute(
        options,
        lambda ports, entity: plan_rollback(ports, entity, accept_differences=options.accept_differences),
    )


def _execute(options: argparse.Namespace, make_plan: Callable[[Ports, Entity], Plan]) -> int:
    from replay.plan import explain
    from replay.run import run

    with _opened(options) as (entity, ports):
        plan = make_plan(ports, entity)
        if options.dry_run:
            lines = explain(plan)
            show_json(lines) if options.json else show("\n".join(lines))
            return DONE
        # Only a plan that could have resumed an earlier run, and does not, has a reason.
        if why := getattr(plan.target, "why", ""):
            tell(f"from the beginning: {why}")
        outcome = run(plan, ports)
    if options.json:
        show_json(_as_json(outcome))
    else:
        _show(plan, outcome, getattr(options, "as_of", None))
    # Differences that were accepted, and so swapped in, are not findings any more.
    return FINDINGS if outcome.counts.dead or (outcome.differences and not outcome.swapped) else DONE


def _compare(options: argparse.Namespace) -> int:
    from replay.compare import compare

    with _opened(options) as (entity, ports):
        differences = compare(ports, entity)
        listed = list(islice(differences, _LISTED))
        total = len(listed) + sum(1 for _ in differences)  # counts the rest without keeping it in memory
    if options.json:  # the total may be greater than the number of listed rows
        show_json({"entity": entity.name, "differences": total, "rows": _rows(listed)})
    elif total:
        _show_differences(listed)
        show(f"{counted(total, 'row')} of {entity.name} differ from what the log says")
    else:
        show(f"every row of {entity.name} is what the log says")
    return FINDINGS if total else DONE


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Entity, Ports]]:
    here = load(options.settings)
    entity = here.catalog.entity(options.name)  # before the slow imports: a misspelt name is reported at once

    from headwater.log_identity import check
    from headwater.replay_ports import replay_ports

    with here.warehouse() as warehouse:
        aws = here.aws()
        check(aws, here.settings.log_bucket, warehouse)
        yield entity, replay_ports(here, aws, warehouse)


def _show(plan: Plan, outcome: RunResult, as_of: datetime | None) -> None:
    name = outcome.entity
    earlier = _read_earlier(plan)
    before = f" ({earlier:,} by the run that this one goes on with)" if earlier else ""
    events = counted(outcome.events, "event")
    show(f"{name}: {events} read from the log{before}, into revision {outcome.revision}")
    if outcome.counts.dead:
        show(f"{counted(outcome.counts.dead, 'event')} can't be used: see `headwater dead-letters list`")
    if as_of:
        show(f"as of {as_of.isoformat()}: `headwater tables {name} --as-of {as_of.isoformat()}`")
        show(f"`headwater replay discard {name} --as-of {as_of.isoformat()}` drops it")
        return
    _show_differences(outcome.differences)
    if outcome.swapped:
        equal = "with differences that were accepted" if outcome.differences else "every row is equal"
        show(f"{equal}: revision {outcome.revision} is live in place of revision {plan.live}")
        show(f"`headwater replay rollback {name}` goes back")
    else:
        more = " or more" if outcome.more_differences else ""
        show(
            f"{counted(len(outcome.differences), 'row')}{more} differ: revision {plan.live} stays live; "
            "--accept-differences swaps all the same"
        )
        show(f"`headwater replay discard {name} --half-made` drops revision {outcome.revision}")


def _read_earlier(plan: Plan) -> int:
    """Return the number of events that earlier, interrupted runs read for this revision."""
    from replay.plan import Load

    return sum(stage.checkpoint.events for stage in plan.stages if isinstance(stage, Load))


def _show_differences(differences: Iterable[Difference]) -> None:
    if rows := [[row.key, ", ".join(row.what), row.newer] for row in differences]:
        show_table(["key", "what differs", "who knows the later event"], rows)


def _rows(differences: Iterable[Difference]) -> list[dict[str, Any]]:
    return [{"key": row.key, "what": row.what, "newer": row.newer} for row in differences]


def _as_json(outcome: RunResult) -> dict[str, Any]:
    return {
        "entity": outcome.entity,
        "revision": outcome.revision,
        "events": outcome.events,
        "counts": outcome.counts._asdict(),
        "differences": _rows(outcome.differences),
        "more_differences": outcome.more_differences,
        "swapped": outcome.swapped,
        "view": outcome.view,
    }
