"""Decompression of a stream that is GZIP or not, and recovery after damage.

A GZIP stream may have many members (RFC 1952). After damage, reading continues with the next member.
"""

import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Final

_PIECE: Final = 1 << 16
"""Compressed bytes consumed, and most inflated bytes returned, at a time."""
_PIECES_KEPT: Final = 16
"""Pieces of a member that are kept, to search them for the next member after damage.

zlib may notice damage late, even after it has consumed the header of the next member.
"""

_STEPS: Final = 4096, 64
"""Step sizes in bytes of the search for the last undamaged byte, before it goes byte by byte."""
_REREAD: Final = 8
"""Limit of repeated work: each byte of the stream pays for inflating this many bytes again."""

_MAGIC: Final = b"\x1f\x8b\x08"
_HEADER: Final = re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04].", re.DOTALL)
_HEADER_BYTES: Final = 10


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes | str]:
    """Yield the bytes of a stream, decompressed if it is GZIP.

    A str marks a gap where bytes were lost, and is the reason.
    """
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= len(_MAGIC):
            break
    whole = chain([head], rest)
    return _members(whole) if _is_gzip(head) else (chunk for chunk in whole if chunk)


def _is_gzip(head: bytes) -> bool:
    """Return whether two of the three magic bytes match.

    One may be damaged, and neither a frame nor an aggregate matches two.
    """
    return sum(byte == magic for byte, magic in zip(head, _MAGIC, strict=False)) >= 2


def _members(chunks: Iterable[bytes]) -> Iterator[bytes | str]:
    members = _Members()
    for piece in _pieces(chunks):
        yield from members.feed(piece)
    yield from members.close()


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of one size: memory and recovery do not depend on the chunks."""
    pending = b""
    for chunk in chunks:
        pending += chunk
        whole = len(pending) - len(pending) % _PIECE
        for start in range(0, whole, _PIECE):
            yield pending[start : start + _PIECE]
        pending = pending[whole:]
    yield pending


class _Members:
    """Decompresses a stream of GZIP members, and a damaged member up to the damage.

    Bytes before the first member that inflates to anything pass unchanged: the stream may only look like
    GZIP.
    """

    def __init__(self) -> None:
        self._pending = b""  # compressed bytes that are not consumed yet
        self._offset = 0  # of the first pending byte in the stream
        self._member: zlib._Decompress | None = None
        self._consumed: deque[bytes] = deque(maxlen=_PIECES_KEPT)  # the last pieces of this member
        self._reread_left = _PIECE * _PIECES_KEPT  # bytes that may still be inflated again
        self._search_from = 0  # no member begins before this offset
        self._is_gzip = False  # True once a member has inflated to something
        self._loss = ""  # reason of a gap that is not reported yet

    def feed(self, piece: bytes) -> Iterator[bytes | str]:
        self._pending += piece
        self._reread_left += _REREAD * len(piece)
        while self._pending:
            if self._member is None:
                header = _HEADER.search(self._pending, max(0, self._search_from - self._offset))
                # Without a match, the last bytes are kept: they may be the beginning of a header.
                yield from self._skip(header.start() if header else len(self._pending) - _HEADER_BYTES + 1)
                if header is None:
                    return
                yield from self._report_loss()
                # zlib's wbits: 16 for a GZIP header and trailer, 15 for the largest window.
                self._member, self._search_from = zlib.decompressobj(wbits=31), self._offset + 1
            yield from self._inflate(self._member)

    def close(self) -> Iterator[bytes | str]:
        # A member that is cut short may contain the header of another one: the search repeats behind its
        # start.
        while self._member is not None:
            self._fail("cut short", self._offset)
            yield from self.feed(b"")
        yield from self._skip(len(self._pending))
        yield from self._report_loss()

    def _skip(self, count: int) -> Iterator[bytes]:
        """Pass over `count` bytes that belong to no member."""
        if count <= 0:
            return
        if not self._is_gzip:
            yield self._pending[:count]
        elif not self._loss and self._pending[:count].strip():  # blanks and line ends are not a loss
            self._loss = f"not GZIP at compressed byte {self._offset}"
        self._drop(count)

    def _drop(self, count: int) -> None:
        self._pending = self._pending[count:]
        self._offset += count

    def _report_loss(self) -> Iterator[str]:
        if self._loss:
            yield self._loss
        self._loss = ""

    def _inflate(self, member: "zlib._Decompress") -> Iterator[bytes]:
        """Yield what the pending bytes inflate to, up to the end of the member."""
        more = True
        while more:
            # After an error zlib's state is of no use, so the bytes before the damage are recovered from a
            # copy.
            before = member.copy()
            try:
                out = member.decompress(self._pending, _PIECE)
            except zlib.error:
                if salvaged := self._salvage(before):
                    yield salvaged
                return
            self._consume(len(self._pending) - len(member.unused_data or member.unconsumed_tail))
            if out:
                self._is_gzip = True
                yield out
            # A full piece of output may mean that zlib holds more of it, although no input is pending.
            more = not member.eof and (bool(self._pending) or len(out) == _PIECE)
        if member.eof:
            self._leave()

    def _consume(self, count: int) -> None:
        self._consumed.append(self._pending[:count])
        self._drop(count)

    def _leave(self) -> None:
        self._member = None
        self._consumed.clear()

    def _salvage(self, member: "zlib._Decompress") -> bytes:
        """Return what the pending bytes inflate to before the damage.

        zlib discards the output of a call that meets the damage, so the bytes are fed in ever smaller steps.
        """
        salvaged, start = bytearray(), 0
        for step in _STEPS:
            with suppress(zlib.error):
                while start < len(self._pending):
                    before = member.copy()
                    salvaged += member.decompress(self._pending[start : start + step])
                    start += step
            member = before
        at = start
        with suppress(zlib.error):  # the same error again, now at the exact byte
            for at in range(start, len(self._pending)):
                rest = self._pending[at : at + 1]
                while out := member.decompress(rest, 1):
                    salvaged += out
                    rest = member.unconsumed_tail
        self._is_gzip |= bool(salvaged)
        self._fail("damaged", self._offset + at)
        return bytes(salvaged)

    def _fail(self, how: str, at: int) -> None:
        """Leave the member, and go back to its beginning to search for the next one behind it.

        It goes back as far as pieces are kept.
        """
        self._loss = f"GZIP {how} at compressed byte {at}"
        again = at - self._search_from
        # Junk may look like endlessly nested members, which would take quadratic time. Once too many bytes
        # were inflated again, the search continues at the damage instead.
        if again <= self._reread_left:
            self._reread_left -= max(0, again)
            self._offset -= sum(map(len, self._consumed))
            self._pending = b"".join([*self._consumed, self._pending])
        else:
            self._search_from = at
        self._leave()
