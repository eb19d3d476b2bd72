"""What `drain` waits for: the runtime's barrier, and then the proof that S3 has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from consumers.facts import frames_of
from consumers.kinesis import StreamReader
from consumers.warehouse.port import LIVE_READER
from headwater.aws import Aws
from headwater.installation import Installation
from headwater.local.provision import WATCHED_PREFIXES
from headwater.local.queue_poller import QueuePoller
from headwater.local.runtime_report import Report, Waiting, ask, await_level, read_report
from headwater.output import counted
from headwater.views.stored import StoredObject, list_objects
from replay.log import reader as replay_log
from replay.log.reader import ERRORS, LogObject, S3Log
from schemas.aws_errors import aws_errors
from schemas.errors import PoisonEventError
from schemas.log.frames import check_frame

_OLDEST = timedelta(hours=1)  # before its arrival: names of log objects tell the hour, by another clock


class Last(NamedTuple):
    """The last event of one shard, as the log must hold it."""

    shard: str
    frame: bytes
    arrived_at: datetime


def drain(here: Installation, aws: Aws, timeout: float) -> None:
    """Returns when everything that was accepted before the call is applied and in S3.

    Raises TransientError after `timeout` seconds, or when no runtime is running.
    """
    waiting = Waiting(timeout)
    folder = here.settings.require_state()
    read_report(folder)
    _await_files(here, aws, waiting)
    await_level(lambda: _asked_report(folder), waiting)
    _await_log(S3Log(aws.s3, here.settings.log_bucket), last_events(here, aws), waiting)


def _asked_report(folder: Path) -> Report:
    ask(folder)
    return read_report(folder)


def _await_files(here: Installation, aws: Aws, waiting: Waiting) -> None:
    """A file leaves drop/ when it is published, however long its notification takes to come."""
    files = _waiting_files(here, aws)
    while files := files & _waiting_files(here, aws):
        waiting.on(unpublished(len(files), min(files).key, read_report(here.settings.require_state())))


def unpublished(files: int, first: str, report: Report) -> str:
    """What is known of files that are not published: how far one is, or what holds them up."""
    if report.busy:
        return report.busy
    reasons = [poller.retrying for poller in report.pollers if poller.name == QueuePoller.name]
    why = f" ({reasons[0]})" if reasons and reasons[0] else ""
    return f"{counted(files, 'file')}, such as {first}, to be published{why}"


def _await_log(log: S3Log, missing: list[Last], waiting: Waiting) -> None:
    looked: set[str] = set()
    while missing := _not_in(log, missing, looked):
        waiting.on(f"the log lacks the last event of {', '.join(last.shard for last in missing)}")


def _waiting_files(here: Installation, aws: Aws) -> set[StoredObject]:
    return {
        item
        for feed in here.catalog.feeds()
        for prefix in WATCHED_PREFIXES
        for item in list_objects(aws, here.settings.source_bucket, f"{prefix}{feed}/")
        if not item.key.endswith("/")
    }


def last_events(here: Installation, aws: Aws) -> list[Last]:
    """Of each shard the last event that the consumer has taken, where the stream still holds it."""
    stream = here.settings.stream
    identity = StreamReader(aws.kinesis, stream).identity()
    with here.warehouse() as warehouse, warehouse.transaction() as transaction:
        checkpoints = transaction.checkpoints(LIVE_READER)
    mine = [checkpoint for checkpoint in checkpoints if checkpoint.stream == identity]
    found = [_last_event(aws, stream, checkpoint.shard, checkpoint.sequence) for checkpoint in mine]
    return [last for last in found if last is not None]


def _last_event(aws: Aws, stream: str, shard: str, sequence: str) -> Last | None:
    with aws_errors(f"reading the last record of the shard {shard}"):
        iterator = aws.kinesis.get_shard_iterator(
            StreamName=stream,
            ShardId=shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=sequence.lstrip("0"),
        )["ShardIterator"]
        records = aws.kinesis.get_records(ShardIterator=iterator, Limit=1)["Records"]
    frames = _good_frames(records[0]["Data"]) if records else []
    return Last(shard, frames[-1], records[0]["ApproximateArrivalTimestamp"]) if frames else None


def _good_frames(payload: bytes) -> list[bytes]:
    """Those that the log's reader would give: a record of somebody else has none."""
    try:
        return [frame for frame in frames_of(payload) if check_frame(frame) is None]
    except PoisonEventError:
        return []


def _not_in(log: S3Log, wanted: list[Last], looked: set[str]) -> list[Last]:
    """Those events that no object holds. Objects in `looked` are left out, and those looked at are added."""
    missing = {last.frame: last for last in wanted}
    for item in _newest_first(log, min((last.arrived_at for last in wanted), default=datetime.now(UTC))):
        if missing and item.key not in looked:
            looked.add(item.key)
            for frame in replay_log.frames_of(log, item):
                if isinstance(frame, bytes):
                    missing.pop(frame, None)
    return list(missing.values())


def _newest_first(log: S3Log, oldest: datetime) -> Iterator[LogObject]:
    """The log's objects from about that time on; those of errors whatever their time."""
    after = f"log/{(oldest - _OLDEST).astimezone(UTC):%Y/%m/%d/%H}"
    yield from reversed(list(log.objects(after)))
    yield from takewhile(lambda item: item.key.startswith(ERRORS), log.objects())
