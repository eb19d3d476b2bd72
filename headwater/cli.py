"""The command line: one parser, and the only place that maps an outcome to an exit code.

The codes are defined in exit_codes.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from headwater import output
from headwater.commands import (
    capacity,
    dead_letters,
    demo,
    drain,
    rejects,
    replay,
    reports,
    schemas,
    status,
    tables,
    up,
    warehouse,
)
from headwater.commands.deployment import check, env, render, schedule
from headwater.commands.sources import backfill, drop
from headwater.exit_codes import BUG, DAMAGED_LOG, GAVE_UP, INTERRUPTED, PIPE_CLOSED, REFUSED
from headwater.parsing import Parser
from schemas.aws_errors import aws_errors
from schemas.errors import (
    ConfigurationError,
    ConflictError,
    HeadwaterError,
    LogIntegrityError,
    TransientError,
)
from schemas.settings import Settings, read_settings

_COMMANDS = (
    *(demo, up, drop, drain, backfill, status, tables, reports, replay),
    *(dead_letters, rejects, schemas, warehouse),
    *(render, check, env, capacity, schedule),
)
_EXIT_CODES: tuple[tuple[type[HeadwaterError], int], ...] = (
    (ConfigurationError, REFUSED),
    (LogIntegrityError, DAMAGED_LOG),
    (TransientError, GAVE_UP),
    (ConflictError, GAVE_UP),  # another process won the race: a second attempt starts from its result
)
_UNREACHABLE = {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"}
_NO_CREDENTIALS = {"NoCredentialsError", "ProfileNotFound"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(argv)
    output.log_to_stderr(options.verbose)
    try:
        # Inside the try block: an invalid setting is an error like any other.
        options.settings = _settings(options)
        with aws_errors(f"running `{options.command}`"):
            return int(options.run(options))
    except BrokenPipeError:  # the reader, such as `| head`, has closed the pipe
        # Otherwise the interpreter flushes stdout once more at exit and prints a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        output.tell("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001
        return _failed(error, options.verbose)


def _settings(options: argparse.Namespace) -> Settings:
    """Return the environment's settings, with the warehouse of `--warehouse`. Raises ConfigurationError."""
    settings = read_settings(os.environ)
    if not getattr(options, "warehouse", None):
        return settings
    from consumers.warehouse.address import from_command_line

    return replace(settings, warehouse=from_command_line(options.warehouse, os.environ))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = Parser(
        prog="headwater",
        description="Event-sourced ingestion with a replayable audit log: DynamoDB and CSV in, tables out.",
        epilog="example:\n  headwater demo          # the main job on this machine, in a few seconds\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "-v", "--verbose", action="store_true", help="log more, and show the traceback of an error"
    )
    top.add_argument("--version", action="version", version=f"headwater {version('headwater')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return top


def _failed(error: Exception, verbose: bool) -> int:
    if verbose:
        traceback.print_exception(error)
    # The texts of Headwater's own errors contain no field values (INV-7), so that they can be printed.
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            output.tell(f"headwater: {error}{_advice(error)}")
            return code
    # The message of an unexpected exception may contain a field value (INV-7): print its type only.
    output.tell(f"headwater: a bug in Headwater ({type(error).__name__}): run it again with -v to see where")
    return BUG


def _advice(error: HeadwaterError) -> str:
    """Return a hint on how to reach AWS, or "" if `error` has another cause."""
    cause = type(error.__cause__).__name__
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if cause in _UNREACHABLE and endpoint:
        return (
            f"\nNothing answers at AWS_ENDPOINT_URL={endpoint}: start `headwater up` and run the `export` "
            "lines that it prints, or unset the variable before `headwater up`."
        )
    if cause == "NoRegionError" and endpoint:
        return "\nAWS_ENDPOINT_URL is set but no region: set AWS_DEFAULT_REGION, such as `eu-west-2`."
    if cause == "NoRegionError":
        return (
            "\nNo region is set: set AWS_DEFAULT_REGION, such as `eu-west-2`; or start `headwater up` and "
            "run the `export` lines that it prints."
        )
    if cause in _NO_CREDENTIALS:
        return (
            "\nFor an AWS account name a profile by AWS_PROFILE (`aws configure list-profiles` lists them), "
            "or set AWS's own variables. For the AWS of `headwater up` run the `export` lines that it prints."
        )
    return ""
