"""`headwater status`: what the tables, the stream, the log and the rejects hold."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headwater.exit_codes import DONE
from headwater.installation import Installation, load
from headwater.output import counted, instant, show, show_json, show_table
from headwater.parsing import Commands, add_command, add_json, add_warehouse
from schemas.catalog.drift import KEY_TEXTS

if TYPE_CHECKING:
    from consumers.warehouse.port import Warehouse


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "status",
        "show how much the tables, the stream and the log hold",
        "headwater status --json",
        run,
        "Each table's live rows, tombstones, revision and newest event; how far each shard of the stream is "
        "applied; the objects of the log; dead letters and rejected rows that wait for a person; names of "
        "the last 30 days that no schema has; reports and their backlog. Refreshes the summary of dead "
        "letters in the warehouse.",
    )
    add_json(parser)
    add_warehouse(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    status = read_status(load())
    if options.json:
        show_json(status)
    else:
        _show(status)
    return DONE


def read_status(here: Installation) -> dict[str, Any]:
    """The status as `--json` prints it; refreshes the summary of dead letters. Raises TransientError,
    ConfigurationError."""
    from consumers.kinesis import StreamReader
    from headwater.views.letter_ledgers import count_letters
    from headwater.views.letter_summary import refresh, waiting
    from headwater.views.log_size import log_size
    from headwater.views.rejected_rows import count_rejects
    from headwater.views.sightings import as_json, read_drift, recently
    from replay.log.reader import S3Log

    aws = here.aws()
    stream = StreamReader(aws.kinesis, here.settings.stream).identity()
    with here.warehouse() as warehouse:
        kept = _kept(warehouse, stream)
    letters, log_bucket = count_letters(aws, here.settings), here.settings.log_bucket
    refresh(here, letters)
    return {
        **kept,
        "log": log_size(S3Log(aws.s3, log_bucket), aws, log_bucket, datetime.now(UTC))._asdict(),
        "dead_letters": waiting(letters),
        "dead_letter_summary": [
            {**each._asdict(), "oldest": instant(each.oldest), "newest": instant(each.newest)}
            for each in letters
        ],
        "rejects": {
            **count_rejects(aws, here.settings)._asdict(),
            "place": f"s3://{here.settings.source_bucket}/rejects/",
        },
        "drift": [as_json(each) for each in read_drift(aws, here.settings, since=recently())],
    }


def _kept(warehouse: Warehouse, stream: str) -> dict[str, Any]:
    """What the warehouse itself says: tables, how far this stream is applied, reports."""
    from consumers.warehouse.port import LIVE_READER

    with warehouse.transaction() as transaction:
        checkpoints = [each for each in transaction.checkpoints(LIVE_READER) if each.stream == stream]
    return {
        "tables": [{**table._asdict(), "newest": instant(table.newest)} for table in warehouse.status()],
        "checkpoints": {each.shard: each.sequence.lstrip("0") for each in checkpoints},
        "reports": _reports(warehouse),
    }


def _reports(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Rows, backlog and problem of each."""
    from consumers.reporting.engines import reports_in
    from consumers.reporting.refresh.refresher import Refresher

    standings, waiting = Refresher(reports_in(warehouse)).standings()
    return [
        {
            "report": each.name,
            "rows": each.rows,
            "waiting": waiting.get(each.name, 0),
            "problem": each.problem,
        }
        for each in standings
    ]


def _show(status: dict[str, Any]) -> None:
    show_table(
        ["table", "rows", "tombstones", "revision", "newest event"],
        [[t["entity"], t["live"], t["tombstones"], t["revision"], t["newest"]] for t in status["tables"]],
    )
    show("")
    for shard, sequence in status["checkpoints"].items():
        show(f"stream: {shard} is applied up to {sequence}")
    log, rejects = status["log"], status["rejects"]
    show(f"log: {counted(log['objects'], 'object')}, {counted(log['bytes'], 'byte')}")
    show(f"dead letters: {status['dead_letters']:,}")
    for each in status["dead_letter_summary"]:
        kind = " ".join(filter(None, (each["entity"], each["stage"], each["cause"])))
        show(f"  {kind}: {each['letters']:,} {each['state']}, {each['oldest']} to {each['newest']}")
    where = f", in {rejects['place']}" if rejects["rows"] or rejects["files"] else ""
    closed = f" ({rejects['closed']:,} corrected or discarded)" if rejects["closed"] else ""
    files = counted(rejects["files"], "whole file")
    show(f"rejected: {counted(rejects['rows'], 'row')}{closed}, {files}{where}")
    for each in status["reports"]:
        problem = f"; {each['problem']}" if each["problem"] else ""
        changes = counted(each["waiting"], "change")
        show(f"report {each['report']}: {counted(each['rows'], 'row')}, {changes} waiting{problem}")
    for each in status["drift"]:
        there = f"{counted(each['days'], 'day')}, {each['first']} to {each['last']}"
        if each["name"] == KEY_TEXTS:
            show(f"rows write one key in several texts, {each['source']}, entity {each['entity']}: {there}")
        else:
            show(f"no schema names {each['name']} of {each['source']}, entity {each['entity']}: {there}")
