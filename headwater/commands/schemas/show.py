"""`headwater schemas show`: list the fields of a version and their SQL columns."""

from __future__ import annotations

import argparse

from headwater.commands.schemas.arguments import add_home, at_version, named_entity
from headwater.exit_codes import DONE
from headwater.output import show, show_json, show_table
from headwater.parsing import Commands, add_command, add_json, count
from schemas.catalog.described import FieldLine, field_lines


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "show",
        "show the fields of an entity and their SQL columns",
        example="headwater schemas show school --version 1",
        run=run,
        description=(
            "Lists the fields of the newest version, or of another one as if it were the newest, with "
            "dropped fields and the columns of retired ones."
        ),
    )
    parser.add_argument("entity", metavar="ENTITY", help="such as school")
    parser.add_argument("--version", type=count, metavar="N", help="1 for v1.avsc; by default the newest")
    add_home(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    _, entity = named_entity(options)
    entity = at_version(entity, len(entity.versions) if options.version is None else options.version)
    lines, schema = field_lines(entity), entity.schema
    if options.json:
        show_json(
            {
                "entity": entity.name,
                "version": schema.version,
                "fingerprint": schema.fingerprint.hex(),
                "key": list(entity.key),
                "sources": [source.name for source in entity.sources],
                "fields": [_as_json(line) for line in lines],
            }
        )
        return DONE
    show(f"{entity.name} v{schema.version}, key {', '.join(entity.key) or 'file, content and row'}")
    show_table(
        ("field", "type", "null", "default", "SQL column", "private", "from", "state"),
        [[*line[:2], "null" if line.null else "", *line[3:]] for line in lines],
    )
    return DONE


def _as_json(line: FieldLine) -> dict[str, object]:
    return {"from" if name == "source" else name: value for name, value in line._asdict().items()}
