"""Building blocks of the argument parsers of all commands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from textwrap import fill
from typing import NoReturn

Commands = argparse._SubParsersAction  # the return type of add_subparsers() has no public name

_ADDRESS = re.compile(
    r"""['"]?[\w+]*://.*|['"]?\b(server|data source|driver|uid|user id|pwd|password)\s*=.*""",
    re.IGNORECASE | re.DOTALL,
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors do not quote a database address, which may contain a password."""

    def error(self, message: str) -> NoReturn:
        # argparse quotes the offending argument. The pattern matches up to the end of the message, since a
        # password may contain any character, quotes and blanks included.
        super().error(_ADDRESS.sub("(an address, which is not shown)", message))


def add_command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    summary: str,
    *,
    example: str,
    run: Callable[[argparse.Namespace], int] | None = None,
    description: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command whose help has a summary and an example, and which accepts `-v` as well."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=fill(description or summary[0].upper() + summary[1:] + ".", width=79),
        epilog=f"example:\n  {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS,  # otherwise False here would overwrite a `-v` before the command
        help="log more, and show the traceback of an error",
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option `--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_warehouse(parser: argparse.ArgumentParser) -> None:
    """Add the option `--warehouse`."""
    parser.add_argument(
        "--warehouse",
        metavar="URL",
        help="where the tables are, without a password (HEADWATER_WAREHOUSE)",
    )


def add_reason(
    parser: argparse.ArgumentParser, what: str = "the reason, for someone who reads it in a year"
) -> None:
    """Add the mandatory option `--reason`."""
    parser.add_argument("--reason", required=True, type=_reason, metavar="TEXT", help=what)


def port(text: str) -> int:
    """Parse a TCP port; 0 means any free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port: 0 to 65535")
    return number


def count(text: str) -> int:
    """Parse a whole number of 0 or more."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def _reason(text: str) -> str:
    """Parse a text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("say why, in a few words")
    return text.strip()


def seconds(text: str) -> float:
    """Parse a number of seconds above 0."""
    number = float(text)
    if not number > 0:  # also true of nan
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0")
    return number


def days(text: str) -> timedelta:
    """Parse a number of days above 0."""
    number = float(text)
    if not 0 < number <= 36_500:
        raise argparse.ArgumentTypeError(f"{text} is not a number of days, from above 0 to 36,500")
    return timedelta(days=number)


def moment(text: str) -> datetime:
    """Parse a moment in ISO 8601 with a time zone."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a moment with its time zone: 2026-01-31T12:00:00Z")
    return parsed


def units_per_second(text: str) -> float:
    """Parse a number of units per second above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of units above 0")
    return number
