"""The wait of `headwater drain`: for the runtime, and then for the log in S3."""

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
from headwater.polling.runtime_report import RuntimeReport, Wait, ask, await_level, read_report
from headwater.sources.kinds import KINDS
from replay.log import reader as replay_log
from replay.log.reader import ERRORS, LogObject, S3Log
from schemas.aws_errors import aws_errors
from schemas.errors import PoisonEventError
from schemas.log.frames import check_frame
from schemas.stream import Stream, parse_stream

_OLDEST = timedelta(hours=1)  # margin: keys of log objects contain the hour of arrival, by another clock


class Last(NamedTuple):
    """The last event of a shard, as the log must contain it."""

    shard: str
    frame: bytes
    arrived_at: datetime


def drain(here: Installation, aws: Aws, timeout: float) -> None:
    """Wait until everything that was accepted before the call is applied and in S3.

    Raises TransientError after `timeout` seconds, or when no runtime is running.
    """
    waiting = Wait(timeout)
    folder = here.settings.require_state()
    read_report(folder)  # raises at once if no runtime is running
    for kind in KINDS.values():
        kind.await_taken(here, aws, waiting)
    await_level(lambda: _asked_report(folder), waiting)
    _await_log(S3Log(aws.s3, here.settings.log_bucket), last_events(here, aws), waiting)


def _asked_report(folder: Path) -> RuntimeReport:
    ask(folder)
    return read_report(folder)


def _await_log(log: S3Log, missing: list[Last], waiting: Wait) -> None:
    read_keys: set[str] = set()  # log objects never change, so that each is read once
    while missing := _not_in(log, missing, read_keys):
        waiting.pause(f"the log lacks the last event of {', '.join(last.shard for last in missing)}")


def last_events(here: Installation, aws: Aws) -> list[Last]:
    """Return the last event that the consumer has applied of each shard, if the stream still has it."""
    stream = parse_stream(here.settings.stream)
    identity = StreamReader(aws.kinesis, here.settings.stream).identity()
    with here.warehouse() as warehouse, warehouse.transaction() as transaction:
        checkpoints = transaction.checkpoints(LIVE_READER)
    events = (
        _last_event(aws, stream, checkpoint.shard, checkpoint.sequence)
        for checkpoint in checkpoints
        if checkpoint.stream == identity
    )
    return [event for event in events if event is not None]


def _last_event(aws: Aws, stream: Stream, shard: str, sequence: str) -> Last | None:
    with aws_errors(f"reading the last record of the shard {shard}"):
        iterator = aws.kinesis.get_shard_iterator(
            **stream.arguments,
            ShardId=shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=sequence.lstrip("0"),  # checkpoints are padded to sort as text
        )["ShardIterator"]
        answer = aws.kinesis.get_records(ShardIterator=iterator, Limit=1, **stream.record_arguments)
    records = answer["Records"]
    frames = _good_frames(records[0]["Data"]) if records else []
    # A record may have several frames; they are written to the log together.
    return Last(shard, frames[-1], records[0]["ApproximateArrivalTimestamp"]) if frames else None


def _good_frames(payload: bytes) -> list[bytes]:
    """Return the valid frames of a record. A record that another application wrote has none."""
    try:
        return [frame for frame in frames_of(payload) if check_frame(frame) is None]
    except PoisonEventError:
        return []


def _not_in(log: S3Log, wanted: list[Last], read_keys: set[str]) -> list[Last]:
    """Return the events that are not in the log. Skips the objects in `read_keys` and adds those it reads."""
    missing = {last.frame: last for last in wanted}
    for item in _newest_first(log, min((last.arrived_at for last in wanted), default=datetime.now(UTC))):
        if missing and item.key not in read_keys:
            read_keys.add(item.key)
            for frame in replay_log.frames_of(log, item):
                if isinstance(frame, bytes):  # not a damaged range
                    missing.pop(frame, None)
    return list(missing.values())


def _newest_first(log: S3Log, oldest: datetime) -> Iterator[LogObject]:
    """Yield the objects of the log since about that time, the newest first, then all error objects."""
    after = f"log/{(oldest - _OLDEST).astimezone(UTC):%Y/%m/%d/%H}"
    # The last events are in the newest objects: with this order usually one or two are read.
    yield from reversed(list(log.objects(after)))
    # Records that Firehose could not deliver are in the log as well. Their keys come first in the listing.
    yield from takewhile(lambda item: item.key.startswith(ERRORS), log.objects())
