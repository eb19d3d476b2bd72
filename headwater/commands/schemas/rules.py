"""`headwater schemas rules`: print the evolution rules as in docs/evolution.md."""

from __future__ import annotations

import argparse

from headwater.exit_codes import DONE
from headwater.output import show
from headwater.parsing import Commands, add_command
from schemas.catalog.source_settings import settings_as_markdown
from schemas.evolution.rules import rules_as_markdown
from schemas.payload.conversions import casts_as_markdown


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "rules",
        "print the evolution rules as a table in Markdown",
        example="headwater schemas rules --casts",
        run=run,
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--casts", action="store_true", help="print the casts that a field may declare instead"
    )
    shown.add_argument(
        "--settings",
        dest="source_settings",
        action="store_true",
        help="print the effects of the settings of sources instead",
    )


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    if options.source_settings:
        show(settings_as_markdown())
    else:
        show(casts_as_markdown() if options.casts else rules_as_markdown())
    return DONE
