"""The frames of a chunk to the facts that count for one table. Pure.

The log holds every entity, every duplicate and every state that a later one replaced: most of the work is to
find out cheaply what need not be looked at.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from consumers.facts import SWEEP, Fact, to_fact
from consumers.rows import checked
from consumers.warehouse.port import Counts
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import PoisonEventError
from schemas.event import Event, decode_event
from schemas.payload.codec import SchemaRegistry

FOREVER = 2**63 - 1


CHUNK_BYTES = 96 * 1024 * 1024
"""A chunk ends when so many bytes are read: memory is bounded by that, and what is done again after a
crash."""
EVENT_BYTES = 600
"""What each event counts on top of its frame: what Python makes of it, while a chunk is folded."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events make the table: those of this entity that occurred at or before `until`, in microseconds
    since the epoch. Of an entity with `history` all of them are kept beside it."""

    entity: Entity
    until: int = FOREVER

    @property
    def rows_alone(self) -> "EventFilter":
        """The same events, of which no history is kept."""
        return replace(self, entity=replace(self.entity, history=False))

    @property
    def needle(self) -> bytes:
        """Bytes that every frame of the entity holds: its name as Avro writes a string."""
        name = self.entity.name.encode()
        return _varint(2 * len(name)) + name


def _varint(number: int) -> bytes:
    """The zigzag of a length (https://avro.apache.org/docs/1.12.0/specification/#binary-encoding)."""
    if number < 0x80:
        return bytes([number])
    return bytes([number & 0x7F | 0x80]) + _varint(number >> 7)


class Facts(NamedTuple):
    """What may win, and what became of the other events that were wanted (INV-4)."""

    facts: list[Fact]
    counts: Counts


def surviving_facts(frames: Iterable[bytes], wanted: EventFilter, registry: SchemaRegistry) -> Facts:
    """The facts that may win, no payload decoded yet. Raises PoisonEventError for one without a schema,
    ConfigurationError for one of a newer schema version than the entity's.

    A frame that is no event counts as dead; one that could not win is counted without being checked further.
    """
    kept, counts = _survivors(frames, wanted)
    return Facts([_fact(event, frame, wanted, registry) for event, frame in kept], counts)


def _survivors(frames: Iterable[bytes], wanted: EventFilter) -> tuple[list[tuple[Event, bytes]], Counts]:
    """The events of greatest position of each key, and of each bucket's sweep.

    Position is the rank's prefix: a smaller one has lost, whatever the bytes. Equal positions with other
    bytes are both kept, since only the rank decides between them.
    """
    entity, until = wanted.entity.name, wanted.until
    best: dict[tuple[str, str, bool], tuple[Event, bytes]] = {}
    tied: list[tuple[Event, bytes]] = []
    count = duplicate = dead = 0
    for frame in frames:
        try:
            event = decode_event(frame)
        except PoisonEventError:
            dead += 1
            continue
        if event.entity != entity or event.occurred_at > until:
            continue
        count += 1
        slot = event.source, event.key, event.operation == SWEEP
        held = best.get(slot)
        if held is None or event.position > held[0].position:
            best[slot] = event, frame
        elif event.position == held[0].position:
            if frame == held[1]:
                duplicate += 1
            else:
                tied.append((event, frame))
    kept = [*best.values(), *tied]
    return kept, Counts(0, count - len(kept) - duplicate, duplicate, dead)


def checked_facts(frames: Iterable[bytes], wanted: EventFilter, registry: SchemaRegistry) -> Facts:
    """Every wanted fact, each decoded and checked before any fold, as the live consumer does it; the poison
    counts as dead. Raises ConfigurationError for one of a newer schema version than the entity's."""
    catalog = Catalog({wanted.entity.name: wanted.entity}, registry)
    facts: list[Fact] = []
    dead = 0
    for frame in frames:
        try:
            facts += _checked(frame, wanted, catalog)
        except PoisonEventError:
            dead += 1
    return Facts(facts, Counts(dead=dead))


def _checked(frame: bytes, wanted: EventFilter, catalog: Catalog) -> Iterator[Fact]:
    event = decode_event(frame)
    if event.entity == wanted.entity.name and event.occurred_at <= wanted.until:
        yield checked(to_fact(event, frame, catalog.registry), catalog)


def _fact(event: Event, frame: bytes, wanted: EventFilter, registry: SchemaRegistry) -> Fact:
    """A newer version stops replay as it stops the consumer, sweeps included: it is never counted as dead."""
    fact = to_fact(event, frame, registry)
    wanted.entity.refuse_newer(fact.schema)
    return fact
