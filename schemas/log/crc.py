"""CRC-32 of any range of a buffer in constant time, after one pass over the buffer.

Of two pieces of data, crc(A + B) = shift(crc(A), len(B)) ^ crc(B), where a shift by n bytes is the product
with x^8n modulo CRC-32's polynomial (zlib's crc32_combine). Hence crc(B) follows from the CRCs of what begins
at the buffer's start. A search tries many ranges that overlap, each up to a megabyte long.
"""

from functools import cache
from itertools import accumulate
from typing import Final
from zlib import crc32

_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31
"""x^0: the bits are reflected."""
_X8: Final = 1 << 23
_STEP: Final = 1024
"""Bytes between two kept CRCs."""
_DIGIT_BITS: Final = 5
"""A size is taken digit by digit, each with a table of its own: few tables, few steps."""


def combine_crc(first: int, second: int, size: int) -> int:
    """The CRC-32 of A + B from theirs; B has `size` bytes."""
    place = 0
    while size:
        if digit := size & ((1 << _DIGIT_BITS) - 1):
            one, two, three, four = _shift(digit << place)
            first = one[first & 255] ^ two[first >> 8 & 255] ^ three[first >> 16 & 255] ^ four[first >> 24]
        size >>= _DIGIT_BITS
        place += _DIGIT_BITS
    return first ^ second


class RangeCrc:
    """CRC-32 of the ranges of one buffer of at most some megabytes."""

    def __init__(self, buffer: bytes) -> None:
        self._view = memoryview(buffer)
        pieces = (self._view[at : at + _STEP] for at in range(0, len(buffer), _STEP))
        self._kept = list(accumulate(pieces, lambda crc, piece: crc32(piece, crc), initial=0))

    def of(self, start: int, end: int) -> int:
        """Of the bytes [start, end)."""
        return combine_crc(self._until(start), 0, end - start) ^ self._until(end)

    def _until(self, at: int) -> int:
        kept = at // _STEP
        return crc32(self._view[kept * _STEP : at], self._kept[kept])


def _product(one: int, other: int) -> int:
    """Of two polynomials, modulo CRC-32's."""
    result = 0
    while one:
        if one & _ONE:
            result ^= other
        one = (one << 1) & 0xFFFFFFFF
        other = (other >> 1) ^ (_POLYNOMIAL if other & 1 else 0)
    return result


@cache
def _power(exponent: int) -> int:
    """x^8e, for e as digits and places make it."""
    if exponent == 0:
        return _ONE
    half = _power(exponent // 2)
    square = _product(half, half)
    return _product(square, _X8) if exponent % 2 else square


@cache
def _shift(size: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """The shift by so many bytes, of each byte of a CRC, the lowest first."""
    one, two, three, four = (_multiples(_power(size), 8 * byte) for byte in range(4))
    return one, two, three, four


def _multiples(factor: int, place: int) -> list[int]:
    """The products of the factor with every byte at this place."""
    found = [0]
    for bit in range(8):
        of_bit = _product(factor, 1 << (bit + place))
        found += [each ^ of_bit for each in found]
    return found
