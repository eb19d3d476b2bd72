"""Frames out of a stream of bytes: the reader of the log.

It takes any chunking, GZIP or not, bare frames, KPL aggregates, or both mixed (real Firehose splits
aggregates, others do not). Blanks and line ends between them are no damage: a delivery may be told to add
them. A frame is taken only with its CRC-32. After damage the reader finds its place
again and names the range of bytes that it could not read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import md5
from typing import TYPE_CHECKING, NamedTuple

from schemas.event import MAX_FRAME_BYTES
from schemas.log.inflate import inflate
from schemas.log.kpl import DIGEST_BYTES, MAGIC, read_record
from schemas.log.resync import damaged_frame_size, seek_next_unit
from schemas.log.window import MARKER_NUMBER, MIN_FRAME_BYTES, START, Window, frame_end

if TYPE_CHECKING:
    from hashlib import _Hash


class Damage(NamedTuple):
    """Bytes [start, end) of a stream, after decompression, that could not be read.

    An empty range: bytes are missing there, since the GZIP around it is damaged or cut short.
    """

    name: str
    start: int
    end: int
    reason: str


_MAX_REASON = 200
_MORE = "; and more"
"""Junk may look like many damaged GZIP members, each with a reason of its own."""


def check_frame(frame: bytes) -> str | None:
    """Why these bytes are not exactly one undamaged frame; None if they are."""
    size = len(frame)
    if not MIN_FRAME_BYTES <= size <= MAX_FRAME_BYTES:
        return f"a frame has {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES:,} bytes, this one {size:,}"
    length, marker = START.unpack_from(frame)
    if marker != MARKER_NUMBER:
        return "it has no frame's marker"
    if length != size - 4:
        return "its length field does not say its length"
    return None if frame_end(frame, memoryview(frame), 0) else "its CRC-32 does not match"


def read_frames(chunks: Iterable[bytes], name: str) -> Iterator[bytes | Damage]:
    """Every undamaged frame of a stream, in order; between them the damage, neighbouring ranges as one.

    Memory is bounded by one frame or aggregate and one chunk. Errors of `chunks` pass through.
    """
    damage: Damage | None = None
    for item in _Reader(chunks, name).items():
        if type(item) is bytes:
            if damage is not None:
                yield damage
                damage = None
            yield item
        elif isinstance(item, Damage):
            if damage is not None and not _touching(damage, item):
                yield damage
                damage = None
            damage = _joined(damage, item) if damage else item
    if damage is not None:
        yield damage


def _touching(one: Damage, other: Damage) -> bool:
    return one.start <= other.end and other.start <= one.end


def _joined(one: Damage, other: Damage) -> Damage:
    reason = one.reason
    if other.reason not in reason and not reason.endswith(_MORE):
        reason += f"; {other.reason}" if len(reason) < _MAX_REASON else _MORE
    return Damage(one.name, min(one.start, other.start), max(one.end, other.end), reason)


@dataclass(slots=True)
class _Aggregate:
    """An aggregate in reading. It has no length: it ends where the MD5 of its fields so far comes next."""

    start: int
    """Its offset in the stream."""
    ahead: int
    """Distance of the next field. Keys are walked ahead of the window's place, which stays before them until
    a record follows: a damaged length among them would swallow records, and a search begins at that place."""
    damaged: bool = False
    """And some of the damage is named."""
    digest: "_Hash" = field(default_factory=lambda: md5(usedforsecurity=False))


class _Reader:
    """Reads one stream, unit by unit: bare frames, an aggregate, or damage."""

    def __init__(self, chunks: Iterable[bytes], name: str) -> None:
        self._window = Window(inflate(chunks))
        self._name = name

    def items(self) -> Iterator[bytes | Damage]:
        window = self._window
        while window.has(1):
            yield from self._breaks()
            yield from self._frames()
            if separators := window.separators():
                window.pos += separators
            elif window.has(1) and not window.frame_size():
                yield from self._other_unit()
        yield from self._breaks()

    def _frames(self) -> Iterator[bytes]:
        """The run of good frames here, as far as the buffer goes: the fast path."""
        window = self._window
        buffer, at = window.buffer, window.pos
        view = memoryview(buffer)
        while end := frame_end(buffer, view, at):
            yield buffer[at:end]
            at = end
        window.pos = at

    def _breaks(self) -> Iterator[Damage]:
        window = self._window
        while window.breaks and window.breaks[0][0] <= window.offset:
            at, reason = window.breaks.pop(0)
            yield Damage(self._name, at, at, reason)

    def _other_unit(self) -> Iterator[bytes | Damage]:
        window = self._window
        if window.starts_aggregate():
            yield from self._fields(_Aggregate(window.offset, len(MAGIC)))
        elif window.good_record():  # the beginning of its aggregate is lost
            yield from self._fields(_Aggregate(window.offset, 0, damaged=True))
        elif damaged := self._damaged_frame():
            yield self._damage(*damaged)
            window.pos += damaged[1]
        else:
            yield self._search()

    def _damaged_frame(self) -> tuple[int, int] | None:
        """The range ahead of the damaged frame here, or behind separators."""
        for ahead in dict.fromkeys((0, self._window.blanks())):
            if size := damaged_frame_size(self._window, ahead, self._window.told_size(ahead)):
                return ahead, ahead + size
        return None

    def _damage(self, start: int, end: int) -> Damage:
        offset = self._window.offset
        return Damage(self._name, offset + start, offset + end, "a damaged frame")

    def _search(self) -> Damage:
        start = self._window.offset
        seek_next_unit(self._window)
        return Damage(self._name, start, self._window.offset, "not a frame")

    def _fields(self, aggregate: _Aggregate) -> Iterator[bytes | Damage]:
        window = self._window
        while True:
            yield from self._records(aggregate)
            if window.good_record(aggregate.ahead):
                continue  # its last bytes are in the buffer now
            if self._digest_follows(aggregate):
                window.pos += aggregate.ahead + DIGEST_BYTES
                return
            if payload := self._damaged_payload(aggregate.ahead):
                yield self._damage(*payload)
                aggregate.damaged = True
                self._walk(aggregate, payload[1])
                self._confirm(aggregate)
            elif end := window.key_end(aggregate.ahead):
                self._walk(aggregate, end)
            else:
                yield from self._end_of_damaged(aggregate)
                return

    def _records(self, aggregate: _Aggregate) -> Iterator[bytes]:
        """The run of user records with good frames there, as far as the buffer goes: the fast path."""
        buffer, pos = self._window.buffer, self._window.pos
        view = memoryview(buffer)
        at = pos + aggregate.ahead
        while (record := read_record(buffer, at)) and frame_end(buffer, view, record.start) == record.end:
            yield buffer[record.start : record.end]
            at = record.end
        if at > pos + aggregate.ahead:
            self._walk(aggregate, at - pos)
            self._confirm(aggregate)

    def _walk(self, aggregate: _Aggregate, end: int) -> None:
        """Go on to the field that begins at this distance."""
        pos = self._window.pos
        aggregate.digest.update(memoryview(self._window.buffer)[pos + aggregate.ahead : pos + end])
        aggregate.ahead = end

    def _confirm(self, aggregate: _Aggregate) -> None:
        """All fields so far are what they seem."""
        self._window.pos += aggregate.ahead
        aggregate.ahead = 0

    def _digest_follows(self, aggregate: _Aggregate) -> bool:
        window = self._window
        whole = window.has(aggregate.ahead + DIGEST_BYTES)
        return whole and window.buffer.startswith(aggregate.digest.digest(), window.pos + aggregate.ahead)

    def _damaged_payload(self, ahead: int) -> tuple[int, int] | None:
        """The range of a user record's payload, as far as the stream goes; None if that is no record."""
        window = self._window
        payload = window.record(ahead)
        if payload is None or window.frame_size(payload[0]):  # a good frame, but not all of the payload
            return None
        start, end = payload
        size = damaged_frame_size(window, start, end - start)
        if size != min(end, window.left) - start:
            return None
        return payload if window.has(end) else (ahead, window.left)

    def _end_of_damaged(self, aggregate: _Aggregate) -> Iterator[Damage]:
        """Neither a field nor the MD5. If the next unit begins here, or 16 bytes on, only the MD5 is bad."""
        window = self._window
        sizes = (0, DIGEST_BYTES) if aggregate.ahead == 0 else ()
        size = next((size for size in sizes if window.boundary(size)), None)
        if size is None:
            yield self._search()
            return
        window.pos += size
        if not aggregate.damaged:
            reason = "an aggregate whose MD5 does not match; its frames are good"
            yield Damage(self._name, aggregate.start, window.offset, reason)
