"""The event: one fact of a source, its identity, its order and its bytes (docs/architecture.md: Event).

A frame is `u32 BE length | C3 01 | CRC-64 fingerprint, 8 bytes LE | Avro body | u32 BE CRC-32 of all before
it`; length counts the bytes behind itself. The middle is Avro's single-object encoding: any library reads it.
https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha1, sha256
from io import BytesIO
from typing import Any, Final, NamedTuple
from uuid import UUID
from zlib import crc32

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.errors import PoisonEventError
from schemas.keys import text_array
from schemas.payload.avro import read_avro, write_avro

MAX_FRAME_BYTES: Final = 1_000_000
"""Firehose takes no record above 1,024,000 bytes, and an aggregate adds to its frames."""

NAMESPACE: Final = UUID("2f1c8e0a-95b3-4d0e-8a67-c4b0d9f3716e")
"""Of all event ids. A constant for ever: another one would make every event a new one."""

MIN_OCCURRED_AT: Final = -62_135_596_800_000_000
MAX_OCCURRED_AT: Final = 253_402_300_799_999_999
"""Years 1 to 9999, microseconds since the epoch: what Python's and SQL's dates hold."""


class Operation(StrEnum):
    """What became of the key. An upsert knows the state after it, not whether there was one before."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    UPSERT = "upsert"
    SWEEP = "sweep"


class Event(NamedTuple):
    """One fact. A NamedTuple, since replay makes millions: a frozen dataclass costs three times as much."""

    event_id: bytes
    source: str
    entity: str
    operation: str
    key: str
    position: str
    occurred_at: int
    """Microseconds since 1970 in UTC: when the source changed."""
    schema_fingerprint: bytes
    """Of the writer schema of before and after; 8 bytes."""
    before: bytes | None
    after: bytes | None
    metadata: dict[str, str]


ENVELOPE: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Event",
    "namespace": "headwater",
    "doc": "One fact. Its frame: u32 BE length of what follows | C3 01 | CRC-64-AVRO of this schema,"
    " LE | body | u32 BE CRC-32 of all before. The schema of before and after is that of schema_fingerprint.",
    "fields": [
        {"name": "event_id", "type": {"type": "fixed", "name": "EventId", "size": 16}},
        {"name": "source", "type": "string"},
        {"name": "entity", "type": "string"},
        {
            "name": "operation",
            "type": {"type": "enum", "name": "Operation", "symbols": [str(each) for each in Operation]},
        },
        {"name": "key", "type": "string"},
        {"name": "position", "type": "string"},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "schema_fingerprint", "type": {"type": "fixed", "name": "Fingerprint", "size": 8}},
        {"name": "before", "type": ["null", "bytes"]},
        {"name": "after", "type": ["null", "bytes"]},
        {"name": "metadata", "type": {"type": "map", "values": "string"}},
    ],
}
"""The schema of every event. Old frames must decode for ever: a change makes a second one beside this."""

ENVELOPE_FINGERPRINT: Final = bytes.fromhex(
    fingerprint(to_parsing_canonical_form(ENVELOPE), "CRC-64-AVRO")  # hex of the little-endian bytes
)

MARKER: Final = b"\xc3\x01"
HEADER: Final = MARKER + ENVELOPE_FINGERPRINT
BODY_START: Final = 4 + len(HEADER)
CRC_BYTES: Final = 4

BUCKETS: Final = 256
_BUCKET_OF_SWEEP_KEY: Final = {text_array([str(bucket)]): bucket for bucket in range(BUCKETS)}
_WITHOUT_AFTER: Final = frozenset({"delete", "sweep"})


