"""How every command's part of the parser is made."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from textwrap import fill
from typing import NoReturn

Commands = argparse._SubParsersAction  # argparse has no public name for it

_ADDRESS = re.compile(
    r"""['"]?[\w+]*://.*|['"]?\b(server|data source|driver|uid|user id|pwd|password)\s*=.*""",
    re.IGNORECASE | re.DOTALL,
)


class Parser(argparse.ArgumentParser):
    """Quotes an argument in an error, unless that may be an address with a password: it is cut off there."""

    def error(self, message: str) -> NoReturn:
        super().error(_ADDRESS.sub("(an address, which is not shown)", message))


def add_command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    summary: str,
    example: str,
    run: Callable[[argparse.Namespace], int] | None = None,
    description: str | None = None,
) -> argparse.ArgumentParser:
    """A parser with a summary and an example in its help; `-v` may stand before or after its name."""
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
        default=argparse.SUPPRESS,
        help="say more, and show the traceback of an error",
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_warehouse(parser: argparse.ArgumentParser) -> None:
    """`--warehouse`."""
    parser.add_argument(
        "--warehouse",
        metavar="URL",
        help="where the tables are, without a password (HEADWATER_WAREHOUSE)",
    )


def add_reason(parser: argparse.ArgumentParser, what: str = "why, for who reads it in a year") -> None:
    """`--reason`, without which nothing is put aside."""
    parser.add_argument("--reason", required=True, type=_reason, metavar="TEXT", help=what)


def port(text: str) -> int:
    """A TCP port; 0 means any free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port: 0 to 65535")
    return number


def count(text: str) -> int:
    """A number of things: 0 or more."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def _reason(text: str) -> str:
    """A person's words."""
    if not text.strip():
        raise argparse.ArgumentTypeError("say why, in a few words")
    return text.strip()


def seconds(text: str) -> float:
    """A length of time above 0."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0")
    return number


def days(text: str) -> timedelta:
    """A length of time in days, above 0."""
    number = float(text)
    if not 0 < number <= 36_500:
        raise argparse.ArgumentTypeError(f"{text} is not a number of days, from above 0 to 36,500")
    return timedelta(days=number)


def moment(text: str) -> datetime:
    """A moment in ISO 8601 with its time zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a moment with its time zone: 2026-01-31T12:00:00Z")
    return found
