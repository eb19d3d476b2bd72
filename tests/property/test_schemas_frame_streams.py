"""The log's reader over any stream, any chunking and any damage.

Payloads hold what looks like frames, aggregates and their beginnings, wherever a test does not say otherwise.
"""

import gzip
from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st
from log_streams import Span, Unit, aggregate_of, aggregated, bare, frame_of, read, spans, stream

from schemas.event import HEADER
from schemas.log.frames import check_frame
from schemas.log.kpl import DIGEST_BYTES, MAGIC

NUMBERS = st.integers(0, 9_999)
METADATA = st.sampled_from([None, {"row": "7"}])
PLAIN = st.builds(frame_of, NUMBERS, st.binary(max_size=300), METADATA)


def looks_like_log(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    parts = (
        inner
        | st.lists(inner, min_size=1, max_size=3).map(aggregate_of)
        | st.sampled_from([MAGIC, HEADER, b"\xc3\x01", b"\x1f\x8b\x08\x00", bytes(40)])
        | st.binary(max_size=20)
    )
    return st.builds(frame_of, NUMBERS, st.lists(parts, max_size=3).map(b"".join), METADATA)


FRAMES = PLAIN | looks_like_log(PLAIN | looks_like_log(PLAIN))
CHUNKS = st.lists(st.integers(1, 700), min_size=1, max_size=4)


def units_of(frames: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[Unit]]:
    aggregates = st.lists(frames, min_size=1, max_size=4).map(lambda made: aggregated(*made))
    return st.lists(frames.map(bare) | aggregates, min_size=1, max_size=5)


UNITS = units_of(FRAMES)
PLAIN_UNITS = units_of(PLAIN)


def frames_of(found: Sequence[Span]) -> list[bytes]:
    return [span.frame for span in found]


def is_named(ranges: Sequence[tuple[int, int]], at: int) -> bool:
    return any(start <= at < end for start, end in ranges)


@given(UNITS, CHUNKS)
def test_every_frame_is_found_whatever_the_chunks(units: list[Unit], chunks: list[int]) -> None:
    assert read(stream(units), chunks) == (frames_of(spans(units)), [])


@given(UNITS, CHUNKS, st.data())
def test_every_frame_is_found_in_gzip_of_any_members(
    units: list[Unit], chunks: list[int], data: st.DataObject
) -> None:
    content = stream(units)
    middle = data.draw(st.integers(0, len(content)))
    zipped = gzip.compress(content[:middle]) + gzip.compress(content[middle:])
    assert read(zipped, chunks) == (frames_of(spans(units)), [])


@given(UNITS, CHUNKS, st.data())
def test_after_a_damaged_byte_exactly_the_other_frames_are_found_and_the_byte_is_named(
    units: list[Unit], chunks: list[int], data: st.DataObject
) -> None:
    content = bytearray(stream(units))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    found = read(bytes(content), chunks)
    assert found.frames == [span.frame for span in spans(units) if not span.start <= at < span.end]
    assert is_named(found.ranges, at)


@given(st.lists(FRAMES, min_size=1, max_size=5), CHUNKS, st.data())
def test_the_damage_of_a_bare_frame_is_that_frame_and_no_more(
    frames: list[bytes], chunks: list[int], data: st.DataObject
) -> None:
    units = [bare(frame) for frame in frames]
    content = bytearray(stream(units))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    (hit,) = (span for span in spans(units) if span.start <= at < span.end)
    assert read(bytes(content), chunks).ranges == [(hit.start, hit.end)]


@given(UNITS, CHUNKS, st.data())
def test_of_a_stream_cut_short_the_whole_frames_are_found(
    units: list[Unit], chunks: list[int], data: st.DataObject
) -> None:
    content = stream(units)
    size = data.draw(st.integers(0, len(content)))
    whole = [span for span in spans(units) if span.end <= size]
    assume(not ends_with_an_inner_frame(content[:size], whole))
    found = read(content[:size], chunks)
    assert found.frames == frames_of(whole)
    borders = {len(stream(units[:count])) for count in range(len(units) + 1)}
    assert (found.damage == []) is (size in borders)
    assert size in borders or found.damage[-1].end == size


def ends_with_an_inner_frame(content: bytes, whole: Sequence[Span]) -> bool:
    """Cut exactly behind a frame in a payload, bytes are the same as if that frame had been written."""
    written = {span.end for span in whole}
    ends = {len(content), len(content) - DIGEST_BYTES} - written
    return any(check_frame(content[at:end]) is None for end in ends for at in range(max(end, 0)))


GARBAGE = (
    st.binary(min_size=1, max_size=60).filter(
        lambda made: made[0] not in (0, MAGIC[0]) and bool(made.strip())
    )
    | st.integers(1, 60).map(bytes)
    | st.integers(5, 40).map(lambda size: frame_of(1, bytes(100_000))[:size])  # longer than all that follows
)


@given(UNITS, CHUNKS, GARBAGE, st.data())
def test_garbage_between_frames_is_named_exactly_and_costs_no_frame(
    units: list[Unit], chunks: list[int], garbage: bytes, data: st.DataObject
) -> None:
    before = data.draw(st.integers(0, len(units)))
    start = len(stream(units[:before]))
    found = read(stream([*units[:before], Unit(garbage, ()), *units[before:]]), chunks)
    assert found.frames == frames_of(spans(units))
    assert found.ranges == [(start, start + len(garbage))]


SEPARATORS = st.text(" \t\r\n", max_size=70).map(str.encode) | st.sampled_from([1_000, 60_000]).map(
    lambda size: b"\n" * size
)


@given(UNITS, CHUNKS, st.data())
def test_separators_around_whole_units_are_no_damage(
    units: list[Unit], chunks: list[int], data: st.DataObject
) -> None:
    content = data.draw(SEPARATORS) + b"".join(unit.content + data.draw(SEPARATORS) for unit in units)
    assert read(content, chunks) == (frames_of(spans(units)), [])
    assert read(gzip.compress(content), chunks) == (frames_of(spans(units)), [])


@given(st.lists(FRAMES, min_size=2, max_size=4), CHUNKS, st.data())
def test_between_separators_the_damage_of_a_frame_takes_no_other_frame_with_it(
    frames: list[bytes], chunks: list[int], data: st.DataObject
) -> None:
    hit = data.draw(st.integers(0, len(frames) - 1))
    at = data.draw(st.integers(0, len(frames[hit]) - 1))
    start = sum(len(frame) + 1 for frame in frames[:hit])
    content = bytearray(b"".join(frame + b"\n" for frame in frames))
    content[start + at] ^= data.draw(st.integers(1, 255))
    found = read(bytes(content), chunks)
    assert found.frames == frames[:hit] + frames[hit + 1 :]
    (named,) = found.ranges
    end = start + len(frames[hit])
    assert start - 1 <= named[0] <= start + at < named[1] <= end + 1  # its separators may be named with it


@given(PLAIN_UNITS, CHUNKS, st.data())
def test_of_ranges_overwritten_every_other_frame_is_found_and_what_is_lost_is_named(
    units: list[Unit], chunks: list[int], data: st.DataObject
) -> None:
    content = bytearray(stream(units))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content) - 1))
        size = len(content[start : start + data.draw(st.integers(1, 400))])
        content[start : start + size] = data.draw(
            st.binary(min_size=size, max_size=size) | st.just(bytes(size))
        )
    intact = [span for span in spans(units) if content[span.start : span.end] == span.frame]
    lost = [span for span in spans(units) if span not in intact]
    found = read(bytes(content), chunks)
    assert found.frames == frames_of(intact)
    assert all(any(start < span.end and span.start < end for start, end in found.ranges) for span in lost)


