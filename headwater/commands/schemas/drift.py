"""`headwater schemas drift`: list attributes and columns that no schema names."""

from __future__ import annotations

import argparse

from headwater.exit_codes import DONE
from headwater.installation import load
from headwater.output import emit
from headwater.parsing import Commands, add_command, add_json
from schemas.catalog.drift import Drift


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "drift",
        "list attributes and columns that no schema names",
        example="headwater schemas drift school",
        run=run,
        description=(
            "Lists each name that a source has and no version of the entity's schema, the number of days on "
            "which it was seen, and the first and the last of them. Names only, never values. `unknown` in "
            "entity.toml decides what happens to them."
        ),
    )
    parser.add_argument("entity", metavar="ENTITY", nargs="?", help="such as school; all by default")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    from headwater.views.sightings import as_json, read_drift

    here = load(options.settings)
    entity = here.catalog.entity(options.entity).name if options.entity else None
    drifts = read_drift(here.aws(), here.settings, entity)
    emit([as_json(drift) for drift in drifts], Drift._fields, options.json)
    return DONE
