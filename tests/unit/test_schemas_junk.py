"""Junk in the log costs work that grows with its size alone; counted, not timed."""

import random
from collections.abc import Iterator
from unittest.mock import patch
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_streams import frame_of

from schemas.event import HEADER
from schemas.log import window
from schemas.log.crc import RangeCrc, combine_crc
from schemas.log.frames import Damage, read_frames
from schemas.log.inflate import inflate

LARGE = (983_040).to_bytes(4)
"""What a length field says."""
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
STORED = b"\x00\xff\xff\x00\x00"
"""A block of DEFLATE that takes the next 65,535 bytes as they are."""


@given(st.binary(max_size=5_000), st.data())
def test_the_crc_of_a_range_is_zlibs(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    assert RangeCrc(content).of(start, end) == crc32(content[start:end])
    whole = combine_crc(crc32(content[:start]), crc32(content[start:]), len(content) - start)
    assert whole == crc32(content)


def test_the_crc_of_a_large_range_is_zlibs() -> None:
    content = random.Random(1).randbytes(2_100_000)
    ranges = RangeCrc(content)
    for start, end in ((0, 2_100_000), (1, 1_048_577), (1_023, 1_024), (1_024, 2_097_151)):
        assert ranges.of(start, end) == crc32(content[start:end])


@pytest.mark.parametrize("unit", [LARGE + HEADER[:2], LARGE + HEADER, LARGE + HEADER + bytes(30)])
def test_false_frames_of_a_megabyte_each_are_not_gone_over_one_by_one(unit: bytes) -> None:
    gone_over = 0

    def counted(content: bytes, before: int = 0) -> int:
        nonlocal gone_over
        gone_over += len(content)
        return crc32(content, before)

    junk = unit * (200_000 // len(unit))
    frame = frame_of(1)
    with patch.object(window, "crc32", counted):
        found = list(read_frames([junk, bytes(1_000_000), frame], "x"))
    assert found == [Damage("x", 0, len(junk) + 1_000_000, "not a frame"), frame]
    assert gone_over < 100 * len(junk)  # it was twenty thousand times as much


def pieces(content: bytes) -> Iterator[bytes]:
    return (content[at : at + 8_192] for at in range(0, len(content), 8_192))


@pytest.mark.parametrize("unit", [GZIP_HEAD + STORED, GZIP_HEAD + STORED + b"abc" * 20])
def test_members_within_members_are_not_inflated_without_end(unit: bytes) -> None:
    junk = unit * (400_000 // len(unit))
    given = sum(len(piece) for piece in inflate(pieces(junk)) if isinstance(piece, bytes))
    assert given < 16 * len(junk)


def test_the_reason_of_much_damage_is_short() -> None:
    (found,) = read_frames([GZIP_HEAD * 2_000], "x")
    assert isinstance(found, Damage)
    assert len(found.reason) < 400
