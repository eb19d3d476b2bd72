"""`headwater status`: figures about tables, stream, log, dead letters, rejects and reports."""

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
    from consumers.warehouse.port import LetterCount, Warehouse


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "status",
        "show figures about the tables, the stream and the log",
        example="headwater status --json",
        run=run,
        description=(
            "Shows the live rows, tombstones, revision and newest event of each table; how far each shard "
            "of the stream is applied; the objects of the log; dead letters and rejected rows that wait for "
            "a person; names of the last 30 days that no schema has; reports and their backlog. Refreshes "
            "the summary of dead letters in the warehouse."
        ),
    )
    add_json(parser)
    add_warehouse(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    status = read_status(load(options.settings))
    if options.json:
        show_json(status)
    else:
        _show(status)
    return DONE


def read_status(here: Installation) -> dict[str, Any]:
    """Return the status as `--json` prints it, and refresh the summary of dead letters.

    Raises TransientError, ConfigurationError.
    """
    from consumers.kinesis import StreamReader
    from headwater.gaps import read_gaps
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
    # The counts took a listing of both buckets, so that their table is refreshed on this occasion.
    refresh(here, letters)
    return {
        **kept,
        "gaps": read_gaps(aws, here.settings),
        "log": log_size(S3Log(aws.s3, log_bucket), aws, log_bucket, datetime.now(UTC))._asdict(),
        "dead_letters": waiting(letters),
        "dead_letter_summary": [_count_members(count) for count in letters],
        "rejects": {
            **count_rejects(aws, here.settings)._asdict(),
            "place": f"s3://{here.settings.source_bucket}/rejects/",
        },
        "drift": [as_json(drift) for drift in read_drift(aws, here.settings, since=recently())],
    }


def _count_members(count: LetterCount) -> dict[str, Any]:
    return {**count._asdict(), "oldest": instant(count.oldest), "newest": instant(count.newest)}


def _kept(warehouse: Warehouse, stream: str) -> dict[str, Any]:
    """Return what the warehouse knows: tables, checkpoints of this stream, reports."""
    from consumers.warehouse.port import LIVE_READER

    with warehouse.transaction() as transaction:
        # Checkpoints of a stream that was deleted and created again under the same name are left out.
        checkpoints = [point for point in transaction.checkpoints(LIVE_READER) if point.stream == stream]
    return {
        "tables": [{**table._asdict(), "newest": instant(table.newest)} for table in warehouse.status()],
        "checkpoints": {point.shard: point.sequence.lstrip("0") for point in checkpoints},
        "reports": _reports(warehouse),
    }


def _reports(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return the rows, backlog and problem of each report."""
    from consumers.reporting.engines import reports_in
    from consumers.reporting.refresh.refresher import Refresher

    revisions, waiting = Refresher(reports_in(warehouse)).revisions()
    return [
        {
            "report": revision.name,
            "rows": revision.rows,
            "waiting": waiting.get(revision.name, 0),
            "problem": revision.problem,
        }
        for revision in revisions
    ]


def _show(status: dict[str, Any]) -> None:
    from headwater.gaps import describe_gap

    show_table(
        ["table", "rows", "tombstones", "revision", "newest event"],
        [[t["entity"], t["live"], t["tombstones"], t["revision"], t["newest"]] for t in status["tables"]],
    )
    show("")
    for shard, sequence in status["checkpoints"].items():
        show(f"stream: {shard} is applied up to {sequence}")
    for gap in status["gaps"]:
        show(describe_gap(gap))
    log, rejects = status["log"], status["rejects"]
    show(f"log: {counted(log['objects'], 'object')}, {counted(log['bytes'], 'byte')}")
    show(f"dead letters: {status['dead_letters']:,}")
    for count in status["dead_letter_summary"]:
        kind = " ".join(filter(None, (count["entity"], count["stage"], count["cause"])))
        show(f"  {kind}: {count['letters']:,} {count['state']}, {count['oldest']} to {count['newest']}")
    where = f", in {rejects['place']}" if rejects["rows"] or rejects["files"] else ""
    closed = f" ({rejects['closed']:,} corrected or discarded)" if rejects["closed"] else ""
    files = counted(rejects["files"], "whole file")
    show(f"rejected: {counted(rejects['rows'], 'row')}{closed}, {files}{where}")
    for report in status["reports"]:
        problem = f"; {report['problem']}" if report["problem"] else ""
        changes = counted(report["waiting"], "change")
        show(f"report {report['report']}: {counted(report['rows'], 'row')}, {changes} waiting{problem}")
    for drift in status["drift"]:
        show(_drift(drift))


def _drift(drift: dict[str, Any]) -> str:
    where = f"{drift['source']}, entity {drift['entity']}"
    when = f"{counted(drift['days'], 'day')}, {drift['first']} to {drift['last']}"
    if drift["name"] == KEY_TEXTS:  # not a name of the source: it marks keys in several notations
        return f"rows write one key in several texts, {where}: {when}"
    return f"no schema names {drift['name']} of {where}: {when}"
