"""Loading of the log into one revision, chunk by chunk, in memory that does not grow with the log."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from consumers.warehouse.port import Checkpoint
from replay.fold import CHUNK_BYTES, EVENT_BYTES, EventFilter
from replay.log.acknowledged import Acknowledged
from replay.log.proof import LogCheckpoint
from replay.log.read_ahead import read_in_order
from replay.log.reader import LogStore, frames_in
from replay.ports import Ports
from replay.progress import Progress
from replay.write import RevisionWriter
from schemas.errors import LogIntegrityError
from schemas.log.frames import Damage

NAMED_DAMAGES = 20
_ADVICE = (
    "Put back what was lost; where these bytes are no events, acknowledge them once: `headwater replay "
    "damage acknowledge OBJECT --reason TEXT` (`headwater replay damage list` names all of it)"
)


def log_checkpoint(reader: str, wanted: EventFilter, sequence: str) -> Checkpoint:
    """Return the checkpoint of a reader of the log; `sequence` is a LogCheckpoint as text."""
    # The filter is part of the name, so that a run can't resume a revision that holds other events.
    return Checkpoint(reader, "log", f"until {wanted.until}", sequence)


class Chunk(NamedTuple):
    """Frames that may be of the entity, and how far the log has been read.

    `done` is the key of the last object up to which nothing is missing once these frames are applied.
    `objects` and `events` count all that was read so far, of any entity.
    """

    frames: list[bytes]
    done: str
    objects: int
    events: int


class Damages:
    """The damage met in one run. A run reads to the end of the log all the same, to name all of it."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def add(self, damage: Damage) -> None:
        self.count += 1
        if len(self._named) < NAMED_DAMAGES:
            self._named.append(f"{damage.name} bytes {damage.start}-{damage.end} ({damage.reason})")

    def check(self) -> None:
        """Raise LogIntegrityError if there is damage, naming objects and byte ranges (end excluded)."""
        if self.count:
            more = f"; and {self.count - NAMED_DAMAGES} more" if self.count > NAMED_DAMAGES else ""
            raise LogIntegrityError(f"the log is damaged: {'; '.join(self._named)}{more}. {_ADVICE}")


def chunks(
    log: LogStore,
    needle: bytes,
    damages: Damages,
    after: str = "",
    chunk_bytes: int = CHUNK_BYTES,
    progress: LogCheckpoint | None = None,
) -> Iterator[Chunk]:
    """Yield the log's frames that contain `needle`, from the object after the key `after` on.

    The last chunk may be empty. Damage that is not acknowledged is added to `damages`. `progress`, which has
    to be the checkpoint of `after`, is advanced in place.
    """
    frames: list[bytes] = []
    done, objects, events, size = after, 0, 0, 0
    acknowledged, progress = Acknowledged(log), progress or LogCheckpoint()
    earlier = progress.events
    for item, parts in read_in_order(log, log.objects(after)):
        progress.begin(item)
        for piece in frames_in(parts, item.key):
            if isinstance(piece, Damage):
                if acknowledged.find(item, piece) is None:
                    damages.add(piece)
                continue
            events += 1
            # Frames of other entities count as well: a chunk bounds the work that a crash makes us repeat.
            size += len(piece) + EVENT_BYTES
            if needle in piece:
                frames.append(piece)
            if size >= chunk_bytes:
                yield Chunk(frames, done, objects, events)
                frames, size = [], 0
        objects += 1
        # After damage the checkpoint must not advance: the next run has to meet the damage again.
        if not damages.count:
            done = item.key
            progress.finish(earlier + events)
    yield Chunk(frames, done, objects, events)


def load(
    ports: Ports,
    writer: RevisionWriter,
    *,
    after: str = "",
    total: int | None = None,
    progress: LogCheckpoint | None = None,
) -> int:
    """Apply the log from the object after the key `after` on. Returns how many events of any entity it read.

    The checkpoint is saved with each chunk, so that another run can resume there; `progress` is the
    checkpoint of `after`. `total` is the number of objects, for the report.

    Raises LogIntegrityError for damage, after the rest of the log is applied, and what the writer and the log
    raise.
    """
    damages, began, events = Damages(), ports.clock(), 0
    needle = writer.wanted.needle
    progress = replace(progress) if progress else LogCheckpoint()  # a copy: the plan's own stays as it is
    for chunk in chunks(ports.log, needle, damages, after, chunk_bytes=ports.chunk_bytes, progress=progress):
        writer.write(chunk.frames, [log_checkpoint(writer.reader, writer.wanted, str(progress))])
        chunk.frames.clear()  # this loop's reference would keep the chunk in memory while the next one fills
        events = chunk.events
        ports.report(
            Progress(
                stage="log",
                done=chunk.objects,
                total=total,
                events=events,
                seconds=ports.clock() - began,
            )
        )
    damages.check()
    return events
