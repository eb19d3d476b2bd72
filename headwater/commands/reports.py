"""`headwater reports`: list, check, refresh, verify and drop tables that are defined by a SELECT."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headwater.commands.new_report import add_new
from headwater.commands.report_output import show_comparison, show_indexes, show_outputs
from headwater.exit_codes import DONE, FINDINGS, GAVE_UP, REFUSED
from headwater.installation import Installation, load
from headwater.output import counted, emit, show, show_table, tell
from headwater.parsing import Commands, add_command, add_json, add_warehouse
from schemas.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from consumers.reporting.definition.report import Report
    from consumers.reporting.files import Reports
    from consumers.reporting.refresh.freshness import ReportRevision
    from consumers.reporting.refresh.refresher import Refresher

WAIT_SECONDS = 60
"""Longest wait for a report that `headwater up` or another command is refreshing."""
_PATIENCE_SECONDS = 2.0
_FILE_GONE = "no more: its file is gone; changes pile up until `reports drop`"
_RECORD_ALONE = "its file is gone: `reports drop` removes the record of it"
_MEMBERS = ("report", "rows", "waiting", "refreshed", "event_time", "kept", "problem")
_COLUMNS = {name: name.replace("_", " ") for name in _MEMBERS}


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "reports",
        "keep tables that are defined by a SELECT",
        example="headwater reports list",
        description=(
            "A report is one .sql file under reports/: a comment with its key, and one SELECT over "
            "staging.*. `headwater up` keeps its table up to date as events arrive."
        ),
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_list(actions)
    _add_check(actions)
    _add_plan(actions)
    _add_refresh(actions)
    _add_verify(actions)
    _add_drop(actions)
    add_new(actions)


def _add_list(actions: Commands[argparse.ArgumentParser]) -> None:
    listing = add_command(
        actions,
        "list",
        "list reports and how fresh they are",
        example="headwater reports list --json",
        run=_list,
        description=(
            "Lists rows, waiting changes, the last refresh, the newest event in it, how the table is kept "
            "up to date, and problems."
        ),
    )
    add_json(listing)
    add_warehouse(listing)


def _add_check(actions: Commands[argparse.ArgumentParser]) -> None:
    check = add_command(
        actions,
        "check",
        "check report files",
        example="headwater reports check active_subscriptions",
        run=_check,
        description=(
            "Reads the files and changes nothing. For each report: the columns by which changed rows lead "
            "to its rows, and the columns of staging that are read on the way. With --warehouse also the "
            "types of its columns in the database, and the indexes of staging that a refresh lacks. Exit "
            "code 2 when a report is invalid."
        ),
    )
    _add_names(check)
    check.add_argument(
        "--create-indexes",
        action="store_true",
        help="create those indexes; writers of the tables wait meanwhile; a rebuilt table gets them too",
    )
    check.add_argument(
        "--warehouse",
        metavar="URL",
        nargs="?",
        const="",
        help="ask this database, or that of HEADWATER_WAREHOUSE, for types and indexes",
    )


def _add_plan(actions: Commands[argparse.ArgumentParser]) -> None:
    plan = add_command(
        actions,
        "plan",
        "show what the next refresh would do",
        example="headwater reports plan",
        run=_plan,
        description=(
            "Shows for each file what happens to its table: nothing, changes are applied, or a new table is "
            "built beside the old one and then swapped in. A table whose file is gone is kept until "
            "`reports drop`. With --compare the new table is built out of readers' sight, and compared on "
            f"the columns that both have; a report that is being refreshed is waited for, {WAIT_SECONDS} s "
            "at most."
        ),
    )
    _add_names(plan)
    plan.add_argument(
        "--compare",
        action="store_true",
        help="count rows that are in only one of the tables, or differ, by column",
    )
    add_warehouse(plan)


def _add_refresh(actions: Commands[argparse.ArgumentParser]) -> None:
    refresh = add_command(
        actions,
        "refresh",
        "bring reports up to date now",
        example="headwater reports refresh active_subscriptions",
        run=_refresh,
        description=(
            "Applies the waiting changes. `headwater up` does so continuously; both may run at once: a "
            f"report that is being refreshed is waited for, {WAIT_SECONDS} s at most. A failure stops no "
            "other report."
        ),
    )
    _add_names(refresh)
    refresh.add_argument("--whole", action="store_true", help="rebuild the whole table, and swap it in")
    add_warehouse(refresh)


def _add_verify(actions: Commands[argparse.ArgumentParser]) -> None:
    verify = add_command(
        actions,
        "verify",
        "compute reports from scratch and compare",
        example="headwater reports verify",
        run=_verify,
        description=(
            "Compares each table with the result of its SELECT at the same moment. Lists differing rows by "
            "the hashes of their keys; exit code 3 when there are any, which is a bug of Headwater. A "
            "failure stops no other report: exit code 2 when one can't be refreshed, 5 when a retry may "
            f"help. `headwater up` may run: a report that is being refreshed is waited for, {WAIT_SECONDS} s "
            "at most."
        ),
    )
    _add_names(verify)
    add_warehouse(verify)


def _add_drop(actions: Commands[argparse.ArgumentParser]) -> None:
    drop = add_command(
        actions,
        "drop",
        "remove the table of a report",
        example="headwater reports drop active_subscriptions",
        run=_drop,
        description=(
            "For a report whose file is gone: otherwise the next refresh builds the table again. Exit code "
            "2 when there is no such report."
        ),
    )
    drop.add_argument("name", metavar="REPORT")
    add_warehouse(drop)


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="REPORT", nargs="*", help="such as renewals_due; all by default")


def _read(here: Installation) -> Reports:
    from consumers.reporting.files import read_reports

    return read_reports(here.settings.home, here.catalog)


@contextmanager
def _refresher(here: Installation) -> Iterator[Refresher]:
    from consumers.reporting.engines import reports_in
    from consumers.reporting.refresh.refresher import Refresher

    with here.warehouse() as warehouse:
        yield Refresher(reports_in(warehouse), WAIT_SECONDS)


@contextmanager
def _patient(name: str) -> Iterator[None]:
    """Print what the command is waiting for if the block takes long."""
    message = (
        f"report {name}: still at it; while somebody else is refreshing it, its turn is waited for, "
        f"{WAIT_SECONDS} s at most"
    )
    timer = threading.Timer(_PATIENCE_SECONDS, tell, [message])
    timer.daemon = True  # must not keep the process alive after Ctrl-C
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _list(options: argparse.Namespace) -> int:
    here = load(options.settings)
    reports = _read(here)
    with _refresher(here) as refresher:
        revisions, waiting = refresher.revisions()
    members = [_described(revision, waiting, revision.name in reports.right) for revision in revisions]
    built = {row["report"] for row in members}
    members += [_not_built(name) for name in reports.right if name not in built]
    members += [{**_not_built(path.stem), "problem": problem} for path, problem in reports.wrong.items()]
    # In JSON the order is: reports with a table, those without one, then invalid files.
    if not options.json:
        members.sort(key=lambda row: str(row["report"]))
    emit(members, _COLUMNS, options.json)
    return DONE


def _described(revision: ReportRevision, waiting: dict[str, int], has_file: bool) -> dict[str, Any]:
    kept = f"every {revision.minutes} minutes" if revision.minutes else "change by change"
    if not has_file:
        kept = _FILE_GONE if revision.state == "live" else _RECORD_ALONE
    return {
        "report": revision.name,
        "rows": revision.rows,
        "waiting": waiting.get(revision.name, 0),
        "refreshed": revision.refreshed_at and str(revision.refreshed_at),
        "event_time": revision.event_time,
        "kept": kept,
        "problem": revision.problem,
    }


def _not_built(name: str) -> dict[str, Any]:
    return {**dict.fromkeys(_MEMBERS), "report": name, "kept": "not made yet"}


def _check(options: argparse.Namespace) -> int:
    from consumers.reporting.files import chosen, problems

    here = load(options.settings)
    reports = _read(here)
    for report in chosen(reports, options.names):
        if report.derivation is None:  # refreshed as a whole, at intervals
            show(f"{report.name}: rebuilt every {counted(report.minutes or 0, 'minute')}")
            continue
        show(f"{report.name}: a change leads to its rows by {', '.join(report.unit)}")
        for entity, columns in report.images.items():
            show(f"  staging.{entity}: {', '.join(columns) or 'whether a row is there'}")
    # With names, `chosen` raises for an invalid file among them; others are not asked for.
    wrong = [] if options.names else list(problems(reports))
    if options.warehouse is not None or options.create_indexes:
        wrong += _ask_warehouse(here, chosen(reports, options.names), options.create_indexes)
    for problem in wrong:
        tell(problem)
    return REFUSED if wrong else DONE


def _ask_warehouse(here: Installation, reports: list[Report], create_indexes: bool) -> list[str]:
    """Print the column types and missing indexes that the warehouse reports. Return the problems."""
    from consumers.reporting.engines import reports_in

    wrong = []
    with here.warehouse() as warehouse:
        engine = reports_in(warehouse)
        for report in reports:
            try:
                show_outputs(engine, report)
                show_indexes(engine, report, create_indexes)
            except ConfigurationError as error:
                # Some errors name the report already.
                message, prefix = str(error), f"report {report.name}: "
                wrong.append(message if message.startswith(prefix) else prefix + message)
    return wrong


def _plan(options: argparse.Namespace) -> int:
    from consumers.reporting.files import chosen

    here, compared = load(options.settings), []
    reports = _read(here)
    with _refresher(here) as refresher:
        rows = [(report.name, refresher.plan(report)) for report in chosen(reports, options.names)]
        named = bool(options.names)
        gone = set() if named else {known.name for known in refresher.revisions()[0]} - reports.right.keys()
        if options.compare:
            for report in chosen(reports, options.names):
                with _patient(report.name):
                    compared.append((report.name, refresher.compare(report)))
    # The table is printed after all comparisons, which may print progress to stderr meanwhile.
    rows += [(name, "nothing: its file is gone, and its table stays until `reports drop`") for name in gone]
    show_table(("report", "plan"), sorted(rows))
    for name, comparison in compared:
        show_comparison(name, comparison)
    _report_problems(reports, options.names)
    return DONE


def _refresh(options: argparse.Namespace) -> int:
    def refresh(refresher: Refresher, report: Report) -> int:
        done = refresher.refresh(report, whole=options.whole)
        how = {"nothing": "nothing to do", "whole": "rebuilt"}.get(
            done.how, f"{done.units:,} units recomputed"
        )
        show(f"{report.name}: {counted(done.changes, 'change')}, {how}, {counted(done.rows, 'row')}")
        return DONE

    # The exit codes are ordered: with several failures the one that a retry may solve (5) wins.
    return max(_for_each(load(options.settings), options.names, refresh), default=DONE)


def _verify(options: argparse.Namespace) -> int:
    def verify(refresher: Refresher, report: Report) -> int:
        if report.derivation is None:
            show(f"{report.name}: rebuilt each time, nothing to compare")
            return DONE
        differing = refresher.verify(report)
        result = f"differs at {', '.join(differing)}" if differing else "as its SELECT says"
        show(f"{report.name}: {result}")
        return FINDINGS if differing else DONE

    codes = _for_each(load(options.settings), options.names, verify)
    counts = {
        "right": codes.count(DONE),
        "differing": codes.count(FINDINGS),
        "not verified": codes.count(REFUSED) + codes.count(GAVE_UP),
    }
    tell(f"{counted(len(codes), 'report')}: " + ", ".join(f"{n} {what}" for what, n in counts.items() if n))
    # A difference is a bug, so that it counts before reports that could not be verified.
    return next((code for code in (FINDINGS, REFUSED, GAVE_UP) if code in codes), DONE)


def _for_each(here: Installation, names: list[str], work: Callable[[Refresher, Report], int]) -> list[int]:
    """Call `work` for each report and return the exit codes; a failure is printed and stops no other report.

    If no reports are named, invalid report files are printed as well.
    """
    from consumers.reporting.files import chosen

    reports, codes = _read(here), []
    _report_problems(reports, names)
    with _refresher(here) as refresher:
        for report in chosen(reports, names):
            try:
                with _patient(report.name):
                    codes.append(work(refresher, report))
            except (ConfigurationError, TransientError) as error:
                tell(str(error))
                codes.append(REFUSED if isinstance(error, ConfigurationError) else GAVE_UP)
    return codes


def _report_problems(reports: Reports, names: list[str]) -> None:
    """Print the invalid report files unless reports are named. Only `reports check` fails because of them."""
    from consumers.reporting.files import problems

    for problem in () if names else problems(reports):
        tell(problem)


def _drop(options: argparse.Namespace) -> int:
    with _refresher(load(options.settings)) as refresher:
        refresher.drop(options.name)
    show(f"{options.name} is gone")
    return DONE
