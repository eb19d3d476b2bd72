"""`headwater schemas diff`: list the changes between two versions."""

from __future__ import annotations

import argparse

from headwater.commands.schemas.arguments import add_home, at_version, named_entity
from headwater.exit_codes import DONE
from headwater.output import emit, tell
from headwater.parsing import Commands, add_command, add_json, count
from schemas.catalog.described import type_text
from schemas.errors import ConfigurationError

_COLUMNS = ("field", "before", "after", "rule", "category", "what")


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "diff",
        "show what changes between two versions",
        example="headwater schemas diff school 1 2",
        run=run,
    )
    parser.add_argument("entity", metavar="ENTITY", help="such as school")
    parser.add_argument("older", type=count, metavar="A", help="the older version, such as 1")
    parser.add_argument("newer", type=count, metavar="B", help="the newer one")
    add_home(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, whatever the changes cost."""
    _, entity = named_entity(options)
    for version in (options.older, options.newer):  # raises for a version that does not exist
        at_version(entity, version)
    if options.older >= options.newer:
        raise ConfigurationError(
            f"found versions {options.older} and {options.newer}; allowed: the older one first"
        )
    rows = []
    for change in entity.evolution.changes(options.older, options.newer):
        sides = [side and f"{side.name} {type_text(side)}" for side in entity.evolution.sides(change)]
        values = (change.field, *sides, change.rule.name, change.rule.category.word, change.rule.what)
        rows.append(dict(zip(_COLUMNS, values, strict=True)))
    if rows or options.json:
        emit(rows, _COLUMNS, options.json)
    else:
        tell("nothing changes")
    return DONE
