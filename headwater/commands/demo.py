"""`headwater demo`: the main use case on this machine, step by step."""

from __future__ import annotations

import argparse
import logging

from headwater.exit_codes import DONE
from headwater.output import log_ours
from headwater.parsing import Commands, add_command


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    add_command(
        commands,
        "demo",
        "see the main job done on this machine, in less than a minute",
        example="headwater demo",
        run=run,
        description=(
            "DynamoDB tables change and CSV files are dropped; every change becomes an event on Kinesis, is "
            "kept in S3 and changes a row of a table; a table is rebuilt from S3 alone and proved equal. "
            "Needs no account and no Docker, and leaves nothing running."
        ),
    )


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    from headwater.local.demo import demonstrate

    if not options.verbose:
        log_ours(logging.ERROR)  # the demo prints the rejected row itself
    demonstrate()
    return DONE
