"""`headwater drop`: upload a CSV file."""

from __future__ import annotations

import argparse
from pathlib import Path

from headwater.exit_codes import DONE
from headwater.installation import load
from headwater.output import show, show_json
from headwater.parsing import Commands, add_command, add_json


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "drop",
        "hand in a CSV file of an entity",
        example="headwater drop schools-2025-06.csv --entity school",
        run=run,
        description=(
            "Uploads the file to where the entity's feed is read. `headwater drain` waits until its rows "
            "are in the table; rows that can't be used go to the bucket's rejects/, and `headwater status` "
            "counts them."
        ),
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the CSV file")
    parser.add_argument("--entity", required=True, metavar="E", help="what its rows are, such as school")
    parser.add_argument("--feed", metavar="F", help="which feed, for an entity that has several")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    from headwater.sources.dropping import drop

    here = load(options.settings)
    entity = here.catalog.entity(options.entity)
    dropped = drop(here.aws(), here.settings, entity, options.file, options.feed)
    if options.json:
        show_json(dropped._asdict())
    else:
        show(f"dropped {options.file} as s3://{dropped.bucket}/{dropped.key}")
    return DONE
