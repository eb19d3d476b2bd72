"""The fold of a chunk's frames to the facts that may win a row of one table. Pure.

The log holds every entity, every duplicate and every superseded state, so most of the work is to discard
frames cheaply, before their payloads are decoded.
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
"""Bytes of the log in one chunk. Bounds the memory of a run, and the work that a crash makes it repeat."""
EVENT_BYTES = 600
"""Memory that an event takes beside its frame while its chunk is folded; counted towards the chunk."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selects the events of a table: those of the entity that occurred at or before `until`.

    `until` is in microseconds since the epoch. An entity with `history` keeps all its events beside the rows.
    """

    entity: Entity
    until: int = FOREVER

    @property
    def without_history(self) -> "EventFilter":
        """The same events, for a table beside which no history is kept."""
        return replace(self, entity=replace(self.entity, history=False))

    @property
    def needle(self) -> bytes:
        """Bytes that every frame of the entity contains: its name as Avro encodes a string."""
        # A substring search rules out the frames of other entities without decoding them. It may also match
        # by chance, which costs one decode: `_survivors` compares the decoded name.
        name = self.entity.name.encode()
        return _varint(2 * len(name)) + name


def _varint(number: int) -> bytes:
    """Encode a number that is zigzag already (https://avro.apache.org/docs/1.12.0/specification/)."""
    if number < 0x80:
        return bytes([number])
    return bytes([number & 0x7F | 0x80]) + _varint(number >> 7)


class Facts(NamedTuple):
    """The facts that may win, and the counts of the other wanted events (INV-4)."""

    facts: list[Fact]
    counts: Counts


def surviving_facts(frames: Iterable[bytes], wanted: EventFilter, registry: SchemaRegistry) -> Facts:
    """Return the facts that may win, their payloads not decoded yet.

    A frame that is no event counts as dead. An event that can't win counts as superseded or a duplicate
    without further checks. Raises PoisonEventError for a fact without a schema, ConfigurationError for one of
    a newer schema version than the entity's.
    """
    survivors, counts = _survivors(frames, wanted)
    return Facts([_fact(event, frame, wanted, registry) for event, frame in survivors], counts)


def _survivors(frames: Iterable[bytes], wanted: EventFilter) -> tuple[list[tuple[Event, bytes]], Counts]:
    """Return the events of greatest position: of each key, and of the sweeps of each bucket.

    Two events of equal position but other bytes both survive: only the full rank decides between them.
    """
    # Position is a prefix of the rank, so the smaller one loses whatever the hash of its frame. The rank
    # itself is not computed here: it costs a SHA-256 of every frame.
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
        # The key of a sweep is its bucket, which could equal the key of a row: hence the third member.
        slot = event.source, event.key, event.operation == SWEEP
        leader = best.get(slot)
        if leader is None or event.position > leader[0].position:
            best[slot] = event, frame
        elif event.position == leader[0].position:
            if frame == leader[1]:
                duplicate += 1
            else:
                tied.append((event, frame))
    survivors = [*best.values(), *tied]
    superseded = count - len(survivors) - duplicate
    return survivors, Counts(applied=0, superseded=superseded, duplicate=duplicate, dead=dead)


def checked_facts(frames: Iterable[bytes], wanted: EventFilter, registry: SchemaRegistry) -> Facts:
    """Return every wanted fact, decoded and checked before the fold, as the live consumer does it.

    Poison events count as dead. Raises ConfigurationError for a newer schema version than the entity's.
    """
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
    fact = to_fact(event, frame, registry)
    # Checked here because a sweep has no payload to decode. A newer version stops replay, as it stops the
    # consumer: counted as dead, it would be lost from the rebuilt table.
    wanted.entity.refuse_newer(fact.schema)
    return fact