def make_event(
    *,
    source: str,
    entity: str,
    operation: Operation,
    key: str,
    position: str,
    occurred_at: int,
    schema_fingerprint: bytes,
    before: bytes | None = None,
    after: bytes | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Event:
    """The event of a fact, a function of its arguments alone (INV-5).

    Raises PoisonEventError where operation and after image contradict each other, and for lone surrogates.
    """
    return _consistent(
        Event(
            event_id(entity, source, key, position),
            source,
            entity,
            operation._value_,  # `value` is a property, five times as slow
            key,
            position,
            occurred_at,
            schema_fingerprint,
            before,
            after,
            dict(sorted(metadata.items())) if metadata else {},
        )
    )


def make_sweep(
    *, source: str, entity: str, bucket: int, position: str, occurred_at: int, schema_fingerprint: bytes
) -> Event:
    """Every key of this bucket, entity and source whose position is below this one no longer exists."""
    return make_event(
        source=source,
        entity=entity,
        operation=Operation.SWEEP,
        key=text_array([str(bucket)]),
        position=position,
        occurred_at=occurred_at,
        schema_fingerprint=schema_fingerprint,
    )


def _consistent(event: Event) -> Event:
    if (event.after is None) is not (event.operation in _WITHOUT_AFTER):
        raise PoisonEventError(
            f"event: {event.operation} {'without' if event.after is None else 'with'} after"
        )
    if event.operation == "sweep" and event.key not in _BUCKET_OF_SWEEP_KEY:
        raise PoisonEventError("event: the key of a sweep is no bucket")
    return event


_NAMESPACE_BYTES: Final = NAMESPACE.bytes
_IDENTITY: Final = ("entity", "source", "key", "position")
_UUID_BITS: Final = ~((0xF << 76) | (0x3 << 62))
_UUID_VERSION_5: Final = (0x5 << 76) | (0x2 << 62)


def event_id(entity: str, source: str, key: str, position: str) -> bytes:
    """UUIDv5 (RFC 9562) of the canonical JSON array of the four: the identity of the fact; 16 bytes."""
    name = text_array((entity, source, key, position), _IDENTITY).encode()
    digest = sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).digest()
    return (int.from_bytes(digest[:16]) & _UUID_BITS | _UUID_VERSION_5).to_bytes(16)


def key_hash(source: str, key: str) -> bytes:
    """The key in 16 bytes, whatever its length. Its first byte is the bucket."""
    return sha256(f"{source}\n{key}".encode()).digest()[:16]


def bucket_of(event: Event, key_hash: bytes) -> int:
    """0 to 255. A sweep's bucket is its key, so that it follows the rows it sweeps."""
    return _BUCKET_OF_SWEEP_KEY[event.key] if event.operation == "sweep" else key_hash[0]


def partition_key(entity: str, bucket: int) -> str:
    """Kinesis's partition key: one entity and bucket are one shard, in order."""
    return f"{entity}/{bucket}"


def rank(position: str, version: int, frame: bytes) -> str:
    """The total order of the events of one key, as bytes: position, schema version, then the frame itself."""
    return f"{position} {version:04d} {sha256(frame).hexdigest()[:16]}"


# The same bytes without the logical type: a time stays an int, which is what replay compares and counts with.
_CODEC: Final = parse_schema(json.loads(to_parsing_canonical_form(ENVELOPE)))


def encode_event(event: Event) -> bytes:
    """The event's frame. Raises PoisonEventError above MAX_FRAME_BYTES, and for what Avro can't write."""
    sealed = HEADER + write_avro(_CODEC, event._asdict())
    size = len(sealed) + 4 + CRC_BYTES
    if size > MAX_FRAME_BYTES:
        raise PoisonEventError(f"event: {size:,} bytes framed, at most {MAX_FRAME_BYTES:,} are allowed")
    sealed = (size - 4).to_bytes(4) + sealed
    return sealed + crc32(sealed).to_bytes(4)


def fitting_frame(event: Event) -> bytes:
    """The event's frame, without the before image where only that makes it too large: no row needs it.

    A function of the event alone, so that a retry writes the same bytes (INV-5). Raises as `encode_event`
    does: then the after image does not fit by itself.
    """
    try:
        return encode_event(event)
    except PoisonEventError:
        if event.before is None:
            raise
    return encode_event(event._replace(before=None))


def decode_event(frame: bytes) -> Event:
    """The event of a frame whose CRC-32 was checked by whoever cut it (schemas.log.frames).

    Raises PoisonEventError for another envelope than ours, and for a body that is no event.
    """
    if frame[4:BODY_START] != HEADER:
        raise PoisonEventError("frame: its envelope schema is not known here", "schema")
    return _consistent(Event._make(read_avro(_CODEC, frame, BODY_START, len(frame) - CRC_BYTES).values()))


def body_end(buffer: bytes, start: int) -> int | None:
    """Where the body that starts here ends by its own lengths: past the buffer's end if it is cut short.

    None for what is no body. A damaged frame's second witness beside its length field (schemas.log.frames).
    """
    body = BytesIO(buffer)
    body.seek(start)
    try:
        schemaless_reader(body, _CODEC, None, handle_unicode_errors="ignore")
    except EOFError:
        return len(buffer) + 1
    except (ValueError, IndexError, OverflowError):
        return None
    return body.tell()
