"""`headwater schemas publish`: versions that never change from now on."""

from __future__ import annotations

import argparse

from headwater.commands.parsing import Commands, add_command
from headwater.commands.schemas.check import check_folders, exit_code, show_findings
from headwater.commands.schemas.places import add_home, folders_of, settings_of
from headwater.exit_codes import DONE, REFUSED
from headwater.output import show, tell
from schemas.published import fingerprints, publish, read_published
from schemas.rules import Category


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = add_command(
        actions,
        "publish",
        "record the versions that never change from now on",
        "headwater schemas publish school",
        run,
        "Writes the fingerprint of each version into published.json beside it: commit that file with them. "
        "From then on an edit is refused. Publishes nothing of any entity, with exit code 2, where "
        "`headwater schemas check` refuses something; a rebuild that is needed is no obstacle. Repeating is "
        "harmless.",
    )
    parser.add_argument(
        "entities", nargs="*", metavar="ENTITY", help="such as school; all where none is named"
    )
    add_home(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 0, or 2 and nothing published."""
    folders = folders_of(settings_of(options).home, options.entities)
    checked = check_folders(folders)
    refused = [each for each in checked.sorted() if each.category is Category.REFUSED]
    if exit_code(checked.found) == REFUSED:
        show_findings(refused)
        tell("nothing was published: these are refused")
        return REFUSED
    for folder in folders:
        entity = checked.entities[folder.name]
        added = sorted(fingerprints(entity).keys() - read_published(folder).keys())
        if added:
            publish(folder, entity)
        show(f"{entity.name}: {', '.join(added) or 'nothing new'}")
    return DONE
