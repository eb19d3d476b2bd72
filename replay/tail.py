"""The Kinesis stream into one revision: what Firehose has not flushed yet, and what happens meanwhile.

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
from replay.progress import Progress, Report, unreported
from replay.retry_policy import RetryPolicy
from replay.write import RevisionWriter
from schemas.errors import PoisonEventError, TransientError
from schemas.log.frames import check_frame


class ShardCursor(Protocol):
    """Reads one shard in order; consumers.kinesis.ShardReader is one."""

    def read(self, *, closed: bool) -> Page:
        """The next records. After an error the next call goes on from the same place."""


class Stream(Protocol):
    """A stream as its readers see it; consumers.kinesis.StreamReader is one."""

    def identity(self) -> str:
        """ARN and creation time."""

    def retention(self) -> timedelta:
        """How long a record is kept."""

    def shards(self) -> list[Shard]:
        """All that still hold records, closed ones too."""

    def open(self, shard: str, start: Start = None) -> ShardCursor:
        """Read after a sequence number, from a time on, or from the oldest record."""


Write: TypeAlias = Callable[[Sequence[bytes], Sequence[Checkpoint]], None]

PIECE_BYTES = 1024 * 1024
"""A page of GetRecords may have ten times as many: too much for one transaction that nobody hears of."""

READ_TO_TIP = "~"
"""Greater than any sequence number: of a shard that the live consumers have no checkpoint of, read to the
tip."""


class Tail:
    """Follows every shard of a stream, closed ones too; the order of shards does not matter (INV-2).

    A shard with a checkpoint in `saved` is read on from there; the others that are there at the start from
    `since` on (None: from their oldest record), and those that appear later from their oldest record.
    `places` tells how far each shard is applied.
    """

    def __init__(
        self,
        stream: Stream,
        writer: RevisionWriter,
        since: datetime | None,
        saved: Iterable[Checkpoint],
        retry: RetryPolicy,
        report: Report = unreported,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._writer, self._retry = stream, writer, retry
        self._report, self._clock = report, clock
        self._identity = retry.call(stream.identity)
        self._since = {shard.id: since for shard in retry.call(stream.shards)}
        self._cursors: dict[str, ShardCursor] = {}
        self._finished: set[str] = set()
        self.places = self.places_of(saved)

    def places_of(self, checkpoints: Iterable[Checkpoint]) -> dict[str, str]:
        """Sequence numbers by shard: the checkpoints of this stream, not of one that had its name before."""
        return {each.shard: each.sequence for each in checkpoints if each.stream == self._identity}

    def read_to_tip(self) -> None:
        """Read each shard that is there now until it has shown its tip once."""
        write = self._reported(self._writer.write)
        for shard in self._retry.call(self._unfinished):
            at_tip = False
            while not at_tip:
                page = self._retry.call(partial(self._page, shard))
                self._take(shard, page, write)
                at_tip = page.at_tip

    def level(self, live: Mapping[str, str], write: Write, in_time: Callable[[], bool]) -> None:
        """Read each shard to its sequence in `live` at least, or to its tip as it is now.

        Never waits: raises TransientError at the first, and when it is out of time. Where that rolls back
        what `write` wrote, `go_back`.
        """
        for shard in self._unfinished():
            mark = live.get(shard.id, READ_TO_TIP)
            while self.places.get(shard.id, "") < mark:
                if not in_time():
                    raise TransientError("the stream runs ahead of the replay")
                page = self._page(shard)
                self._take(shard, page, write)
                if page.at_tip:
                    break

    def has_passed(self, live: Mapping[str, str], places: Mapping[str, str]) -> bool:
        """Whether readers at `live` have seen all that we had applied at `places`, by shard.

        Of a shard of which nothing was applied, since all of it is older than our beginning, they have seen
        all if nothing is ahead of them. Raises TransientError at the first.
        """
        return all(
            live.get(shard.id, "") >= places[shard.id] if shard.id in places else self._at_tip(shard, live)
            for shard in self._stream.shards()
        )

    def _at_tip(self, shard: Shard, live: Mapping[str, str]) -> bool:
        cursor = self._stream.open(shard.id, live.get(shard.id))
        page = cursor.read(closed=shard.closed)
        while not page.records and not page.at_tip:
            page = cursor.read(closed=shard.closed)
        return not page.records

    def go_back(self, places: Mapping[str, str]) -> None:
        """Take up again at these earlier `places`."""
        self.places = dict(places)
        self._cursors.clear()
        self._finished.clear()

    def _unfinished(self) -> list[Shard]:
        return [shard for shard in self._stream.shards() if shard.id not in self._finished]

    def _page(self, shard: Shard) -> Page:
        if shard.id not in self._cursors:
            start = self.places.get(shard.id) or self._since.get(shard.id)
            self._cursors[shard.id] = self._stream.open(shard.id, start)
        return self._cursors[shard.id].read(closed=shard.closed)

    def _take(self, shard: Shard, page: Page, write: Write) -> None:
        for records in _pieces(page.records):
            place = padded(records[-1].sequence)
            frames = list(_frames(records, self._writer.wanted.needle))
            try:
                write(frames, [Checkpoint(self._writer.reader, self._identity, shard.id, place)])
            except TransientError:
                del self._cursors[shard.id]  # it is past records that are not applied
                raise
            self.places[shard.id] = place
        if page.finished:
            self._finished.add(shard.id)

    def _reported(self, write: Write) -> Write:
        """`write`, which reports before each call but the first how much it has written."""
        began, events = self._clock(), 0

        def written(frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]) -> None:
            nonlocal events
            if events:
                self._report(Progress("stream", events, None, events, self._clock() - began, "event"))
            write(frames, checkpoints)
            events += len(frames)

        return written


def _pieces(records: Sequence[KinesisRecord]) -> Iterator[Sequence[KinesisRecord]]:
    """The records in order; the payloads of each piece but the last reach PIECE_BYTES."""
    start = size = 0
    for end, record in enumerate(records, 1):
        size += len(record.payload)
        if size >= PIECE_BYTES or end == len(records):
            yield records[start:end]
            start, size = end, 0


def _frames(records: Iterable[KinesisRecord], needle: bytes) -> Iterator[bytes]:
    """The frames that name the entity. What is damaged comes as an empty one, which counts as dead."""
    for record in records:
        try:
            frames = frames_of(record.payload)
        except PoisonEventError:
            yield b""
            continue
        for frame in frames:
            if needle in frame:
                yield b"" if check_frame(frame) else frame
