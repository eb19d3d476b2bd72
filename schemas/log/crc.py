"""CRC-32 of any range of a buffer in constant time, after one pass over the buffer.

For two byte strings, crc(A + B) = shift(crc(A), len(B)) ^ crc(B), where a shift by n bytes is the product
with x^8n modulo the polynomial of CRC-32 (zlib's crc32_combine). Hence crc(B) follows from the CRCs of two
prefixes of the buffer. The search for undamaged frames checks many overlapping ranges of up to a megabyte
each.
"""

from functools import cache
from itertools import accumulate
from typing import Final
from zlib import crc32

# CRC-32 is bit-reflected: the lowest power of x is the highest bit.
_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31
"""The polynomial x^0."""
_X8: Final = 1 << 23
"""The polynomial x^8."""
_STEP: Final = 1024
"""Bytes between two stored prefix CRCs."""
_DIGIT_BITS: Final = 5
"""Bits of a size that one lookup table covers: a size of a megabyte needs 4 of at most 124 tables."""


def combine_crc(first: int, second: int, size: int) -> int:
    """Return the CRC-32 of A + B, given those of A and of B, and the size of B in bytes."""
    exponent = 0
    while size:
        if digit := size & ((1 << _DIGIT_BITS) - 1):
            byte_0, byte_1, byte_2, byte_3 = _shift_tables(digit << exponent)
            # A shift is linear, so the four bytes of the CRC can be shifted separately.
            first = (
                byte_0[first & 255]
                ^ byte_1[first >> 8 & 255]
                ^ byte_2[first >> 16 & 255]
                ^ byte_3[first >> 24]
            )
        size >>= _DIGIT_BITS
        exponent += _DIGIT_BITS
    return first ^ second


class RangeCrc:
    """CRC-32 of the ranges of one buffer of at most some megabytes."""

    def __init__(self, buffer: bytes) -> None:
        self._view = memoryview(buffer)
        pieces = (self._view[at : at + _STEP] for at in range(0, len(buffer), _STEP))
        self._prefixes = list(accumulate(pieces, lambda crc, piece: crc32(piece, crc), initial=0))

    def of(self, start: int, end: int) -> int:
        """Return the CRC-32 of the bytes [start, end)."""
        return combine_crc(self._prefix(start), 0, end - start) ^ self._prefix(end)

    def _prefix(self, end: int) -> int:
        index = end // _STEP
        return crc32(self._view[index * _STEP : end], self._prefixes[index])


def _multiply(factor: int, polynomial: int) -> int:
    """Return the product of two polynomials over GF(2), modulo that of CRC-32."""
    product = 0
    while factor:
        if factor & _ONE:
            product ^= polynomial
        factor = (factor << 1) & 0xFFFFFFFF
        polynomial = (polynomial >> 1) ^ (_POLYNOMIAL if polynomial & 1 else 0)
    return product


@cache
def _power(exponent: int) -> int:
    """Return x^(8 * exponent), by repeated squaring."""
    if exponent == 0:
        return _ONE
    root = _power(exponent // 2)
    square = _multiply(root, root)
    return _multiply(square, _X8) if exponent % 2 else square


@cache
def _shift_tables(size: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return tables that shift a CRC by `size` bytes, one for each byte of the CRC, the lowest first."""
    byte_0, byte_1, byte_2, byte_3 = (_multiples(_power(size), 8 * byte) for byte in range(4))
    return byte_0, byte_1, byte_2, byte_3


def _multiples(factor: int, lowest_bit: int) -> list[int]:
    """Return the products of `factor` with every byte, placed at `lowest_bit` of a CRC."""
    products = [0]
    for bit in range(8):
        product = _multiply(factor, 1 << (bit + lowest_bit))
        products += [lower ^ product for lower in products]
    return products
