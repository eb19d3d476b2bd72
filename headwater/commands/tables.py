"""`headwater tables`: list the tables, or show the rows of one."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, time

from headwater.exit_codes import DONE
from headwater.installation import Installation, load
from headwater.output import counted, emit, instant, tell
from headwater.parsing import Commands, add_command, add_json, add_warehouse, count, moment
from schemas.catalog.entity import Entity
from schemas.payload.fields import FieldType


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "tables",
        "list the tables, or show the rows of one",
        example="headwater tables school --limit 5",
        run=run,
        description=(
            "Without NAME: lists the tables. With NAME: shows the rows that readers of its view see, "
            "ordered by key."
        ),
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="an entity, such as school")
    parser.add_argument("--limit", type=count, default=20, metavar="N", help="at most N rows (20); 0: all")
    parser.add_argument(
        "--as-of", type=moment, metavar="TIME", help="the table that `replay rebuild NAME --as-of TIME` built"
    )
    add_json(parser)
    add_warehouse(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    here = load(options.settings)
    if options.name is None:
        return _list(here, options.json)
    return _show(here, here.catalog.entity(options.name), options)


def _list(here: Installation, as_json: bool) -> int:
    with here.warehouse() as warehouse:
        tables = warehouse.status()
    rows = [{**table._asdict(), "newest": instant(table.newest)} for table in tables]
    emit(rows, {"entity": "table", "live": "rows", "newest": "newest event"}, as_json)
    return DONE


def _show(here: Installation, entity: Entity, options: argparse.Namespace) -> int:
    from replay.as_of import view_suffix

    limit = options.limit or None
    as_of = options.as_of and view_suffix(options.as_of)
    with here.warehouse() as warehouse:
        # One row more than is shown, to know whether there are more.
        columns, rows = warehouse.select(entity.name, limit and limit + 1, as_of)
    kinds = {column.field.name: column.field.kind for column in entity.columns}
    shown = [
        {name: _shown(value, kinds.get(name)) for name, value in zip(columns, row, strict=True)}
        for row in rows[:limit]
    ]
    emit(shown, columns, options.json)
    if len(rows) > len(shown):
        tell(f"the first {counted(len(shown), 'row')}; --limit 0 shows all")
    return DONE


def _shown(value: object, kind: FieldType | None) -> object:
    """Return a value in the same form for all engines."""
    # SQLite stores a boolean as a number, and a moment as text in this form. SQL Server returns moments in
    # UTC without a time zone.
    if isinstance(value, (datetime, time)):
        digits = "milliseconds" if str(kind).endswith("millis") else "microseconds"
        is_utc = isinstance(value, datetime) and str(kind).startswith("timestamp")
        return (value.replace(tzinfo=UTC) if is_utc else value).isoformat(timespec=digits)
    return bool(value) if kind == FieldType.BOOLEAN and value is not None else value
