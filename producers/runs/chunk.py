"""A chunk of a run: finished frames, the place at which the segment goes on, and totals up to here. Pure.

Its object is one line of JSON, followed by the frames.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from schemas.errors import LogIntegrityError
from schemas.letters.letter import DeadLetter
from schemas.log.frames import check_frame

Place: TypeAlias = Any
"""Where a segment goes on: a value of JSON whose meaning only its source knows. None: at its end."""


class Page(NamedTuple):
    """A part of a segment as its source has just read it."""

    rows: int
    """Rows that were read, including those that no entity claims."""
    frames: Sequence[bytes]
    published: Mapping[str, int]
    """Events by `totals_key`."""
    letters: Sequence[DeadLetter]
    position: str | None
    """The lowest position of the events; None if there are none."""
    read_at: int
    """Microseconds since 1970."""
    place: Place


class Totals(NamedTuple):
    """Sums over a segment from its start, or over several segments."""

    rows: int = 0
    published: Mapping[str, int] = {}
    rejected: Mapping[str, int] = {}
    """Dead letters by `totals_key`; one of no entity has the key "" (`rejected_key`)."""
    position: str | None = None
    read_at: int = 0

    def with_page(self, page: Page) -> Totals:
        rejected = Counter(rejected_key(letter) for letter in page.letters)
        return self.plus(Totals(page.rows, page.published, rejected, page.position, page.read_at))

    def plus(self, other: Totals) -> Totals:
        positions = [position for position in (self.position, other.position) if position]
        return Totals(
            self.rows + other.rows,
            Counter(self.published) + Counter(other.published),
            Counter(self.rejected) + Counter(other.rejected),
            min(positions, default=None),
            max(self.read_at, other.read_at),
        )


class Chunk(NamedTuple):
    """A stored chunk; `number` counts from 1 within its segment."""

    number: int
    place: Place
    totals: Totals
    frames: Sequence[bytes]


def totals_key(entity: str, source: str) -> str:
    """Return the key in totals of the rows of an entity from one source. Names have no blanks."""
    return f"{entity} {source}"


def rejected_key(letter: DeadLetter) -> str:
    return totals_key(letter.entity, letter.source or "") if letter.entity else ""


def sum_totals(chunks: Iterable[Chunk | None]) -> Totals:
    """Return the sums over the last chunks of segments."""
    totals = Totals()
    for chunk in chunks:
        totals = totals.plus(chunk.totals) if chunk else totals
    return totals


def encode_chunk(chunk: Chunk) -> bytes:
    head = {"number": chunk.number, "place": chunk.place, "totals": chunk.totals._asdict()}
    line = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    return b"".join((line, b"\n", *chunk.frames))


def decode_chunk(body: bytes) -> Chunk:
    """Return the chunk in an object. Raises LogIntegrityError if it is damaged."""
    line, _, rest = body.partition(b"\n")
    try:
        head = json.loads(line)
        return Chunk(head["number"], head["place"], Totals(**head["totals"]), list(_frames(rest)))
    except (ValueError, LookupError, TypeError):
        raise LogIntegrityError("a chunk of a run is damaged: start the run again with --restart") from None


def _frames(content: bytes) -> Iterable[bytes]:
    start = 0
    while start < len(content):
        end = start + 4 + int.from_bytes(content[start : start + 4])
        frame = content[start:end]
        if check_frame(frame) is not None:
            raise ValueError
        yield frame
        start = end
