"""`headwater schemas publish`: record versions as immutable."""

from __future__ import annotations

import argparse
from collections.abc import Set

from headwater.commands.schemas.arguments import add_home, folders_of, settings_of
from headwater.commands.schemas.check import check_folders, exit_code, show_findings
from headwater.exit_codes import DONE, REFUSED
from headwater.output import show, tell
from headwater.parsing import Commands, add_command
from schemas.catalog.published import publish, read_published, to_publish
from schemas.evolution.rules import Category


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "publish",
        "record the versions that must not change from now on",
        example="headwater schemas publish school",
        run=run,
        description=(
            "Writes the fingerprint of each version into published.json beside it, and the settings of the "
            "sources that decide keys and positions: commit that file with them. From then on an edit is "
            "refused. Publishes nothing for any entity, with exit code 2, if `headwater schemas check` "
            "refuses something; a needed rebuild is no obstacle. Safe to repeat."
        ),
    )
    parser.add_argument("entities", nargs="*", metavar="ENTITY", help="such as school; all by default")
    add_home(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 2 if nothing was published."""
    folders = folders_of(settings_of(options).home, options.entities)
    checked = check_folders(folders)
    refused = [finding for finding in checked.sorted() if finding.category is Category.REFUSED]
    # All entities are checked before the first is published: a refusal leaves every folder unchanged.
    if exit_code(checked.findings) == REFUSED:
        show_findings(refused)
        tell("nothing was published: these are refused")
        return REFUSED
    anything = False
    for folder in folders:
        entity = checked.entities[folder.name]
        published = read_published(folder)
        new = {name for name, text in to_publish(entity, published).items() if published.get(name) != text}
        if new:
            publish(folder, entity)
        show(f"{entity.name}: {', '.join(_published_names(new)) or 'nothing new'}")
        anything = anything or bool(new)
    if anything:
        tell("a `headwater up` that is running takes these up once it is restarted")
    return DONE


def _published_names(new: Set[str]) -> list[str]:
    """Return the names of files, then of sources with a new setting."""
    return sorted({name.split()[0] for name in new}, key=lambda name: (not name.endswith(".avsc"), name))
