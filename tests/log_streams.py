"""Streams of the log as tests write them: which frames lie where, and what a reader found."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

from producers.aggregator import Aggregate
from schemas.event import Operation, encode_event, make_event
from schemas.log.frames import Damage, read_frames


def frame_of(number: int, payload: bytes = b"", metadata: dict[str, str] | None = None) -> bytes:
    return encode_event(
        make_event(
            source="csv:school",
            entity="school",
            operation=Operation.UPSERT,
            key=f'["{number}"]',
            position=f"{number:06d}",
            occurred_at=number,
            schema_fingerprint=bytes(8),
            after=payload,
            metadata=metadata,
        )
    )


def aggregate_of(frames: Sequence[bytes]) -> bytes:
    made = Aggregate()
    for number, frame in enumerate(frames):
        assert made.add(f"school/{number % 3}", frame)
    return made.contents()


class Span(NamedTuple):
    """A frame, and where it lies."""

    start: int
    end: int
    frame: bytes


class Unit(NamedTuple):
    """What one record of a transport holds: a bare frame, or an aggregate."""

    content: bytes
    frames: tuple[bytes, ...]


def bare(frame: bytes) -> Unit:
    return Unit(frame, (frame,))


def aggregated(*frames: bytes) -> Unit:
    return Unit(aggregate_of(frames), frames)


def spans(units: Sequence[Unit]) -> list[Span]:
    found, base = [], 0
    for unit in units:
        at = 0
        for frame in unit.frames:
            at = unit.content.index(frame, at)
            found.append(Span(base + at, base + at + len(frame), frame))
            at += len(frame)
        base += len(unit.content)
    return found


def stream(units: Sequence[Unit]) -> bytes:
    return b"".join(unit.content for unit in units)


def cut(content: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """The content in chunks of these sizes, over and over."""
    at = 0
    for size in cycle(sizes):
        if at >= len(content):
            return
        yield content[at : at + size]
        at += size


class Reading(NamedTuple):
    """What a reader gave."""

    frames: list[bytes]
    damage: list[Damage]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return [(each.start, each.end) for each in self.damage]


def read(content: bytes, sizes: Sequence[int] = (1 << 20,)) -> Reading:
    items = list(read_frames(cut(content, sizes), "log/object"))
    return Reading(
        [item for item in items if isinstance(item, bytes)],
        [item for item in items if isinstance(item, Damage)],
    )
