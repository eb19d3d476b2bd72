"""`headwater drain`: wait until everything accepted so far is applied and in S3."""

from __future__ import annotations

import argparse

from headwater.exit_codes import DONE, FINDINGS
from headwater.installation import load
from headwater.output import counted, show, show_json
from headwater.parsing import Commands, add_command, add_json, add_warehouse, seconds

PATIENCE = 420.0
"""Default timeout in seconds. The queue hides a file that a killed runtime had received for 300 s."""


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "drain",
        "wait until everything accepted so far is applied and in S3",
        example="headwater drop schools.csv --entity school && headwater drain && headwater tables school",
        run=run,
        description=(
            "Returns when all changes and files that the sources held at the call are in the tables and in "
            "the log. Exit code 3 when dead letters or rejected rows wait for a person, 5 when it takes "
            "longer than --timeout or when no `headwater up` is running."
        ),
    )
    add_warehouse(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help=f"give up after this long ({PATIENCE:.0f}: what a killed `up` had received is hidden for 300)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 3 if dead letters or rejected rows wait for a person."""
    from headwater.local.draining import drain
    from headwater.views.letter_ledgers import count_letters
    from headwater.views.letter_summary import waiting
    from headwater.views.rejected_rows import count_rejects

    here = load(options.settings)
    aws = here.aws()
    drain(here, aws, options.timeout)  # before the counts: letters and rejects are written while it waits
    letters = waiting(count_letters(aws, here.settings))
    rejected = count_rejects(aws, here.settings).rows
    waiting_parts = [
        *([f"{counted(letters, 'dead letter')} (`headwater dead-letters list`)"] if letters else ()),
        *([f"{counted(rejected, 'rejected row')} (`headwater rejects list`)"] if rejected else ()),
    ]
    if options.json:
        show_json({"drained": True, "dead_letters": letters, "rejected_rows": rejected})
    elif waiting_parts:
        show(f"drained, with {' and '.join(waiting_parts)}")
    else:
        show("drained: everything accepted so far is in the tables and in the log")
    return FINDINGS if waiting_parts else DONE
