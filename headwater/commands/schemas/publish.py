"""`headwater schemas publish`: versions that never change from now on."""

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
        "record the versions that never change from now on",
        "headwater schemas publish school",
        run,
        "Writes the fingerprint of each version into published.json beside it, and the settings of the "
        "sources that decide keys and positions: commit that file with them. From then on an edit is "
        "refused. Publishes nothing of any entity, with exit code 2, where `headwater schemas check` refuses "
        "something; a rebuild that is needed is no obstacle. Repeating is harmless.",
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
    anything = False
    for folder in folders:
        entity = checked.entities[folder.name]
        published = read_published(folder)
        found = to_publish(entity, published)
        new = {name for name, text in found.items() if published.get(name) != text}
        if new:
            publish(folder, entity)
        show(f"{entity.name}: {', '.join(_told(new)) or 'nothing new'}")
        anything = anything or bool(new)
    if anything:
        tell("a `headwater up` that is running takes these up once it is restarted")
    return DONE


def _told(new: Set[str]) -> list[str]:
    """Files, then sources of which any setting is new."""
    return sorted({name.split()[0] for name in new}, key=lambda name: (not name.endswith(".avsc"), name))
