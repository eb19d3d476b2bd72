"""The bytes ahead in a stream, and what they are: an undamaged frame, a field of an aggregate, a boundary.

Distances (`ahead`) count from the current position of the window. They stay valid when the window is
refilled; offsets in the buffer do not.
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
FRAME_LENGTHS: Final = range(MIN_FRAME_BYTES - 4, MAX_FRAME_BYTES - 4 + 1)
"""Valid values of a frame's length field."""

START: Final = Struct(">IH")
"""First bytes of a frame: length and marker."""
CRC: Final = Struct(">I")

_READ_AHEAD: Final = 1 << 16

# Firehose adds a line end to each record if AppendDelimiterToRecord is set. No frame or aggregate begins with
# a separator: the first byte of a length is 0, that of an aggregate F3.
_MAX_SEPARATORS: Final = 1 << 16
_SEPARATORS: Final = re.compile(rb"[ \t\r\n]{1,%d}" % _MAX_SEPARATORS)


def frame_end(buffer: bytes, view: memoryview, at: int) -> int:
    """Return the end of the undamaged frame at this offset, or 0 if there is no whole one in the buffer.

    `view` is of the same buffer: making one for each frame would cost more than the check.
    """
    if len(buffer) - at < MIN_FRAME_BYTES:
        return 0
    length, marker = START.unpack_from(buffer, at)
    end: int = at + 4 + length
    if marker != MARKER_NUMBER or length not in FRAME_LENGTHS or end > len(buffer):
        return 0
    crc_at = end - CRC_BYTES
    return end if crc32(view[at:crc_at]) == CRC.unpack_from(buffer, crc_at)[0] else 0


class Window:
    """A stream from its current position `pos` on, in a buffer that is filled on demand.

    A str in the source marks lost bytes: `gaps` collects their offsets and reasons.
    """

    def __init__(self, source: Iterator[bytes | str]) -> None:
        self._source = source
        self._base = 0
        self._ended = False
        self.buffer = b""
        self.pos = 0
        self._ranges: RangeCrc | None = None
        self._crc_bytes = 0  # bytes that CRCs were computed of since the buffer was filled
        self.gaps: list[tuple[int, str]] = []

    @property
    def offset(self) -> int:
        """Offset of the current position in the stream."""
        return self._base + self.pos

    @property
    def left(self) -> int:
        """Number of buffered bytes from the current position on."""
        return len(self.buffer) - self.pos

    def has(self, count: int) -> bool:
        """Return whether the stream has `count` more bytes, and buffer them."""
        if self.left < count and not self._ended:
            self._fill(max(count, self.left + _READ_AHEAD))
        return self.left >= count

    def _fill(self, size: int) -> None:
        parts = [self.buffer[self.pos :]]
        filled = len(parts[0])
        self._base += self.pos
        while filled < size and not self._ended:
            piece = next(self._source, None)
            if piece is None:
                self._ended = True
            elif isinstance(piece, str):
                self.gaps.append((self._base + filled, piece))
            else:
                parts.append(piece)
                filled += len(piece)
        self.buffer, self.pos = b"".join(parts), 0
        self._ranges, self._crc_bytes = None, 0

    def declared_size(self, ahead: int = 0) -> int | None:
        """Return the size of the frame there according to its length field, or None if that is invalid."""
        if not self.has(ahead + START.size):
            return None
        length = START.unpack_from(self.buffer, self.pos + ahead)[0]
        return length + 4 if length in FRAME_LENGTHS else None

    def starts_frame(self, ahead: int = 0) -> bool:
        """Return whether a valid length and a frame marker are there. The rest may be damaged."""
        return self.declared_size(ahead) is not None and self.buffer.startswith(MARKER, self.pos + ahead + 4)

    def frame_size(self, ahead: int = 0) -> int:
        """Return the size of the undamaged frame there, and buffer it; 0 if there is none."""
        size = self.declared_size(ahead)
        if size is None or not self.starts_frame(ahead) or not self.has(ahead + size):
            return 0
        crc_at = ahead + size - CRC_BYTES
        stored = CRC.unpack_from(self.buffer, self.pos + crc_at)[0]
        return size if self.crc(ahead, crc_at) == stored else 0

    def crc(self, ahead: int, end: int, before: int = 0) -> int:
        """Return the CRC-32 of the buffered bytes between two distances, as a continuation of `before`."""
        start, size = self.pos + ahead, end - ahead
        # Junk may contain the start of a frame of a megabyte every six bytes. Once plain CRCs have covered
        # the buffer twice, an index makes the cost independent of the sizes of the ranges.
        if self._ranges is None:
            self._crc_bytes += size
            if self._crc_bytes <= 2 * len(self.buffer):
                return crc32(memoryview(self.buffer)[start : start + size], before)
            self._ranges = RangeCrc(self.buffer)
        return combine_crc(before, self._ranges.of(start, start + size), size)

    def starts_aggregate(self, ahead: int = 0) -> bool:
        return self.has(ahead + len(MAGIC)) and self.buffer.startswith(MAGIC, self.pos + ahead)

    def blanks(self, ahead: int = 0) -> int:
        """Return the number of blanks and line ends there, at most _MAX_SEPARATORS."""
        # Most calls end at the first byte, so more of the stream is buffered only if that is a blank.
        if not self.has(ahead + 1) or not _SEPARATORS.match(self.buffer, self.pos + ahead):
            return 0
        self.has(ahead + _MAX_SEPARATORS)
        run = _SEPARATORS.match(self.buffer, self.pos + ahead)
        return run.end() - run.start() if run else 0

    def separators(self, ahead: int = 0) -> int:
        """Return the number of blanks and line ends there if a boundary follows them, else 0."""
        size = self.blanks(ahead)
        return size if self._starts_unit(ahead + size) else 0

    def at_boundary(self, ahead: int) -> bool:
        """Return whether a frame, an aggregate or the end of the stream is there, maybe behind separators."""
        return self._starts_unit(ahead + self.separators(ahead))

    def _starts_unit(self, ahead: int) -> bool:
        if not self.has(ahead + 1):
            return self.left == ahead
        return self.starts_frame(ahead) or self.starts_aggregate(ahead)

    def payload_range(self, ahead: int = 0) -> tuple[int, int] | None:
        """Return the distances of the start and end of the payload of a user record there, or None.

        The stream may end before the payload does.
        """
        self.has(ahead + MAX_HEADER_BYTES)
        record = read_record(self.buffer, self.pos + ahead)
        if record is None or record.end - record.start > MAX_AGGREGATE_BYTES:
            return None
        return record.start - self.pos, record.end - self.pos

    def has_good_record(self, ahead: int = 0) -> bool:
        """Return whether a user record with an undamaged frame is there, and buffer it."""
        payload = self.payload_range(ahead)
        if payload is None or not self.has(payload[1]):
            return False
        start, end = payload
        return self.frame_size(start) == end - start

    def key_end(self, ahead: int) -> int | None:
        """Return the distance of the end of the partition key or hash key there, and buffer it, or None."""
        self.has(ahead + MAX_KEY_BYTES)
        end = skip_key(self.buffer, self.pos + ahead)
        if end is None or not ahead < end - self.pos <= min(self.left, MAX_AGGREGATE_BYTES):
            return None
        return end - self.pos
