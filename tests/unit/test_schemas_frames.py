"""The log's reader in single cases: what is damage, which range, which reason; memory; GZIP."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from log_streams import aggregate_of, aggregated, bare, frame_of, read, spans, stream

from schemas.event import HEADER, MAX_FRAME_BYTES
from schemas.log.frames import Damage, check_frame, read_frames
from schemas.log.inflate import inflate
from schemas.log.kpl import MAGIC

FRAMES = [frame_of(number, b"payload of some length" * number) for number in range(6)]
LAST = len(b"".join(FRAMES[:-1]))


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes((content[at] ^ 0x40,)) + content[at + 1 :]


def sealed_again(frame: bytes) -> bytes:
    return frame[:-4] + zlib.crc32(frame[:-4]).to_bytes(4)


def test_a_good_frame_has_no_reason() -> None:
    assert [check_frame(frame) for frame in FRAMES] == [None] * len(FRAMES)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "a frame has 18 to 1,000,000 bytes, this one 0"),
        (bytes(1_000_001), "a frame has 18 to 1,000,000 bytes, this one 1,000,001"),
        (FRAMES[1] + b"\0", "its length field does not match its size"),
        (flipped(FRAMES[1], 5), "it has no frame marker"),
        (flipped(FRAMES[1], 40), "its CRC-32 does not match"),
        (flipped(FRAMES[1], len(FRAMES[1]) - 1), "its CRC-32 does not match"),
    ],
)
def test_a_bad_frame_has_a_reason(frame: bytes, reason: str) -> None:
    assert check_frame(frame) == reason


def test_an_empty_stream_has_no_frames() -> None:
    assert read(b"") == ([], [])


def test_the_largest_frame_is_read_byte_by_byte() -> None:
    largest = frame_of(1, bytes(MAX_FRAME_BYTES - len(frame_of(1)) - 2))
    assert len(largest) == MAX_FRAME_BYTES
    assert read(largest, [1, 100_000]) == ([largest], [])


def test_damage_names_the_object_the_range_and_the_reason() -> None:
    content = flipped(b"".join(FRAMES), LAST + 30)
    assert read(content).damage == [Damage("log/object", LAST, len(content), "a damaged frame")]


def test_neighbouring_damage_is_one_range() -> None:
    units = [bare(frame) for frame in FRAMES]
    second, third = spans(units)[1:3]
    content = flipped(flipped(stream(units), second.start + 20), third.start + 20)
    assert read(content).ranges == [(second.start, third.end)]


def test_damage_comes_where_it_is_among_the_frames() -> None:
    content = FRAMES[0] + b"garbage" + FRAMES[1]
    start = len(FRAMES[0])
    damage = Damage("o", start, start + 7, "not a frame")
    assert list(read_frames([content], "o")) == [FRAMES[0], damage, FRAMES[1]]


def test_zeros_are_no_frames_although_their_checksum_is_zero() -> None:
    assert read(bytes(1_000)) == ([], [Damage("log/object", 0, 1_000, "not a frame")])
    empty = bytes(4) + HEADER[:2]
    assert read(empty * 50).frames == []


def test_a_frame_longer_than_any_is_not_taken_though_its_checksum_matches() -> None:
    body = HEADER + bytes(MAX_FRAME_BYTES)
    assert read(sealed_again((len(body) + 4).to_bytes(4) + body + bytes(4))).frames == []


def test_what_has_another_marker_is_no_frame_though_its_checksum_matches() -> None:
    other = sealed_again(FRAMES[1].replace(HEADER[:2], b"\xc3\x02", 1))
    assert read(other + FRAMES[0]).frames == [FRAMES[0]]


def test_a_frame_of_another_envelope_is_a_frame() -> None:
    other = sealed_again(FRAMES[1].replace(HEADER, HEADER[:2] + b"ANOTHER1"))
    assert read(other + FRAMES[0]) == ([other, FRAMES[0]], [])


@pytest.mark.parametrize("at", range(4))
def test_a_damaged_length_costs_one_frame_whatever_its_payload_holds(at: int) -> None:
    outer = frame_of(9, b"".join(FRAMES) + aggregate_of(FRAMES))
    found = read(flipped(outer, at) + FRAMES[1])
    assert found == ([FRAMES[1]], [Damage("log/object", 0, len(outer), "a damaged frame")])


@pytest.mark.parametrize("at", [1, 20, -1], ids=["length", "body", "checksum"])
def test_two_damaged_neighbours_that_hold_frames_give_none_of_them(at: int) -> None:
    outer = frame_of(9, b"".join(FRAMES))
    content = flipped(outer, at % len(outer)) + flipped(outer, 4) + FRAMES[1]
    assert read(content) == ([FRAMES[1]], [Damage("log/object", 0, 2 * len(outer), "a damaged frame")])


def test_a_damaged_length_that_leads_to_a_later_frame_does_not_swallow_those_between() -> None:
    same = [frame_of(number, bytes(range(40))) for number in range(4)]
    size = len(same[0])
    body_hit = flipped(same[0], 60)
    leading_past = (2 * size - 4).to_bytes(4) + body_hit[4:]
    assert read(leading_past + b"".join(same[1:])).frames == same[1:]


def test_of_an_aggregate_in_a_payload_nothing_is_read() -> None:
    outer = frame_of(9, aggregate_of(FRAMES))
    assert read(outer + outer) == ([outer, outer], [])


def test_a_damaged_record_of_an_aggregate_costs_its_frame_alone() -> None:
    units = [aggregated(*FRAMES)]
    third = spans(units)[2]
    found = read(flipped(stream(units), third.start + 20))
    assert found == (
        FRAMES[:2] + FRAMES[3:],
        [Damage("log/object", third.start, third.end, "a damaged frame")],
    )


@pytest.mark.parametrize("back", [1, 16])
def test_a_damaged_md5_costs_no_frame_and_the_aggregate_is_named(back: int) -> None:
    first = aggregate_of(FRAMES)
    found = read(flipped(first, len(first) - back) + aggregate_of(FRAMES[:1]))
    reason = "an aggregate whose MD5 does not match; its frames are good"
    assert found == (FRAMES + FRAMES[:1], [Damage("log/object", 0, len(first), reason)])


def test_an_aggregate_without_its_md5_costs_no_frame_and_is_named() -> None:
    cut_short = aggregate_of(FRAMES)[:-16]
    for following in (b"", FRAMES[0], aggregate_of(FRAMES[:1])):
        found = read(cut_short + following)
        assert found.frames[: len(FRAMES)] == FRAMES
        assert found.ranges == [(0, len(cut_short))]


@pytest.mark.parametrize("at", range(8))
def test_a_damaged_beginning_of_an_aggregate_costs_no_frame(at: int) -> None:
    content = FRAMES[0] + flipped(aggregate_of(FRAMES), at) + FRAMES[0]
    found = read(content)
    assert found.frames == [FRAMES[0], *FRAMES, FRAMES[0]]
    assert any(start <= len(FRAMES[0]) + at < end for start, end in found.ranges)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("together", [b"".join, aggregate_of])
def test_an_aggregate_that_breaks_off_costs_no_frame_behind_it(
    together: Callable[[list[bytes]], bytes], count: int
) -> None:
    broken_off = aggregate_of([frame_of(8, bytes(50_000))])
    for size in range(1, 60):
        found = read(broken_off[:size] + together(FRAMES[:count]))
        assert found.frames == FRAMES[:count]
        assert found.ranges[-1][1] == size


def test_magic_in_garbage_is_no_aggregate() -> None:
    content = b"??" + MAGIC + b"?" + MAGIC + FRAMES[0]
    assert read(content) == ([FRAMES[0]], [Damage("log/object", 0, 11, "not a frame")])


def test_an_aggregate_behind_garbage_is_read_from_its_magic() -> None:
    aggregate = aggregate_of(FRAMES)
    assert read(b"?" * 100_000 + aggregate).ranges == [(0, 100_000)]


def test_keys_without_end_are_garbage() -> None:
    keys = b"\x0a\x80\x08" + b"k" * 1024
    found = read(MAGIC + keys * 1_100 + FRAMES[0])
    assert found == ([FRAMES[0]], [Damage("log/object", 0, 4 + 1_100 * len(keys), "not a frame")])


def test_errors_of_the_source_pass_through() -> None:
    def chunks() -> Iterator[bytes]:
        yield FRAMES[0][:10]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        list(read_frames(chunks(), "o"))


def peak_of(chunks: Iterator[bytes]) -> int:
    tracemalloc.start()
    for _ in read_frames(chunks, "o"):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


MEBIBYTE = 1 << 20
LARGE = frame_of(1, bytes(range(256)) * 390)  # 100 KB


@pytest.mark.parametrize(
    ("chunk", "limit"),
    [
        (LARGE * 5, 3 * MEBIBYTE),
        (aggregate_of([LARGE] * 10), 5 * MEBIBYTE),
        (b"\xc3\x01" + bytes(500_000), 6 * MEBIBYTE),
        (flipped(LARGE, 3) * 5, 6 * MEBIBYTE),
    ],
    ids=["frames", "aggregates", "garbage", "damaged frames"],
)
def test_memory_does_not_grow_with_the_stream(chunk: bytes, limit: int) -> None:
    assert peak_of(iter([chunk] * 40)) < limit


def test_memory_does_not_grow_with_what_gzip_inflates_to() -> None:
    bomb = gzip.compress(bytes(32 * MEBIBYTE))
    assert len(bomb) < MEBIBYTE // 20
    assert peak_of(iter([bomb])) < 6 * MEBIBYTE


CONTENT = b"".join(FRAMES)


def test_gzip_is_told_by_its_magic() -> None:
    assert b"".join(map(bytes, inflate([gzip.compress(CONTENT)]))) == CONTENT  # type: ignore[arg-type]
    assert list(inflate([CONTENT])) == [CONTENT]


def test_gzip_that_is_cut_short_says_where() -> None:
    zipped = gzip.compress(CONTENT)
    found = read(zipped[:-8])
    assert found.frames == FRAMES
    assert found.damage == [
        Damage(
            "log/object", len(CONTENT), len(CONTENT), f"GZIP cut short at compressed byte {len(zipped) - 8}"
        )
    ]


def test_gzip_with_a_damaged_checksum_gives_its_frames_and_says_where() -> None:
    zipped = gzip.compress(CONTENT)
    found = read(flipped(zipped, len(zipped) - 1))
    assert found.frames == FRAMES
    assert found.damage == [
        Damage("log/object", len(CONTENT), len(CONTENT), f"GZIP damaged at compressed byte {len(zipped) - 1}")
    ]


def test_damaged_gzip_gives_what_comes_before_the_damage_and_the_next_members() -> None:
    noise = frame_of(7, zlib.compress(bytes(range(256)) * 100) * 300)  # does not get smaller
    zipped = gzip.compress(CONTENT + noise)
    found = read(flipped(zipped, len(zipped) // 2) + gzip.compress(CONTENT))
    assert found.frames == FRAMES + FRAMES
    assert "GZIP damaged at compressed byte" in found.damage[0].reason


@pytest.mark.parametrize("at", [0, 1, 2, 3, 8, 9])
def test_a_damaged_gzip_header_costs_its_member_alone(at: int) -> None:
    found = read(flipped(gzip.compress(CONTENT), at) + gzip.compress(FRAMES[1]))
    assert found.frames[-1] == FRAMES[1]
    assert found.damage or found.frames == [*FRAMES, FRAMES[1]]  # a flag or an operating system is not read


def test_a_gzip_member_that_runs_on_into_the_next_one_does_not_cost_it() -> None:
    following = gzip.compress(FRAMES[1])
    told = len(CONTENT) + len(following) + 9  # of a stored block, by a damaged length
    block = b"\x00" + told.to_bytes(2, "little") + (told ^ 0xFFFF).to_bytes(2, "little") + CONTENT
    found = read(gzip.compress(b"")[:10] + block + following)
    assert found.frames == [*FRAMES, FRAMES[1]]
    assert "GZIP cut short" in found.damage[0].reason


def test_what_stands_between_gzip_members_is_named() -> None:
    first = gzip.compress(FRAMES[0])
    found = read(first + b"garbage" + gzip.compress(FRAMES[1]) + b"tail")
    assert found.frames == FRAMES[:2]
    size = len(FRAMES[0])
    assert found.damage[0] == Damage("log/object", size, size, f"not GZIP at compressed byte {len(first)}")
    assert found.damage[1].start == size + len(FRAMES[1])


@pytest.mark.parametrize("garbage", [b"\x1f\x8b", b"\x1f\x8b\x08", b"\x1f\x8b\x08" + bytes(6) + b"\xff"])
def test_garbage_that_looks_like_gzip_costs_no_frame(garbage: bytes) -> None:
    found = read(garbage + CONTENT)
    assert found.frames == FRAMES
    assert found.ranges[0] == (0, len(garbage))