@given(UNITS, CHUNKS, CHUNKS, st.data())
def test_what_is_found_does_not_depend_on_the_chunks(
    units: list[Unit], some: list[int], others: list[int], data: st.DataObject
) -> None:
    content = bytearray(stream(units))
    for _ in range(3):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert read(bytes(content), some) == read(bytes(content), others)


@given(st.lists(PLAIN_UNITS, min_size=1, max_size=3), CHUNKS, st.data())
def test_of_damaged_gzip_the_other_members_are_found_and_nothing_that_was_not_written(
    members: list[list[Unit]], chunks: list[int], data: st.DataObject
) -> None:
    zipped = [gzip.compress(stream(units), mtime=0) for units in members]
    hit = data.draw(st.integers(0, len(zipped) - 1))
    damaged = bytearray(zipped[hit])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found = read(b"".join([*zipped[:hit], bytes(damaged), *zipped[hit + 1 :]]), chunks)
    written = [frames_of(spans(units)) for units in members]
    assert set(found.frames) <= {frame for frames in written for frame in frames}
    assert is_subsequence(
        [frame for frames in written[:hit] + written[hit + 1 :] for frame in frames], found.frames
    )
    assert found.damage or found.frames == [frame for frames in written for frame in frames]


def is_subsequence(some: Sequence[bytes], others: Sequence[bytes]) -> bool:
    rest = iter(others)
    return all(frame in rest for frame in some)


@given(PLAIN_UNITS, CHUNKS, st.data())
def test_of_gzip_cut_short_what_comes_before_is_found(
    units: list[Unit], chunks: list[int], data: st.DataObject
) -> None:
    zipped = gzip.compress(stream(units))
    found = read(zipped[: data.draw(st.integers(2, len(zipped) - 1))], chunks)
    written = frames_of(spans(units))
    assert found.frames == written[: len(found.frames)]
    assert found.damage[-1].end >= len(b"".join(found.frames))
