"""The search for the next undamaged bytes after damage.

A payload may contain bytes that look like frames, so the end of a damaged frame is determined before anything
inside it is examined. Three sources give that end: the length field before it, the lengths in its Avro body,
and the bytes behind it. Only if they disagree is the next undamaged frame searched byte by byte.

One case is undecidable: a stream that is cut exactly behind a frame inside a payload has the same bytes as
one in which that frame was written after a damaged one.
"""

from collections.abc import Iterator
from typing import Final
from zlib import crc32

from schemas.event import BODY_START, CRC_BYTES, HEADER, MARKER, MAX_FRAME_BYTES, body_end
from schemas.log.kpl import DIGEST_BYTES, MAGIC, MAX_AGGREGATE_BYTES, MAX_HEADER_BYTES, read_record, skip_key
from schemas.log.window import CRC, START, Window

_MIN_HEADER_BYTES: Final = 6  # of a user record: three tags, three numbers


def damaged_frame_size(window: Window, ahead: int, declared: int | None) -> int | None:
    """Return the size of the damaged frame there, up to the end of the stream, or None if it is uncertain.

    `declared` is the size according to the length before the frame, or None if that length is invalid.
    """
    window.has(ahead + MAX_FRAME_BYTES + START.size)
    walked, left = _walked_size(window, ahead), window.left - ahead
    if walked and walked <= left and _only_length_damaged(window, ahead, walked):
        return walked
    # Two sizes that both exceed the stream agree on the same range.
    agreed = declared and walked and (declared == walked or min(declared, walked) > left)
    for size in (declared, walked):
        if size and (agreed or _continues(window, ahead + size)) and _can_be_one_frame(window, ahead, size):
            return min(size, left)
    return None


def _walked_size(window: Window, ahead: int) -> int | None:
    """Return the size of a frame by the lengths in its Avro body.

    More than the stream has left if the stream ends within the body.
    """
    buffer, start = window.buffer, window.pos + ahead
    if not buffer.startswith(HEADER, start + 4):
        return None
    end = body_end(buffer, start + BODY_START)
    return None if end is None else end + CRC_BYTES - start


def _only_length_damaged(window: Window, ahead: int, size: int) -> bool:
    """Return whether the CRC-32 matches if the length field is replaced by this size."""
    crc_at = ahead + size - CRC_BYTES
    crc = window.crc(ahead + 4, crc_at, crc32((size - 4).to_bytes(4)))
    return bool(crc == CRC.unpack_from(window.buffer, window.pos + crc_at)[0])


def _continues(window: Window, ahead: int) -> bool:
    """Return whether something that may follow a frame begins there."""
    # Within an aggregate a user record follows, or the MD5 and then the next unit.
    return (
        window.at_boundary(ahead)
        or window.payload_range(ahead) is not None
        or window.at_boundary(ahead + DIGEST_BYTES)
    )


def _can_be_one_frame(window: Window, ahead: int, size: int) -> bool:
    """Return whether `size` bytes, or as many as the stream has, can be one damaged frame."""
    end = ahead + size
    ends = _ends_of_good_frames(window, ahead + 1, end)
    # A frame inside a payload is followed by the CRC-32 of the outer frame. So if an undamaged frame reaches
    # to the end, or to the header of a user record that does, these bytes are several frames.
    if window.has(end):
        return all(inner < end and (window.payload_range(inner) or (0,))[0] != end for inner in ends)
    # If the stream ends first, undamaged frames up to its end, or up to an MD5 there, are neighbours.
    return not any(inner in (window.left, window.left - DIGEST_BYTES) for inner in ends)


def _ends_of_good_frames(window: Window, start: int, end: int) -> Iterator[int]:
    """Yield the ends of the undamaged frames, not nested, that begin within [start, end)."""
    ahead = start
    while (at := window.buffer.find(MARKER, window.pos + ahead + 4, window.pos + end + 5)) >= 0:
        ahead = at - 4 - window.pos
        size = window.frame_size(ahead)
        ahead += size or 1
        if size:
            yield ahead


def seek_next_unit(window: Window) -> None:
    """Move to the next frame, user record or aggregate that has an undamaged frame, else to the end."""
    marker = _next_marker(window, 0)
    while marker is not None:
        if size := window.frame_size(marker):
            window.pos = _unit_start(window, window.pos + marker, size)
            return
        marker = _next_marker(window, marker + 1)
    window.pos = len(window.buffer)


def _next_marker(window: Window, ahead: int) -> int | None:
    """Return the distance at which a frame would begin whose marker is the next one in the stream."""
    while True:
        at = window.buffer.find(MARKER, window.pos + ahead + 4)
        if at >= 0:
            return at - 4 - window.pos
        # A marker may be split between the buffered bytes and those to come.
        ahead = max(ahead, window.left - START.size + 1)
        # The frame that is found may be in an aggregate: its magic is at most so far back. Bytes before that
        # are released, so that memory stays bounded.
        if ahead > MAX_AGGREGATE_BYTES:
            window.pos += ahead - MAX_AGGREGATE_BYTES
            ahead = MAX_AGGREGATE_BYTES
        if not window.has(window.left + 1):
            return None


def _unit_start(window: Window, frame: int, size: int) -> int:
    """Return the start of the aggregate or user record that contains the frame, or of the bare frame."""
    record = _record_start(window, frame, frame + size)
    if record is None:
        return frame
    magic = window.buffer.rfind(MAGIC, window.pos + 1, record)
    return magic if magic >= 0 and _only_keys_between(window.buffer, magic + len(MAGIC), record) else record


def _record_start(window: Window, start: int, end: int) -> int | None:
    # A header has a variable length and is read forwards only, so every possible start is tried.
    for at in range(start - _MIN_HEADER_BYTES, start - MAX_HEADER_BYTES - 1, -1):
        if at < window.pos:
            break
        record = read_record(window.buffer, at)
        if record and (record.start, record.end) == (start, end):
            return at
    return None


def _only_keys_between(buffer: bytes, start: int, end: int) -> bool:
    at: int | None = start
    while at is not None and at < end:
        at = skip_key(buffer, at)
    return at == end
