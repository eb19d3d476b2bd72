"""`headwater schedule hours`: what a schedule turns off in a year, and what it saves."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from headwater.commands.deployment.arguments import FILE
from headwater.commands.schemas.arguments import add_home, settings_of
from headwater.deployment.deployment import read_deployment
from headwater.exit_codes import DONE
from headwater.output import emit_record, show, show_json, show_table
from headwater.parsing import Commands, add_command, add_json, moment
from headwater.prices import Prices, read_prices
from headwater.schedule.calendar import Calendar, Change
from headwater.schedule.costs import Cost, costs
from headwater.schedule.figures import HOUR, YearFigures, figures
from headwater.schedule.reading import (
    FIRST_YEAR,
    FROM,
    HOLIDAYS,
    LAST_YEAR,
    NAMES,
    TO,
    WEEK,
    WORKING_DAYS,
    ZONE,
    read_calendar,
)
from schemas.catalog.files import naming, read_text
from schemas.errors import ConfigurationError

_OPTIONS = {ZONE: "--zone", FROM: "--from", TO: "--to", WORKING_DAYS: "--days", HOLIDAYS: "--holidays"}
_EXAMPLE = "headwater schedule hours --zone Europe/London --from 07:00 --to 20:00 --year 2026"


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    schedule = add_command(commands, "schedule", "show what sleeping out of hours comes to", example=_EXAMPLE)
    actions = schedule.add_subparsers(dest="action", metavar="ACTION", required=True)
    parser = add_command(
        actions,
        "hours",
        "show the share of hours off in a year, the longest night, and what is saved",
        example=_EXAMPLE,
        run=run,
        description=(
            f"Reads [reporting.schedule] of {FILE}, and calls nothing. Options replace single values, or all "
            "of them where there is no file. Hours are those that really elapse, also where the clocks "
            "change. With a file of prices it adds the money: the year's hours at each price, as if the "
            "resources turned on and off at the minute."
        ),
    )
    add_home(parser)
    parser.add_argument("--file", type=Path, metavar="FILE", help=f"the deployment (HOME/{FILE})")
    parser.add_argument("--zone", metavar="ZONE", help="the time zone, such as Europe/London")
    parser.add_argument("--from", dest="from_", metavar="HH:MM", help="when a working day begins")
    parser.add_argument("--to", metavar="HH:MM", help="when it ends, at most 24:00")
    parser.add_argument("--days", metavar="DAYS", help=f"the working days ({WEEK})")
    parser.add_argument("--holidays", type=Path, metavar="FILE", help="a file with one date on each line")
    parser.add_argument("--year", type=_year, metavar="YYYY", help="the year (the present one)")
    parser.add_argument("--at", type=_at, metavar="MOMENT", help="the moment before the next change (now)")
    parser.add_argument(
        "--prices",
        type=Path,
        metavar="FILE",
        help="TOML: currency, and [prices] with warehouse-hour or workbench-hour",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0. Raises ConfigurationError."""
    calendar = _calendar(options)
    prices = read_prices(options.prices) if options.prices else None
    at = (options.at or datetime.now(UTC)).astimezone(UTC)
    year = figures(calendar, options.year or at.astimezone(calendar.zone).year)
    rows = costs(prices, year) if prices else []
    result = _result(calendar, year, at)
    if options.json:
        money = {"currency": prices.currency, "costs": list(map(asdict, rows))} if prices else {}
        show_json(result | money)
        return DONE
    _show(result)
    if prices:
        _show_costs(rows, prices)
    return DONE


def _result(calendar: Calendar, year: YearFigures, at: datetime) -> dict[str, object]:
    def local(at: datetime) -> str:
        return at.astimezone(calendar.zone).isoformat(timespec="minutes")

    after = calendar.next_change(at)
    return {
        "year": year.year,
        "hours": year.hours,
        "awake": year.awake,
        "off": year.off,
        "off_percent": round(100 * year.share_off, 1),
        "longest": year.longest.length / HOUR,
        "begins": local(year.longest.start),
        "ends": local(year.longest.end),
        "at": local(at),
        "is_awake": calendar.is_awake(at),
        "next": _change(after, local(after.at)) if after else None,
    }


def _change(change: Change, local: str) -> str:
    return f"{local} {'awake' if change.awake else 'asleep'}"


def _show(result: Mapping[str, object]) -> None:
    """Write the result for a person; JSON has the names of its members."""
    state = "awake" if result["is_awake"] else "asleep"
    emit_record(
        {
            "year": result["year"],
            "awake": f"{result['awake']:,.1f} h of {result['hours']:,.1f} h",
            "off": f"{result['off']:,.1f} h, {result['off_percent']} %",
            "longest off": f"{result['longest']:,.1f} h, from {result['begins']} to {result['ends']}",
            "state": f"{state} at {result['at']}",
            "next": result["next"] or "no change within 400 days",
        },
        as_json=False,
    )


def _show_costs(rows: list[Cost], prices: Prices) -> None:
    total = ["in all", None, *(sum(getattr(row, name) for row in rows) for name in _MONEY)]
    show("")
    show_table(
        (prices.currency, "an hour", "always on", "scheduled", "saved"),
        [*([row.price, row.hourly, *(getattr(row, name) for name in _MONEY)] for row in rows), total],
    )


_MONEY = ("always", "scheduled", "saved")


def _calendar(options: argparse.Namespace) -> Calendar:
    texts, places = _from_file(options)
    given = (options.zone, options.from_, options.to, options.days, _holidays(options.holidays))
    for name, text in zip(NAMES, given, strict=True):
        if text is not None:
            texts[name], places[name] = text, _OPTIONS[name]
    missing = [_OPTIONS[name] for name in NAMES if name not in texts]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)}: missing; give them, or name a {FILE} with [reporting.schedule] by --home"
        )
    calendar, problems = read_calendar(texts, places)
    if calendar is None:
        raise ConfigurationError("\n".join(problems))
    return calendar


def _from_file(options: argparse.Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """Return the values of the deployment's file with their places, or the defaults if it has none."""
    home = settings_of(options).home
    file = options.file or (home and home / FILE)
    found: Mapping[str, str] = {}
    if file and (options.file or file.exists()):
        found = read_deployment(file)[0].reporting.parameters.get("schedule", {})
    texts = {WORKING_DAYS: WEEK, HOLIDAYS: ""} | {name: found[name] for name in NAMES if name in found}
    return texts, {name: f"reporting, schedule, {name}" for name in NAMES}


def _holidays(file: Path | None) -> str | None:
    if file is None:
        return None
    with naming(file):
        text = read_text(file)
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return ",".join(filter(None, lines))


def _year(text: str) -> int:
    if not text.isdecimal() or not FIRST_YEAR <= int(text) <= LAST_YEAR:
        raise argparse.ArgumentTypeError(f"{text!r} is not a year: {FIRST_YEAR} to {LAST_YEAR}")
    return int(text)


def _at(text: str) -> datetime:
    at = moment(text)
    _year(str(at.year))
    return at
