"""The Kinesis stream into one revision: events that are not in the log yet, and those that arrive meanwhile.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeAlias

from consumers.facts import frames_of
from consumers.kinesis import KinesisRecord, Page, Shard, Start
from consumers.warehouse.port import Checkpoint, padded
from replay.progress import Progress, ProgressCallback, no_report
from replay.retry_policy import RetryPolicy
from replay.write import RevisionWriter
from schemas.errors import ConfigurationError, PoisonEventError, TransientError
from schemas.log.frames import check_frame


class ShardCursor(Protocol):
    """Reads one shard in order; consumers.kinesis.ShardReader is one."""

    def read(self, *, closed: bool) -> Page:
        """Return the next records. After an error the next call resumes at the same record."""


class Stream(Protocol):
    """A stream as its readers see it; consumers.kinesis.StreamReader is one."""

    def identity(self) -> str:
        """Return ARN and creation time."""

    def retention(self) -> timedelta:
        """Return how long a record is kept."""

    def shards(self) -> list[Shard]:
        """Return all shards that still hold records, closed ones included."""

    def open(self, shard: str, start: Start = None) -> ShardCursor:
        """Read after a sequence number, from a time on, or from the oldest record."""


Write: TypeAlias = Callable[[Sequence[bytes], Sequence[Checkpoint]], None]

PIECE_BYTES = 1024 * 1024
"""Payload bytes in one transaction. A page of GetRecords may have ten times as many, which would delay the
next report and hold locks for long."""

READ_TO_TIP = "~"
"""The target of a shard that the live consumers have no checkpoint for. It sorts after every sequence number,
so the shard is read to its tip."""


class Tail:
    """Follows every shard of a stream, closed ones included.

    A shard with a checkpoint in `saved` is read from there. Other shards that exist at the start are read
    from `since` on (None: from their oldest record), and later ones from their oldest record.
    `sequences` is the last sequence number applied of each shard.
    """

    # Shards are read one after the other, children perhaps before parents: the guard makes order immaterial
    # (INV-2).

    def __init__(
        self,
        stream: Stream,
        writer: RevisionWriter,
        *,
        since: datetime | None,
        saved: Iterable[Checkpoint],
        retry: RetryPolicy,
        report: ProgressCallback = no_report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._writer, self._retry = stream, writer, retry
        self._report, self._clock = report, clock
        self._identity = retry.call(stream.identity)
        # Only the shards of now: a shard that a later reshard opens may hold records older than its first
        # read, and all of them are wanted.
        self._since = {shard.id: since for shard in retry.call(stream.shards)}
        self._cursors: dict[str, ShardCursor] = {}
        self._finished: set[str] = set()
        self.sequences = self.sequences_of(saved)

    def sequences_of(self, checkpoints: Iterable[Checkpoint]) -> dict[str, str]:
        """Return the sequence numbers by shard.

        Checkpoints of another stream are left out, also of an earlier one that had the same name.
        """
        return {
            checkpoint.shard: checkpoint.sequence
            for checkpoint in checkpoints
            if checkpoint.stream == self._identity
        }

    def read_to_tip(self) -> None:
        """Read each present shard until it has once shown no further record."""
        write = self._with_reports(self._writer.write)
        for shard in self._retry.call(self._unfinished):
            at_tip = False
            while not at_tip:
                page = self._retry.call(partial(self._page, shard))
                self._apply(shard, page, write)
                at_tip = page.at_tip

    def catch_up(self, live: Mapping[str, str], write: Write, in_time: Callable[[], bool]) -> None:
        """Read each shard at least to its sequence number in `live`, or to its present tip.

        Retries nothing and never waits: raises the first TransientError, and one of its own when `in_time`
        turns false. If the caller then rolls back what `write` wrote, it has to call `rewind`.
        """
        for shard in self._unfinished():
            target = live.get(shard.id, READ_TO_TIP)
            while self.sequences.get(shard.id, "") < target:
                if not in_time():
                    raise TransientError("the stream runs ahead of the replay: not level with it in time")
                page = self._page(shard)
                self._apply(shard, page, write)
                # READ_TO_TIP is never reached, nor is the number of a record that has expired.
                if page.at_tip:
                    break

    def has_passed(self, live: Mapping[str, str], applied: Mapping[str, str]) -> bool:
        """Return whether readers at `live` have read all that was applied at `applied`, by shard.

        Raises TransientError.
        """
        # Nothing of a shard is applied if all its records are older than `since`. Then there is no number to
        # reach: readers have read everything if no record is ahead of them.
        return all(
            live.get(shard.id, "") >= applied[shard.id] if shard.id in applied else self._at_tip(shard, live)
            for shard in self._stream.shards()
        )

    def _at_tip(self, shard: Shard, live: Mapping[str, str]) -> bool:
        cursor = self._stream.open(shard.id, live.get(shard.id))
        page = cursor.read(closed=shard.closed)
        # GetRecords may return empty pages before the next record, so only `at_tip` proves that none is left.
        while not page.records and not page.at_tip:
            page = cursor.read(closed=shard.closed)
        return not page.records

    def rewind(self, sequences: Mapping[str, str]) -> None:
        """Resume reading from these earlier sequence numbers."""
        self.sequences = dict(sequences)
        self._cursors.clear()
        self._finished.clear()

    def _unfinished(self) -> list[Shard]:
        return [shard for shard in self._stream.shards() if shard.id not in self._finished]

    def _page(self, shard: Shard) -> Page:
        if shard.id not in self._cursors:
            start = self.sequences.get(shard.id) or self._since.get(shard.id)
            self._cursors[shard.id] = self._stream.open(shard.id, start)
        page = self._cursors[shard.id].read(closed=shard.closed)
        if page.trimmed:
            raise ConfigurationError(
                f"the stream no longer has the record of {shard.id} that was read last: what came after it "
                "may be gone. Run the command again, with a longer retention of the stream if this repeats; "
                "instead of a rollback run `headwater replay rebuild`, which reads the log"
            )
        return page

    def _apply(self, shard: Shard, page: Page, write: Write) -> None:
        for records in _pieces(page.records):
            sequence = padded(records[-1].sequence)
            frames = list(_frames(records, self._writer.wanted.needle))
            try:
                write(frames, [Checkpoint(self._writer.reader, self._identity, shard.id, sequence)])
            except TransientError:
                # The cursor is past records that were not applied: the next read reopens at `sequences`.
                del self._cursors[shard.id]
                raise
            self.sequences[shard.id] = sequence
        if page.finished:
            self._finished.add(shard.id)

    def _with_reports(self, write: Write) -> Write:
        """Return `write`, with a report of what was written so far before each call but the first."""
        began, events = self._clock(), 0

        def reported(frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]) -> None:
            nonlocal events
            if events:
                seconds = self._clock() - began
                self._report(Progress("stream", events, None, events=events, seconds=seconds, unit="event"))
            write(frames, checkpoints)
            events += len(frames)

        return reported


def _pieces(records: Sequence[KinesisRecord]) -> Iterator[Sequence[KinesisRecord]]:
    """Split records into runs, in order. The payloads of each run but the last reach PIECE_BYTES."""
    start = size = 0
    for end, record in enumerate(records, 1):
        size += len(record.payload)
        if size >= PIECE_BYTES or end == len(records):
            yield records[start:end]
            start, size = end, 0


def _frames(records: Iterable[KinesisRecord], needle: bytes) -> Iterator[bytes]:
    """Yield the frames that contain `needle`. A damaged one becomes an empty frame, which counts as dead."""
    for record in records:
        try:
            frames = frames_of(record.payload)
        except PoisonEventError:
            # Damage in the stream doesn't stop a replay as damage of the log does: the live consumer has
            # already kept the record as a dead letter.
            yield b""
            continue
        for frame in frames:
            if needle in frame:
                yield b"" if check_frame(frame) else frame
