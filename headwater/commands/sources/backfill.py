"""`headwater backfill`: publish the items that a DynamoDB table holds already."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from headwater.exit_codes import DONE, FINDINGS
from headwater.installation import load
from headwater.output import counted, emit, tell
from headwater.parsing import Commands, add_command, add_json, units_per_second
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from headwater.sources.dynamodb.filling import Filling
    from producers.dynamodb.backfill import Filled
    from producers.dynamodb.scan import Table
    from schemas.catalog.entity import Catalog

MOST_SEGMENTS = 10  # as many connections as a client of boto3 keeps open

_DESCRIPTION = (
    "Reads every item of the tables by a strongly consistent scan and publishes it with a position below "
    "every change of the table's stream and above everything older. Then it publishes sweeps, which delete "
    "the rows of items that were deleted while no stream was read; not for an entity of which an item was "
    "rejected or none was found. The stream must be read meanwhile, by `headwater up` or by the producer's "
    "Lambda function. A second call goes on with a backfill that was stopped or killed. Exit code 3 when "
    "items were rejected: they are dead letters."
)


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "backfill",
        "publish the items that a DynamoDB table holds already",
        example="headwater backfill subscription --read-units 200",
        run=run,
        description=_DESCRIPTION,
    )
    parser.add_argument("name", metavar="ENTITY|TABLE", help="an entity, or a table with all its entities")
    parser.add_argument(
        "--segments",
        type=int,
        choices=range(1, MOST_SEGMENTS + 1),
        metavar="N",
        help=f"parts of the table that are read at once, 1 to {MOST_SEGMENTS} (4, or as it began)",
    )
    parser.add_argument(
        "--read-units",
        type=units_per_second,
        metavar="N",
        help="read units a second at most (a quarter of those provisioned; on demand 500, which is 2 MB)",
    )
    parser.add_argument("--restart", action="store_true", help="begin again, instead of going on")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 3 if items were rejected."""
    from headwater.sources.dynamodb.filling import Effort, start_filling
    from headwater.sources.dynamodb.stream_readers import require_reader
    from producers.dynamodb.scan import describe
    from producers.wiring import wire

    here = load(options.settings)
    aws = here.aws()
    names, entity = _tables(here.catalog, options.name)
    tables = [describe(aws.dynamodb, name) for name in names]
    for table in tables:  # all of them, before anything is read
        tell(f"the stream of the table {table.name} is read by {require_reader(aws, here.settings, table)}")
    wiring = wire(here.settings, aws.client, here.catalog)
    effort = Effort(options.segments, options.read_units)
    rows: list[dict[str, Any]] = []
    for table in tables:
        began = time.monotonic()
        filling = start_filling(
            aws, wiring, here.settings, table, entity, effort, restart=options.restart, tell=tell
        )
        with closing(filling):
            _follow(filling, table, effort.units or table.default_units)
        rows += [_row(filled, time.monotonic() - began) for filled in filling.results]
    emit(rows, ["entity", "source", "published", "rejected", "swept", "seconds"], options.json)
    return FINDINGS if any(row["rejected"] for row in rows) else DONE


def _tables(catalog: Catalog, name: str) -> tuple[list[str], str | None]:
    """Return the tables to read, and the only entity to fill if `name` is one. Raises ConfigurationError."""
    from schemas.sources.dynamodb import DynamoDbSource, tables

    known = tables(catalog)
    if name not in catalog.entities:
        if name in known:
            return [name], None
        raise ConfigurationError(
            f"{name} is neither an entity nor a table of one; tables: {', '.join(sorted(known)) or 'none'}"
        )
    sources = catalog.entity(name).sources
    found = [source.table for source in sources if isinstance(source, DynamoDbSource)]
    if not found:
        raise ConfigurationError(f"the entity {name} has no DynamoDB table as a source")
    return list(dict.fromkeys(found)), name


def _follow(filling: Filling, table: Table, units: float) -> None:
    """Run a backfill to its end, and print its progress."""
    from headwater.polling.runtime_report import ProgressPrinter

    if filling.resumed:
        tell(f"going on with the backfill that began at {filling.began_at}")
    tell(
        f"reading the table {table.name}, about {counted(table.items, 'item')}, with at most {units:,.0f} "
        "read units a second; after Ctrl-C or a kill the same command goes on"
    )
    printer, began, before = ProgressPrinter(), time.monotonic(), None
    while (items := filling.step()) is not None:
        before = items if before is None else before
        printer.update(filling.progress(items, time.monotonic() - began, before))


def _row(filled: Filled, seconds: float) -> dict[str, Any]:
    if filled.unswept:
        tell(
            f"warning: {filled.entity}: no row was swept, since {filled.unswept}; rows of items that were "
            "deleted while no stream was read remain"
        )
    return {
        "entity": filled.entity,
        "source": filled.source,
        "published": filled.published,
        "rejected": filled.rejected,
        "swept": "no" if filled.unswept else "yes",
        "seconds": round(seconds, 1),
    }
