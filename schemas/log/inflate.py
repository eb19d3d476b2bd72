"""GZIP or not, a stream of bytes as it was before: member after member, and on to the next one after damage.

GZIP: RFC 1952. Members may stand one after the other.
"""

import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Final

_PIECE: Final = 1 << 16
"""Compressed bytes taken, and inflated bytes given, at a time."""
_PIECES_KEPT: Final = 16
"""Damage may be noticed late, even behind the next member's header: so far back it is sought."""

_STEPS: Final = 4096, 64
"""Bytes that are tried at a time, before one by one, to find the last one before damage."""
_REREAD: Final = 8
"""So many times the bytes of the stream may be inflated again in search of the next member, at most."""

_MAGIC: Final = b"\x1f\x8b\x08"
_HEADER: Final = re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04].", re.DOTALL)
_HEADER_BYTES: Final = 10


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes | str]:
    """The bytes of a stream, decompressed if it is GZIP. A str says that bytes are missing there, and why."""
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= len(_MAGIC):
            break
    whole = chain([head], rest)
    return _members(whole) if _is_gzip(head) else (chunk for chunk in whole if chunk)


def _is_gzip(head: bytes) -> bool:
    """By two of three magic bytes: one may be damaged, and nothing else in the log begins like that."""
    return sum(found == magic for found, magic in zip(head, _MAGIC, strict=False)) >= 2


def _members(chunks: Iterable[bytes]) -> Iterator[bytes | str]:
    members = _Members()
    for piece in _pieces(chunks):
        yield from members.take(piece)
    yield from members.close()


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one size, so that neither memory nor salvage depends on the chunks."""
    held = b""
    for chunk in chunks:
        held += chunk
        whole = len(held) - len(held) % _PIECE
        for start in range(0, whole, _PIECE):
            yield held[start : start + _PIECE]
        held = held[whole:]
    yield held


class _Members:
    """Decompresses a stream of GZIP members. Of a damaged one it gives what comes before the damage.

    What comes before the first member that inflates to anything passes as it is: the stream may only look
    like GZIP.
    """

    def __init__(self) -> None:
        self._held = b""  # compressed bytes not used yet
        self._at = 0  # offset of the first of them
        self._member: zlib._Decompress | None = None
        self._used: deque[bytes] = deque(maxlen=_PIECES_KEPT)  # of this member
        self._spare = _PIECE * _PIECES_KEPT  # bytes that may be inflated again
        self._sought_from = 0  # no member begins before this offset
        self._is_gzip = False  # for sure
        self._loss = ""

    def take(self, piece: bytes) -> Iterator[bytes | str]:
        self._held += piece
        self._spare += _REREAD * len(piece)
        while self._held:
            if self._member is None:
                found = _HEADER.search(self._held, max(0, self._sought_from - self._at))
                yield from self._skip(found.start() if found else len(self._held) - _HEADER_BYTES + 1)
                if found is None:
                    return
                yield from self._losses()
                self._member, self._sought_from = zlib.decompressobj(wbits=31), self._at + 1
            yield from self._inflate(self._member)

    def close(self) -> Iterator[bytes | str]:
        while self._member is not None:
            self._fail("cut short", self._at)
            yield from self.take(b"")
        yield from self._skip(len(self._held))
        yield from self._losses()

    def _skip(self, count: int) -> Iterator[bytes]:
        """Leave out so many bytes that are of no member."""
        if count <= 0:
            return
        if not self._is_gzip:
            yield self._held[:count]
        elif not self._loss and self._held[:count].strip():  # blanks and line ends are no loss
            self._loss = f"not GZIP at compressed byte {self._at}"
        self._drop(count)

    def _drop(self, count: int) -> None:
        self._held = self._held[count:]
        self._at += count

    def _losses(self) -> Iterator[str]:
        if self._loss:
            yield self._loss
        self._loss = ""

    def _inflate(self, member: "zlib._Decompress") -> Iterator[bytes]:
        """What the held bytes inflate to, up to the member's end."""
        more = True
        while more:
            before = member.copy()
            try:
                out = member.decompress(self._held, _PIECE)
            except zlib.error:
                if saved := self._salvage(before):
                    yield saved
                return
            self._use(len(self._held) - len(member.unused_data or member.unconsumed_tail))
            if out:
                self._is_gzip = True
                yield out
            more = not member.eof and (bool(self._held) or len(out) == _PIECE)
        if member.eof:
            self._leave()

    def _use(self, count: int) -> None:
        self._used.append(self._held[:count])
        self._drop(count)

    def _leave(self) -> None:
        self._member = None
        self._used.clear()

    def _salvage(self, member: "zlib._Decompress") -> bytes:
        """What the held bytes inflate to before the damage: zlib keeps it to itself, if told all at once."""
        saved, start = bytearray(), 0
        for step in _STEPS:
            with suppress(zlib.error):
                while start < len(self._held):
                    before = member.copy()
                    saved += member.decompress(self._held[start : start + step])
                    start += step
            member = before
        at = start
        with suppress(zlib.error):  # it comes again, and ends the steps of one byte
            for at in range(start, len(self._held)):
                rest = self._held[at : at + 1]
                while out := member.decompress(rest, 1):
                    saved += out
                    rest = member.unconsumed_tail
        self._is_gzip |= bool(saved)
        self._fail("damaged", self._at + at)
        return bytes(saved)

    def _fail(self, how: str, at: int) -> None:
        """Leave the member and go back, to seek the next one behind this one's beginning.

        Junk may be members within members without end: once too much was inflated again, the search goes on
        from the damage.
        """
        self._loss = f"GZIP {how} at compressed byte {at}"
        again = at - self._sought_from
        if again <= self._spare:
            self._spare -= max(0, again)
            self._at -= sum(map(len, self._used))
            self._held = b"".join([*self._used, self._held])
        else:
            self._sought_from = at
        self._leave()
