"""What stands ahead in a stream of bytes: a good frame, a field of an aggregate, the beginning of something.

Distances (`ahead`) count from the window's place. They stay right when the window is filled; positions in the
buffer do not.
"""

import re
from collections.abc import Iterator
from struct import Struct
from typing import Final
from zlib import crc32

from schemas.event import BODY_START, CRC_BYTES, MARKER, MAX_FRAME_BYTES
from schemas.log.crc import RangeCrc, combine_crc
from schemas.log.kpl import (
    MAGIC,
    MAX_AGGREGATE_BYTES,
    MAX_HEADER_BYTES,
    MAX_KEY_BYTES,
    read_record,
    skip_key,
)

MIN_FRAME_BYTES: Final = BODY_START + CRC_BYTES
MARKER_NUMBER: Final = int.from_bytes(MARKER)
LENGTHS: Final = range(MIN_FRAME_BYTES - 4, MAX_FRAME_BYTES - 4 + 1)
"""What a frame's length field may say."""

START: Final = Struct(">IH")
"""How a frame starts: length and marker."""
CRC: Final = Struct(">I")

_READ_AHEAD: Final = 1 << 16

_MAX_SEPARATORS: Final = 1 << 16
_SEPARATORS: Final = re.compile(rb"[ \t\r\n]{1,%d}" % _MAX_SEPARATORS)
"""What a delivery may put between records, such as Firehose's AppendDelimiterToRecord. No unit begins so: a
length's first byte is 0, an aggregate's F3."""


def frame_end(buffer: bytes, view: memoryview, at: int) -> int:
    """Where the good frame there ends, if it is whole in the buffer, else 0. `view` is of the same buffer."""
    if len(buffer) - at < MIN_FRAME_BYTES:
        return 0
    length, marker = START.unpack_from(buffer, at)
    end: int = at + 4 + length
    if marker != MARKER_NUMBER or length not in LENGTHS or end > len(buffer):
        return 0
    crc_at = end - CRC_BYTES
    return end if crc32(view[at:crc_at]) == CRC.unpack_from(buffer, crc_at)[0] else 0


class Window:
    """A stream's bytes from `pos` on, in a buffer that is filled when more are asked for.

    A str in the source says that bytes are missing there: `breaks` keeps where, and why.
    """

    def __init__(self, source: Iterator[bytes | str]) -> None:
        self._source = source
        self._base = 0
        self._ended = False
        self.buffer = b""
        self.pos = 0
        self._ranges: RangeCrc | None = None
        self._crc_bytes = 0  # gone over since the buffer was filled
        self.breaks: list[tuple[int, str]] = []

    @property
    def offset(self) -> int:
        """Of the window's place in the stream."""
        return self._base + self.pos

    @property
    def left(self) -> int:
        """Bytes in the buffer."""
        return len(self.buffer) - self.pos

    def has(self, count: int) -> bool:
        """Whether `count` bytes stand ahead; they are in the buffer then."""
        if self.left < count and not self._ended:
            self._fill(max(count, self.left + _READ_AHEAD))
        return self.left >= count

    def _fill(self, wanted: int) -> None:
        parts = [self.buffer[self.pos :]]
        size = len(parts[0])
        self._base += self.pos
        while size < wanted and not self._ended:
            piece = next(self._source, None)
            if piece is None:
                self._ended = True
            elif isinstance(piece, str):
                self.breaks.append((self._base + size, piece))
            else:
                parts.append(piece)
                size += len(piece)
        self.buffer, self.pos = b"".join(parts), 0
        self._ranges, self._crc_bytes = None, 0

    def told_size(self, ahead: int = 0) -> int | None:
        """Bytes of the frame there by its length field; None if no frame has so many."""
        if not self.has(ahead + START.size):
            return None
        length = START.unpack_from(self.buffer, self.pos + ahead)[0]
        return length + 4 if length in LENGTHS else None

    def starts_frame(self, ahead: int = 0) -> bool:
        """Whether the first bytes there are those of a frame."""
        return self.told_size(ahead) is not None and self.buffer.startswith(MARKER, self.pos + ahead + 4)

    def frame_size(self, ahead: int = 0) -> int:
        """Bytes of the good frame there, 0 if there is none. It is in the buffer then."""
        size = self.told_size(ahead)
        if size is None or not self.starts_frame(ahead) or not self.has(ahead + size):
            return 0
        crc_at = ahead + size - CRC_BYTES
        told = CRC.unpack_from(self.buffer, self.pos + crc_at)[0]
        return size if self.crc(ahead, crc_at) == told else 0

    def crc(self, ahead: int, end: int, before: int = 0) -> int:
        """The CRC-32 of what stands between these distances, in the buffer, going on from another one.

        The cost does not grow with the ranges: junk may say "a frame of a megabyte" every six bytes.
        """
        start, size = self.pos + ahead, end - ahead
        if self._ranges is None:
            self._crc_bytes += size
            if self._crc_bytes <= 2 * len(self.buffer):
                return crc32(memoryview(self.buffer)[start : start + size], before)
            self._ranges = RangeCrc(self.buffer)
        return combine_crc(before, self._ranges.of(start, start + size), size)

    def starts_aggregate(self, ahead: int = 0) -> bool:
        return self.has(ahead + len(MAGIC)) and self.buffer.startswith(MAGIC, self.pos + ahead)

    def blanks(self, ahead: int = 0) -> int:
        """Bytes of blanks and line ends there, up to the most that separators may be."""
        if not self.has(ahead + 1) or not _SEPARATORS.match(self.buffer, self.pos + ahead):
            return 0
        self.has(ahead + _MAX_SEPARATORS)
        found = _SEPARATORS.match(self.buffer, self.pos + ahead)
        return found.end() - found.start() if found else 0

    def separators(self, ahead: int = 0) -> int:
        """Bytes of blanks and line ends there if a unit or the stream's end follows, else 0."""
        size = self.blanks(ahead)
        return size if self._unit_begins(ahead + size) else 0

    def boundary(self, ahead: int) -> bool:
        """Whether a frame or an aggregate begins there, or the stream ends there, separators apart."""
        return self._unit_begins(ahead + self.separators(ahead))

    def _unit_begins(self, ahead: int) -> bool:
        if not self.has(ahead + 1):
            return self.left == ahead
        return self.starts_frame(ahead) or self.starts_aggregate(ahead)

    def record(self, ahead: int = 0) -> tuple[int, int] | None:
        """The distances of start and end of a user record's payload; the stream may end before it."""
        self.has(ahead + MAX_HEADER_BYTES)
        found = read_record(self.buffer, self.pos + ahead)
        if found is None or found.end - found.start > MAX_AGGREGATE_BYTES:
            return None
        return found.start - self.pos, found.end - self.pos

    def good_record(self, ahead: int = 0) -> bool:
        """Whether a user record with a good frame stands there. It is in the buffer then."""
        found = self.record(ahead)
        if found is None or not self.has(found[1]):
            return False
        start, end = found
        return self.frame_size(start) == end - start

    def key_end(self, ahead: int) -> int | None:
        """The distance of what follows the partition key or hash key there, whole in the buffer then."""
        self.has(ahead + MAX_KEY_BYTES)
        found = skip_key(self.buffer, self.pos + ahead)
        if found is None or not ahead < found - self.pos <= min(self.left, MAX_AGGREGATE_BYTES):
            return None
        return found - self.pos
