"""The reader of the log: frames from a stream of bytes.

A stream may be chunked anywhere, compressed with GZIP or not, and contain bare frames, KPL aggregates, or
both (Firehose splits aggregates, some emulators do not). Blanks and line ends between them are not damage,
since Firehose can be configured to add them. A frame is accepted only if its CRC-32 matches. After damage the
reader resynchronises and reports the range of bytes that it could not read.
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

    An empty range marks bytes that are lost because the GZIP around them is damaged or cut short.
    """

    name: str
    start: int
    end: int
    reason: str


# Junk may look like many damaged GZIP members, and each adds its own reason.
_MAX_REASON = 200
_MORE = "; and more"


def check_frame(frame: bytes) -> str | None:
    """Return why these bytes are not exactly one undamaged frame, or None if they are."""
    size = len(frame)
    if not MIN_FRAME_BYTES <= size <= MAX_FRAME_BYTES:
        return f"a frame has {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES:,} bytes, this one {size:,}"
    length, marker = START.unpack_from(frame)
    if marker != MARKER_NUMBER:
        return "it has no frame marker"
    if length != size - 4:
        return "its length field does not match its size"
    return None if frame_end(frame, memoryview(frame), 0) else "its CRC-32 does not match"


def read_frames(chunks: Iterable[bytes], name: str) -> Iterator[bytes | Damage]:
    """Yield every undamaged frame of a stream, in order, and the damage between them.

    Neighbouring damaged ranges are merged. Memory is bounded by one frame or aggregate and one chunk. Errors
    of `chunks` pass through.
    """
    damage: Damage | None = None
    for item in _Reader(chunks, name).items():
        if type(item) is bytes:
            if damage is not None:
                yield damage
                damage = None
            yield item
        elif isinstance(item, Damage):
            if damage is not None and not _touch(damage, item):
                yield damage
                damage = None
            damage = _merge(damage, item) if damage else item
    if damage is not None:
        yield damage


def _touch(earlier: Damage, later: Damage) -> bool:
    return earlier.start <= later.end and later.start <= earlier.end


def _merge(earlier: Damage, later: Damage) -> Damage:
    reason = earlier.reason
    if later.reason not in reason and not reason.endswith(_MORE):
        reason += f"; {later.reason}" if len(reason) < _MAX_REASON else _MORE
    return Damage(earlier.name, min(earlier.start, later.start), max(earlier.end, later.end), reason)


@dataclass(slots=True)
class _Aggregate:
    """State of the aggregate that is being read.

    An aggregate has no length: it ends where the MD5 of its fields so far comes next.
    """

    start: int
    """Offset in the stream."""
    ahead: int
    """Distance of the next field.

    The window stays before a run of keys until a record follows it. If the length of a key is damaged, the
    key may have swallowed records, and the search for them begins at the window's position.
    """
    damaged: bool = False
    """True once damage in it was reported."""
    digest: "_Hash" = field(default_factory=lambda: md5(usedforsecurity=False))


class _Reader:
    """Reads one stream unit by unit: bare frames, an aggregate, or damage."""

    def __init__(self, chunks: Iterable[bytes], name: str) -> None:
        self._window = Window(inflate(chunks))
        self._name = name

    def items(self) -> Iterator[bytes | Damage]:
        window = self._window
        while window.has(1):
            yield from self._gaps()
            yield from self._frames()
            if separators := window.separators():
                window.pos += separators
            elif window.has(1) and not window.frame_size():
                yield from self._other_unit()
        yield from self._gaps()

    def _frames(self) -> Iterator[bytes]:
        """Yield the run of undamaged frames here, up to the end of the buffer: the fast path."""
        window = self._window
        buffer, at = window.buffer, window.pos
        view = memoryview(buffer)
        while end := frame_end(buffer, view, at):
            yield buffer[at:end]
            at = end
        window.pos = at

    def _gaps(self) -> Iterator[Damage]:
        """Yield the gaps up to the current position: the window may know of later ones already."""
        window = self._window
        while window.gaps and window.gaps[0][0] <= window.offset:
            at, reason = window.gaps.pop(0)
            yield Damage(self._name, at, at, reason)

    def _other_unit(self) -> Iterator[bytes | Damage]:
        window = self._window
        if window.starts_aggregate():
            yield from self._fields(_Aggregate(window.offset, len(MAGIC)))
        elif window.has_good_record():  # the beginning of its aggregate is lost
            yield from self._fields(_Aggregate(window.offset, 0, damaged=True))
        elif damaged := self._damaged_frame():
            yield self._damage(*damaged)
            window.pos += damaged[1]
        else:
            yield self._search()

    def _damaged_frame(self) -> tuple[int, int] | None:
        """Return the distances of start and end of the damaged frame here, or behind blanks."""
        for ahead in dict.fromkeys((0, self._window.blanks())):
            if size := damaged_frame_size(self._window, ahead, self._window.declared_size(ahead)):
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
            if window.has_good_record(aggregate.ahead):
                continue  # the record is buffered now, and the fast path reads it
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
        """Yield the frames of a run of undamaged user records, up to the end of the buffer: the fast path."""
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
        """Advance to the field that begins at this distance, and add the bytes before it to the MD5."""
        pos = self._window.pos
        aggregate.digest.update(memoryview(self._window.buffer)[pos + aggregate.ahead : pos + end])
        aggregate.ahead = end

    def _confirm(self, aggregate: _Aggregate) -> None:
        """Move the window to the next field: those before it were read correctly."""
        self._window.pos += aggregate.ahead
        aggregate.ahead = 0

    def _digest_follows(self, aggregate: _Aggregate) -> bool:
        window = self._window
        whole = window.has(aggregate.ahead + DIGEST_BYTES)
        return whole and window.buffer.startswith(aggregate.digest.digest(), window.pos + aggregate.ahead)

    def _damaged_payload(self, ahead: int) -> tuple[int, int] | None:
        """Return the range of a user record's damaged payload, up to the end of the stream.

        None if no user record is there.
        """
        window = self._window
        payload = window.payload_range(ahead)
        # An undamaged frame that is not the whole payload: these bytes only look like a header.
        if payload is None or window.frame_size(payload[0]):
            return None
        start, end = payload
        size = damaged_frame_size(window, start, end - start)
        if size != min(end, window.left) - start:
            return None
        return payload if window.has(end) else (ahead, window.left)

    def _end_of_damaged(self, aggregate: _Aggregate) -> Iterator[Damage]:
        """Report the damage where neither a field nor the right MD5 follows."""
        window = self._window
        # If the next unit begins here or 16 bytes on, only the MD5 is missing or damaged.
        sizes = (0, DIGEST_BYTES) if aggregate.ahead == 0 else ()
        size = next((size for size in sizes if window.at_boundary(size)), None)
        if size is None:
            yield self._search()
            return
        window.pos += size
        if not aggregate.damaged:
            reason = "an aggregate whose MD5 does not match; its frames are good"
            yield Damage(self._name, aggregate.start, window.offset, reason)
