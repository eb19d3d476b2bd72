"""Frames of a Kinesis record, and what the guard needs of each frame before its payload is decoded."""

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
"""The operation as plain `str`: comparing an enum member is slower, and this runs for every event."""


class Fact(NamedTuple):
    """One event, its bytes, and the values that the guard compares.

    `row` is None until the payload is decoded, and always None for a sweep.
    """

    rank: str
    key_hash: bytes
    event: Event
    schema: Schema
    frame: bytes
    row: Row | None = None


def frames_of(payload: bytes) -> list[bytes]:
    """Return the frames in a Kinesis record: those of a KPL aggregate, or the record itself.

    Raises PoisonEventError for an aggregate with a wrong digest, index or field; none of it is usable then.
    """
    return parse_aggregate(payload) if payload.startswith(MAGIC) else [payload]


def read_fact(frame: bytes, registry: SchemaRegistry) -> Fact:
    """Check a frame and decode its envelope.

    Raises PoisonEventError, with cause "schema" if the registry does not know the schema.
    """
    damage = check_frame(frame)
    if damage is not None:
        raise PoisonEventError(damage)
    return to_fact(decode_event(frame), frame, registry)


def to_fact(event: Event, frame: bytes, registry: SchemaRegistry) -> Fact:
    """Return the fact of an event that was decoded from `frame`, which has been checked.

    Raises PoisonEventError.
    """
    schema = registry.find(event.schema_fingerprint)
    if schema.entity != event.entity:
        # The name comes from the event and may be of any length: the error shows only its beginning.
        raise PoisonEventError(f"an event of {event.entity[:MAX_NAME]} with a schema of {schema.entity}")
    # Positional, unlike elsewhere: keywords double the time of this call, which runs for every event.
    return Fact(
        rank(event.position, schema.version, frame), key_hash(event.source, event.key), event, schema, frame
    )
