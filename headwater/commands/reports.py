"""`headwater reports`: tables that one SELECT each describes, and that are kept right."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headwater.commands.compared import show_comparison
from headwater.commands.new_report import add_new
from headwater.exit_codes import DONE, FINDINGS, GAVE_UP, REFUSED
from headwater.installation import Installation, load
from headwater.output import counted, emit, show, show_table, tell
from headwater.parsing import Commands, add_command, add_json, add_warehouse
from schemas.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from consumers.reporting.definition.report import Report
    from consumers.reporting.files import Reports
    from consumers.reporting.refresh.freshness import Standing
    from consumers.reporting.refresh.refresher import Refresher, ReportEngine

WAIT_SECONDS = 60
"""For a report that `headwater up` or another command is refreshing."""
_TELL_SECONDS = 2.0
_FILE_GONE = "no more: its file is gone; changes pile up until `reports drop`"
_RECORD_ALONE = "its file is gone: `reports drop` removes the record of it"
_MEMBERS = ("report", "rows", "waiting", "refreshed", "event_time", "kept", "problem")
_COLUMNS = {name: name.replace("_", " ") for name in _MEMBERS}


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "reports",
        "keep tables that a SELECT describes",
        "headwater reports list",
        description="A report is one .sql file under reports/: a comment with its key, and one SELECT over "
        "staging.*. `headwater up` keeps its table right as events come.",
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
        "headwater reports list --json",
        _list,
        "Rows, changes that wait, the last refresh, the newest event in it, how it is kept, and what is "
        "wrong.",
    )
    add_json(listing)
    add_warehouse(listing)


def _add_check(actions: Commands[argparse.ArgumentParser]) -> None:
    check = add_command(
        actions,
        "check",
        "say what is wrong with report files",
        "headwater reports check active_subscriptions",
        _check,
        "Reads the files and changes nothing. For each report: the columns by which changed rows lead to "
        "its rows, and the columns of staging that are looked at on the way. With --warehouse also the "
        "types of its columns, as the database says, and the indexes of staging that a refresh lacks. Exit "
        "code 2 when one is wrong.",
    )
    _add_names(check)
    check.add_argument(
        "--create-indexes",
        action="store_true",
        help="make those indexes; writers of their tables wait meanwhile, a rebuilt table has them too",
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
        "say what the next refresh would do",
        "headwater reports plan",
        _plan,
        "What each file means for its table: nothing, changes taken, or a new table that is built beside "
        "the old one and then shown. A table whose file is gone stays until `reports drop`. With --compare "
        "the new table is made where nobody sees it, and compared on the columns of both; a report that is "
        f"being refreshed is waited for, {WAIT_SECONDS} s at most.",
    )
    _add_names(plan)
    plan.add_argument(
        "--compare", action="store_true", help="count rows that are in one table alone, or differ, by column"
    )
    add_warehouse(plan)


def _add_refresh(actions: Commands[argparse.ArgumentParser]) -> None:
    refresh = add_command(
        actions,
        "refresh",
        "bring reports to the present now",
        "headwater reports refresh active_subscriptions",
        _refresh,
        "Takes the changes that wait. `headwater up` does so all the time; two at once is harmless: a report "
        f"that is being refreshed is waited for, {WAIT_SECONDS} s at most. One that fails stops no other.",
    )
    _add_names(refresh)
    refresh.add_argument("--whole", action="store_true", help="make the whole table anew, and show it")
    add_warehouse(refresh)


def _add_verify(actions: Commands[argparse.ArgumentParser]) -> None:
    verify = add_command(
        actions,
        "verify",
        "make reports from scratch and compare",
        "headwater reports verify",
        _verify,
        "Compares each table with what its SELECT gives at the same moment. Names the rows that differ by "
        "hashes of their keys; exit code 3 when there are any, which is a bug of Headwater. One that fails "
        "stops no other: exit code 2 when a report can't be refreshed, 5 when a retry may help. `headwater "
        f"up` may run: a report that is being refreshed is waited for, {WAIT_SECONDS} s at most.",
    )
    _add_names(verify)
    add_warehouse(verify)


def _add_drop(actions: Commands[argparse.ArgumentParser]) -> None:
    drop = add_command(
        actions,
        "drop",
        "remove the table of a report",
        "headwater reports drop active_subscriptions",
        _drop,
        "For a report whose file is gone: with its file there, the next refresh makes the table again. Exit "
        "code 2 when there is no such report.",
    )
    drop.add_argument("name", metavar="REPORT")
    add_warehouse(drop)


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="REPORT", nargs="*", help="such as renewals_due; all where left out")


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
    """Says what a person waits for, when it takes long."""
    said = (
        f"report {name}: still at it; while somebody else is refreshing it, its turn is waited for, "
        f"{WAIT_SECONDS} s at most"
    )
    timer = threading.Timer(_TELL_SECONDS, tell, [said])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _list(options: argparse.Namespace) -> int:
    here = load()
    reports = _read(here)
    with _refresher(here) as refresher:
        standings, waiting = refresher.standings()
    members = [_described(each, waiting, each.name in reports.right) for each in standings]
    there = {each["report"] for each in members}
    members += [_unmade(name) for name in reports.right if name not in there]
    members += [{**_unmade(path.stem), "problem": problem} for path, problem in reports.wrong.items()]
    if not options.json:
        members.sort(key=lambda row: str(row["report"]))
    emit(members, _COLUMNS, options.json)
    return DONE


def _described(standing: Standing, waiting: dict[str, int], has_file: bool) -> dict[str, Any]:
    kept = f"every {standing.minutes} minutes" if standing.minutes else "change by change"
    if not has_file:
        kept = _FILE_GONE if standing.state == "live" else _RECORD_ALONE
    return {
        "report": standing.name,
        "rows": standing.rows,
        "waiting": waiting.get(standing.name, 0),
        "refreshed": standing.refreshed_at and str(standing.refreshed_at),
        "event_time": standing.event_time,
        "kept": kept,
        "problem": standing.problem,
    }


def _unmade(name: str) -> dict[str, Any]:
    return {**dict.fromkeys(_MEMBERS), "report": name, "kept": "not made yet"}


def _check(options: argparse.Namespace) -> int:
    from consumers.reporting.files import chosen, problems

    here = load()
    reports = _read(here)
    for report in chosen(reports, options.names):
        if report.derivation is None:
            show(f"{report.name}: made anew every {counted(report.minutes or 0, 'minute')}")
            continue
        show(f"{report.name}: a change leads to its rows by {', '.join(report.unit)}")
        for entity, columns in report.images.items():
            show(f"  staging.{entity}: {', '.join(columns) or 'whether a row is there'}")
    wrong = [] if options.names else list(problems(reports))
    if options.warehouse is not None or options.create_indexes:
        wrong += _ask(here, chosen(reports, options.names), options.create_indexes)
    for each in wrong:
        tell(each)
    return REFUSED if wrong else DONE


def _ask(here: Installation, reports: list[Report], create_indexes: bool) -> list[str]:
    """Shows the columns as the warehouse makes them, and the indexes; gives what is wrong."""
    from consumers.reporting.engines import reports_in

    wrong = []
    with here.warehouse() as warehouse:
        engine = reports_in(warehouse)
        for report in reports:
            try:
                _show_outputs(engine, report)
                _show_indexes(engine, report, create_indexes)
            except ConfigurationError as error:
                said, named = str(error), f"report {report.name}: "
                wrong.append(said if said.startswith(named) else named + said)
    return wrong


def _show_outputs(engine: ReportEngine, report: Report) -> None:
    from consumers.reporting.definition.outputs import check_stored, remarks

    outputs = engine.outputs(report)
    show(f"{report.name}: {', '.join(f'{each.name} {each.type}'.rstrip() for each in outputs)}")
    check_stored(report.name, outputs)
    for each in remarks(report.unit, outputs):
        tell(f"{report.name}: {each}")


_LOOKUPS = {
    "missing": "has no index: --create-indexes makes it",
    "impossible": "has no index: it is text of any length; give it a maxLength in its schema",
}


def _show_indexes(engine: ReportEngine, report: Report, create: bool) -> None:
    from consumers.reporting.refresh.refresher import Refresher

    refresher = Refresher(engine)
    for each in refresher.create_indexes(report) if create else ():
        show(f"  staging.{each.entity} ({', '.join(each.columns)}): index made")
    for each in refresher.lookups(report):
        if each.state != "there":
            show(f"  staging.{each.entity} ({', '.join(each.columns)}) {_LOOKUPS[each.state]}")


def _plan(options: argparse.Namespace) -> int:
    from consumers.reporting.files import chosen

    here, compared = load(), []
    reports = _read(here)
    with _refresher(here) as refresher:
        rows = [(report.name, refresher.plan(report)) for report in chosen(reports, options.names)]
        named = bool(options.names)
        gone = set() if named else {each.name for each in refresher.standings()[0]} - reports.right.keys()
        if options.compare:
            for each in chosen(reports, options.names):
                with _patient(each.name):
                    compared.append((each.name, refresher.compare(each)))
    rows += [(name, "nothing: its file is gone, and its table stays until `reports drop`") for name in gone]
    show_table(("report", "plan"), sorted(rows))
    for name, comparison in compared:
        show_comparison(name, comparison)
    _tell_problems(reports, options.names)
    return DONE


def _refresh(options: argparse.Namespace) -> int:
    def refresh(refresher: Refresher, report: Report) -> int:
        done = refresher.refresh(report, whole=options.whole)
        how = {"nothing": "nothing to do", "whole": "made anew"}.get(done.how, f"{done.units:,} units anew")
        show(f"{report.name}: {counted(done.changes, 'change')}, {how}, {counted(done.rows, 'row')}")
        return DONE

    return max(_of_each(load(), options.names, refresh), default=DONE)


def _verify(options: argparse.Namespace) -> int:
    def verify(refresher: Refresher, report: Report) -> int:
        if report.derivation is None:
            show(f"{report.name}: made anew each time, nothing to compare")
            return DONE
        differing = refresher.verify(report)
        said = f"differs at {', '.join(differing)}" if differing else "as its SELECT says"
        show(f"{report.name}: {said}")
        return FINDINGS if differing else DONE

    codes = _of_each(load(), options.names, verify)
    counts = {
        "right": codes.count(DONE),
        "differing": codes.count(FINDINGS),
        "not verified": codes.count(REFUSED) + codes.count(GAVE_UP),
    }
    tell(f"{counted(len(codes), 'report')}: " + ", ".join(f"{n} {what}" for what, n in counts.items() if n))
    return next((code for code in (FINDINGS, REFUSED, GAVE_UP) if code in codes), DONE)


def _of_each(here: Installation, names: list[str], work: Callable[[Refresher, Report], int]) -> list[int]:
    """The exit code of each report; one that fails is reported, and stops no other. So is a file that is
    wrong, where no reports are named."""
    from consumers.reporting.files import chosen

    reports, codes = _read(here), []
    _tell_problems(reports, names)
    with _refresher(here) as refresher:
        for report in chosen(reports, names):
            try:
                with _patient(report.name):
                    codes.append(work(refresher, report))
            except (ConfigurationError, TransientError) as error:
                tell(str(error))
                codes.append(REFUSED if isinstance(error, ConfigurationError) else GAVE_UP)
    return codes


def _tell_problems(reports: Reports, names: list[str]) -> None:
    """Tells each file that is wrong, where no reports are named. `check` is what fails of them."""
    from consumers.reporting.files import problems

    for each in () if names else problems(reports):
        tell(each)


def _drop(options: argparse.Namespace) -> int:
    with _refresher(load()) as refresher:
        refresher.drop(options.name)
    show(f"{options.name} is gone")
    return DONE
