"""The frames of a Kinesis record, and what each frame says, its payload not yet decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.errors import PoisonEventError
from schemas.event import Event, Operation, decode_event, key_hash, rank
from schemas.log.frames import check_frame
from schemas.log.kpl import MAGIC, parse_aggregate
from schemas.payload.codec import Schema, SchemaRegistry
from schemas.refusals import MAX_NAME

if TYPE_CHECKING:
    from consumers.warehouse.port import Row

SWEEP = Operation.SWEEP.value
"""Plain text: an event's operation is compared once for each of millions."""


class Fact(NamedTuple):
    """One event with what the guard compares, and its bytes. `row` is there once the payload was decoded."""

    rank: str
    key_hash: bytes
    event: Event
    schema: Schema
    frame: bytes
    row: Row | None = None


def frames_of(payload: bytes) -> list[bytes]:
    """The frames that a Kinesis record carries: those of a KPL aggregate, or one.

    Raises PoisonEventError for an aggregate whose digest, indexes or fields are wrong: all of it is bad.
    """
    return parse_aggregate(payload) if payload.startswith(MAGIC) else [payload]


def read_fact(frame: bytes, registry: SchemaRegistry) -> Fact:
    """What a frame says. Raises PoisonEventError, with cause "schema" for a schema not known here."""
    damage = check_frame(frame)
    if damage is not None:
        raise PoisonEventError(damage)
    return to_fact(decode_event(frame), frame, registry)


def to_fact(event: Event, frame: bytes, registry: SchemaRegistry) -> Fact:
    """The fact of an event that was decoded already, from a checked frame. Raises PoisonEventError."""
    schema = registry.find(event.schema_fingerprint)
    if schema.entity != event.entity:
        raise PoisonEventError(f"an event of {event.entity[:MAX_NAME]} with a schema of {schema.entity}")
    return Fact(
        rank(event.position, schema.version, frame), key_hash(event.source, event.key), event, schema, frame
    )
