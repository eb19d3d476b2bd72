"""The log of record into one revision, chunk by chunk: memory is a chunk's, whatever the log's size."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from consumers.warehouse.port import Checkpoint
from replay.fold import CHUNK_BYTES, EVENT_BYTES, EventFilter
from replay.log.acknowledged import Acknowledged
from replay.log.proof import LogPlace
from replay.log.read_ahead import opened
from replay.log.reader import LogStore, frames_in
from replay.ports import Ports
from replay.progress import Progress
from replay.write import RevisionWriter
from schemas.errors import LogIntegrityError
from schemas.log.frames import Damage

NAMED_DAMAGES = 20
_ADVICE = (
    "Put back what was lost; where these bytes are no events, say so once: `headwater replay damage "
    "acknowledge OBJECT --reason TEXT` (`headwater replay damage list` names all of it)"
)


def log_place(reader: str, wanted: EventFilter, place: str) -> Checkpoint:
    """A reader's place in the log.

    The events that were wanted are in the name, so that no one takes up a revision that holds others.
    """
    return Checkpoint(reader, "log", f"until {wanted.until}", place)


class Chunk(NamedTuple):
    """Frames that name the entity, and where the log has been read to.

    `done` is the key of the last object up to which nothing is missing once these frames are applied;
    `objects` and `events` count all that was read so far, whatever the entity.
    """

    frames: list[bytes]
    done: str
    objects: int
    events: int


class Damages:
    """What could not be read. One run reads to the end of the log all the same, and names all of it."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def add(self, damage: Damage) -> None:
        self.count += 1
        if len(self._named) < NAMED_DAMAGES:
            self._named.append(f"{damage.name} bytes {damage.start}-{damage.end} ({damage.reason})")

    def check(self) -> None:
        """Raises LogIntegrityError that names objects and byte ranges, each range's end excluded."""
        if self.count:
            more = f"; and {self.count - NAMED_DAMAGES} more" if self.count > NAMED_DAMAGES else ""
            raise LogIntegrityError(f"the log is damaged: {'; '.join(self._named)}{more}. {_ADVICE}")


def chunks(
    log: LogStore,
    needle: bytes,
    damages: Damages,
    after: str = "",
    chunk_bytes: int = CHUNK_BYTES,
    place: LogPlace | None = None,
) -> Iterator[Chunk]:
    """The log's frames that hold `needle`, from the object after this key on; the last chunk may be empty.

    Damage that nobody has acknowledged is added to `damages`. `place`, which is that of `after`, moves on
    with the objects.
    """
    held: list[bytes] = []
    done, objects, events, size = after, 0, 0, 0
    acknowledged, place = Acknowledged(log), place or LogPlace()
    earlier = place.events
    for item, parts in opened(log, log.objects(after)):
        place.begin(item)
        for found in frames_in(parts, item.key):
            if not isinstance(found, bytes):
                if acknowledged.find(item, found) is None:
                    damages.add(found)
                continue
            events += 1
            size += len(found) + EVENT_BYTES
            if needle in found:
                held.append(found)
            if size >= chunk_bytes:
                yield Chunk(held, done, objects, events)
                held, size = [], 0
        objects += 1
        # Once something is missing no place behind it may be kept: the next run has to meet it again.
        if not damages.count:
            done = item.key
            place.finish(earlier + events)
    yield Chunk(held, done, objects, events)


def load(
    ports: Ports,
    writer: RevisionWriter,
    *,
    after: str = "",
    total: int | None = None,
    place: LogPlace | None = None,
) -> int:
    """Apply the log from the object after this key on; the number of events read, whatever their entity.

    The writer's reader keeps its place with each chunk, so that another run may go on from there; `place` is
    that of `after`. `total` is the number of objects, for the report. Raises LogIntegrityError when all the
    rest is applied, and what the writer and the log raise.
    """
    damages, began, events = Damages(), ports.clock(), 0
    place = replace(place) if place else LogPlace()
    for chunk in chunks(ports.log, writer.wanted.needle, damages, after, ports.chunk_bytes, place):
        writer.write(chunk.frames, [log_place(writer.reader, writer.wanted, str(place))])
        chunk.frames.clear()  # or two chunks would be in memory
        events = chunk.events
        ports.report(Progress("log", chunk.objects, total, events, ports.clock() - began))
    damages.check()
    return events
