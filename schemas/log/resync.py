"""Where good bytes go on after damage.

A payload may hold what looks like frames, so that where a damaged frame ends is found before anything inside
it is looked at. There are three witnesses: the length before it, the lengths in its Avro body, and what
begins behind it. Only where they do not agree, the next good frame is searched byte by byte.

What no reader can tell: a stream that is cut exactly behind a frame in a payload has the same bytes as one in
which that frame was written after a broken one.
"""

from collections.abc import Iterator
from typing import Final
from zlib import crc32

from schemas.event import BODY_START, CRC_BYTES, HEADER, MARKER, MAX_FRAME_BYTES, body_end
from schemas.log.kpl import DIGEST_BYTES, MAGIC, MAX_AGGREGATE_BYTES, MAX_HEADER_BYTES, read_record, skip_key
from schemas.log.window import CRC, START, Window

_MIN_HEADER_BYTES: Final = 6  # of a user record: three tags, three numbers


def damaged_frame_size(window: Window, ahead: int, told: int | None) -> int | None:
    """Bytes of the damaged frame there, as far as the stream goes; None if no two witnesses agree.

    `told` is what the length says that stands before it, if that can be one.
    """
    window.has(ahead + MAX_FRAME_BYTES + START.size)
    walked, left = _walked_size(window, ahead), window.left - ahead
    if walked and walked <= left and _is_but_for_its_length(window, ahead, walked):
        return walked
    agreed = told and walked and (told == walked or min(told, walked) > left)
    for size in (told, walked):
        if size and (agreed or _goes_on(window, ahead + size)) and _can_be_one_frame(window, ahead, size):
            return min(size, left)
    return None


def _walked_size(window: Window, ahead: int) -> int | None:
    """By the lengths in the Avro body; more than is left if the stream ends within it."""
    buffer, start = window.buffer, window.pos + ahead
    if not buffer.startswith(HEADER, start + 4):
        return None
    end = body_end(buffer, start + BODY_START)
    return None if end is None else end + CRC_BYTES - start


def _is_but_for_its_length(window: Window, ahead: int, size: int) -> bool:
    """Whether the CRC-32 matches once the length field says this size: only the field is damaged."""
    crc_at = ahead + size - CRC_BYTES
    crc = window.crc(ahead + 4, crc_at, crc32((size - 4).to_bytes(4)))
    return bool(crc == CRC.unpack_from(window.buffer, window.pos + crc_at)[0])


def _goes_on(window: Window, ahead: int) -> bool:
    """Whether what may follow a frame begins there: in an aggregate a user record, or its MD5."""
    return window.boundary(ahead) or window.record(ahead) is not None or window.boundary(ahead + DIGEST_BYTES)


def _can_be_one_frame(window: Window, ahead: int, size: int) -> bool:
    """Whether so many bytes, or what the stream has of them, can be one damaged frame.

    They can't if a good frame within goes up to their end, or to a user record's header that does: behind one
    in a payload comes the payload's own CRC-32. Of a frame cut short we have less; there, good frames up to
    the stream's end, or to an MD5, are its neighbours.
    """
    end = ahead + size
    ends = _ends_of_good_frames(window, ahead + 1, end)
    if window.has(end):
        return all(each < end and (window.record(each) or (0,))[0] != end for each in ends)
    return not any(each in (window.left, window.left - DIGEST_BYTES) for each in ends)


def _ends_of_good_frames(window: Window, start: int, end: int) -> Iterator[int]:
    """Of those that begin in this range ahead, each sought behind the one before it."""
    ahead = start
    while (at := window.buffer.find(MARKER, window.pos + ahead + 4, window.pos + end + 5)) >= 0:
        ahead = at - 4 - window.pos
        size = window.frame_size(ahead)
        ahead += size or 1
        if size:
            yield ahead


def seek_next_unit(window: Window) -> None:
    """Move to the next bare frame, user record or aggregate that holds a good frame, else to the end."""
    marker = _next_marker(window, 0)
    while marker is not None:
        if size := window.frame_size(marker):
            window.pos = _unit_start(window, window.pos + marker, size)
            return
        marker = _next_marker(window, marker + 1)
    window.pos = len(window.buffer)


def _next_marker(window: Window, ahead: int) -> int | None:
    """The distance of the next place that has a frame's marker where a frame would have it."""
    while True:
        at = window.buffer.find(MARKER, window.pos + ahead + 4)
        if at >= 0:
            return at - 4 - window.pos
        ahead = max(ahead, window.left - START.size + 1)
        if ahead > MAX_AGGREGATE_BYTES:  # as far back as an aggregate's magic may lie
            window.pos += ahead - MAX_AGGREGATE_BYTES
            ahead = MAX_AGGREGATE_BYTES
        if not window.has(window.left + 1):
            return None


def _unit_start(window: Window, frame: int, size: int) -> int:
    """Where the unit that holds the frame starts: its aggregate, its user record, or the frame itself."""
    record = _record_start(window, frame, frame + size)
    if record is None:
        return frame
    magic = window.buffer.rfind(MAGIC, window.pos + 1, record)
    return magic if magic >= 0 and _only_keys_between(window.buffer, magic + len(MAGIC), record) else record


def _record_start(window: Window, start: int, end: int) -> int | None:
    for at in range(start - _MIN_HEADER_BYTES, start - MAX_HEADER_BYTES - 1, -1):
        if at < window.pos:
            break
        record = read_record(window.buffer, at)
        if record and (record.start, record.end) == (start, end):
            return at
    return None


def _only_keys_between(buffer: bytes, at: int, end: int) -> bool:
    found: int | None = at
    while found is not None and found < end:
        found = skip_key(buffer, found)
    return found == end
