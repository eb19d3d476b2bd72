"""`headwater schemas history`: list the versions of an entity."""

from __future__ import annotations

import argparse

from headwater.commands.schemas.arguments import add_home, named_entity
from headwater.exit_codes import DONE
from headwater.output import show_json, show_table
from headwater.parsing import Commands, add_command, add_json
from schemas.catalog.described import VersionLine, version_lines
from schemas.catalog.published import read_published


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "history",
        "list the versions of an entity, and what each changed",
        example="headwater schemas history school",
        run=run,
        description=(
            "Lists each version with its fingerprint, its state (published, a draft, or a published one "
            "that was changed), and its changes since the version before."
        ),
    )
    parser.add_argument("entity", metavar="ENTITY", help="such as school")
    add_home(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    folder, entity = named_entity(options)
    lines = list(version_lines(entity, read_published(folder)))
    if options.json:
        show_json([_as_json(line) for line in lines])
    else:
        rows = [[f"v{line.version}", line.fingerprint, line.state, _changes(line)] for line in lines]
        show_table(("version", "fingerprint", "state", "changes"), rows)
    return DONE


def _changes(line: VersionLine) -> str:
    return "; ".join(f"{rule} ({', '.join(fields)}): {category}" for category, rule, fields in line.changes)


def _as_json(line: VersionLine) -> dict[str, object]:
    changes = [
        {"category": category, "rule": rule, "fields": list(fields)}
        for category, rule, fields in line.changes
    ]
    return {**line._asdict(), "changes": changes}
