"""Frames out of a stream of bytes: the reader of the log.

It takes any chunking, GZIP or not, bare frames, KPL aggregates, or both mixed (real Firehose splits
aggregates, others do not). A frame is taken only with its CRC-32. After damage the reader finds its place again
and names the range of bytes that it could not read.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import md5
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from schemas.event import CRC_BYTES, MAX_FRAME_BYTES
from schemas.inflate import inflated
from schemas.kpl import DIGEST_BYTES, MAGIC, Record, read_record
from schemas.resync import damaged_frame_size, seek_next_unit
from schemas.window import CRC, LENGTHS, MARKER_NUMBER, MIN_FRAME_BYTES, START, Window, crc_matches, is_frame

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
    return None if crc_matches(frame, 0, size) else "its CRC-32 does not match"


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
    reason = one.reason if other.reason in one.reason else f"{one.reason}; {other.reason}"
    return Damage(one.name, min(one.start, other.start), max(one.end, other.end), reason)


@dataclass(slots=True)
class _Aggregate:
    """An aggregate in reading. It has no length: it ends where the MD5 of its fields so far comes next."""

    start: int
    digest: "_Hash" = field(default_factory=lambda: md5(usedforsecurity=False))
    damaged: bool = False  # and named


class _Reader:
    """Reads one stream, unit by unit: bare frames, an aggregate, or damage."""

    def __init__(self, chunks: Iterable[bytes], name: str) -> None:
        self._window = Window(inflated(chunks))
        self._name = name

    def items(self) -> Iterator[bytes | Damage]:
        window = self._window
        more = True
        while more:
            yield from self._frames()
            more = window.has(1)
            yield from self._breaks()
            if more and not window.frame_size():
                yield from self._other_unit()

    def _frames(self) -> Iterator[bytes]:
        """The run of good frames here, as far as the buffer goes: the fast path."""
        window = self._window
        buffer, at = window.buffer, window.pos
        size, view = len(buffer), memoryview(buffer)
        start_of, crc_of = START.unpack_from, CRC.unpack_from
        while at <= size - MIN_FRAME_BYTES:
            length, marker = start_of(buffer, at)
            end = at + 4 + length
            if marker != MARKER_NUMBER or end > size or length not in LENGTHS:
                break
            if crc32(view[at : end - CRC_BYTES]) != crc_of(buffer, end - CRC_BYTES)[0]:
                break
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
            yield from self._fields(_Aggregate(window.offset), len(MAGIC))
        elif window.good_record():  # the beginning of its aggregate is lost
            yield from self._fields(_Aggregate(window.offset, damaged=True), 0)
        elif size := damaged_frame_size(window, 0, window.told_size()):
            yield self._damage(0, size, "a damaged frame")
            window.pos += size
        else:
            yield self._search()

    def _damage(self, start: int, end: int, reason: str) -> Damage:
        """Of a range ahead."""
        return Damage(self._name, self._window.offset + start, self._window.offset + end, reason)

    def _search(self) -> Damage:
        start = self._window.offset
        seek_next_unit(self._window)
        return Damage(self._name, start, self._window.offset, "not a frame")

    def _fields(self, aggregate: _Aggregate, ahead: int) -> Iterator[bytes | Damage]:
        """An aggregate's fields.

        Keys are walked ahead of the window's place, which stays before them until a good record follows: a
        damaged length among them would swallow good records, and a search begins at the window's place.
        """
        window = self._window
        while True:
            taken = yield from self._records(aggregate, ahead)
            if taken:
                ahead = 0
            if window.good_record(ahead):
                continue  # it is in the buffer now
            if self._digest_follows(aggregate, ahead):
                window.pos += ahead + DIGEST_BYTES
                return
            if payload := self._damaged_payload(ahead):
                aggregate.damaged = True
                yield self._damage(*payload, "a damaged frame")
                window.pos += self._walk(aggregate, ahead, payload[1])
                ahead = 0
            elif (end := window.key_end(ahead)) is not None:
                ahead = self._walk(aggregate, ahead, end)
            else:
                yield from self._end_of_damaged(aggregate, ahead)
                return

    def _records(self, aggregate: _Aggregate, ahead: int) -> Generator[bytes, None, bool]:
        """The run of user records with good frames there, as far as the buffer goes: the fast path.

        Moves the window behind the last one and says whether there was one.
        """
        window = self._window
        buffer, start = window.buffer, window.pos + ahead
        at = start
        while record := _record_in(buffer, at):
            yield buffer[record.start : record.end]
            at = record.end
        if at > start:
            aggregate.digest.update(memoryview(buffer)[start:at])
            window.pos = at
        return at > start

    def _walk(self, aggregate: _Aggregate, ahead: int, end: int) -> int:
        start = self._window.pos
        aggregate.digest.update(memoryview(self._window.buffer)[start + ahead : start + end])
        return end

    def _digest_follows(self, aggregate: _Aggregate, ahead: int) -> bool:
        window = self._window
        whole = window.has(ahead + DIGEST_BYTES)
        return whole and window.buffer.startswith(aggregate.digest.digest(), window.pos + ahead)

    def _damaged_payload(self, ahead: int) -> tuple[int, int] | None:
        """The range of a user record's payload, as far as the stream goes; None if there is no record."""
        window = self._window
        payload = window.record(ahead)
        if payload is None or window.frame_size(payload[0]):  # a good frame that is not all of it: no record
            return None
        start, end = payload
        size = damaged_frame_size(window, start, end - start)
        if size != min(end, window.left) - start:
            return None
        return payload if window.has(end) else (ahead, window.left)

    def _end_of_damaged(self, aggregate: _Aggregate, ahead: int) -> Iterator[Damage]:
        """No field, nor the MD5. If what follows it begins here, or 16 bytes ahead, only the MD5 is wrong."""
        window = self._window
        size = next((size for size in (0, DIGEST_BYTES) if not ahead and window.boundary(size)), None)
        if size is None:
            yield self._search()
            return
        window.pos += size
        if not aggregate.damaged:
            yield Damage(self._name, aggregate.start, window.offset, "the MD5 of an aggregate of good frames")


def _record_in(buffer: bytes, at: int) -> Record | None:
    """The user record there, if it is whole in the buffer and its payload is a good frame."""
    try:
        record = read_record(buffer, at)
    except IndexError:
        return None
    if record is None or record.end > len(buffer) or not is_frame(buffer, record.start, record.end):
        return None
    return record
