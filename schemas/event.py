"""The event: one fact of a source, its identity, its order and its bytes (docs/architecture.md: Event).

A frame is `u32 BE length | C3 01 | CRC-64 fingerprint, 8 bytes LE | Avro body | u32 BE CRC-32`. The length
counts the bytes after itself, the CRC-32 covers the bytes before itself. The middle is Avro's single-object
encoding, which any Avro library reads.
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
"""Firehose rejects records above 1,024,000 bytes, and an aggregate adds bytes to its frames."""

WITHOUT_BEFORE: Final = {"before": "too large"}
"""Metadata of an event whose before image was left out, because only with it the event would be too large."""

NAMESPACE: Final = UUID("2f1c8e0a-95b3-4d0e-8a67-c4b0d9f3716e")
"""Namespace of all event ids. It must never change: every event would get a new id."""

MIN_OCCURRED_AT: Final = -62_135_596_800_000_000
MAX_OCCURRED_AT: Final = 253_402_300_799_999_999
"""Years 1 to 9999 in microseconds since 1970: the range of dates in Python and SQL."""


class Operation(StrEnum):
    """The change of the key. An upsert states the new state, not whether there was one before."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    UPSERT = "upsert"
    SWEEP = "sweep"


class Event(NamedTuple):
    """One fact.

    A NamedTuple, since replay creates millions of them, and a frozen dataclass takes three times as long.
    """

    event_id: bytes
    source: str
    entity: str
    operation: str
    key: str
    position: str
    occurred_at: int
    """Moment of the change in the source: microseconds since 1970 in UTC."""
    schema_fingerprint: bytes
    """Fingerprint of the writer schema of `before` and `after`: 8 bytes."""
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
            "type": {
                "type": "enum",
                "name": "Operation",
                "symbols": [str(operation) for operation in Operation],
            },
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
"""Schema of every event.

Frames in the log must stay readable, so a change would need a second envelope schema beside this one.
"""

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
    """Return the event of a fact, a function of the arguments alone (INV-5).

    Raises PoisonEventError if operation and after image contradict each other, and for lone surrogates.
    """
    # Positional, unlike elsewhere: keywords double the time of this call, which runs for every event.
    return _consistent(
        Event(
            event_id(entity, source, key, position),
            source,
            entity,
            operation._value_,  # `value` is a property, which takes five times as long
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
    """Return a sweep, which states that keys no longer exist.

    It covers every key of this bucket, entity and source whose position is lower. It raises as `make_event`
    does.
    """
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
    # A delete and a sweep have no state after them, every other operation has one.
    if (event.after is None) is not (event.operation in _WITHOUT_AFTER):
        raise PoisonEventError(
            f"event: {event.operation} {'without' if event.after is None else 'with'} after"
        )
    if event.operation == "sweep" and event.key not in _BUCKET_OF_SWEEP_KEY:
        raise PoisonEventError("event: the key of a sweep is not a bucket")
    return event


_NAMESPACE_BYTES: Final = NAMESPACE.bytes
_IDENTITY: Final = ("entity", "source", "key", "position")
_UUID_BITS: Final = ~((0xF << 76) | (0x3 << 62))
_UUID_VERSION_5: Final = (0x5 << 76) | (0x2 << 62)


def event_id(entity: str, source: str, key: str, position: str) -> bytes:
    """Return the identity of the fact: UUIDv5 (RFC 9562) of a canonical JSON array, 16 bytes."""
    # uuid.uuid5 computes the same value, but creates a UUID object for each event.
    name = text_array((entity, source, key, position), _IDENTITY).encode()
    digest = sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).digest()
    return (int.from_bytes(digest[:16]) & _UUID_BITS | _UUID_VERSION_5).to_bytes(16)


def key_hash(source: str, key: str) -> bytes:
    """Return a hash of the key, 16 bytes whatever the length of the key. Its first byte is the bucket."""
    return sha256(f"{source}\n{key}".encode()).digest()[:16]


def bucket_of(event: Event, key_hash: bytes) -> int:
    """Return the bucket of an event, 0 to 255."""
    # The key of a sweep is its bucket, so that it is in the same shard as the rows that it deletes.
    return _BUCKET_OF_SWEEP_KEY[event.key] if event.operation == "sweep" else key_hash[0]


def partition_key(entity: str, bucket: int) -> str:
    """Return the Kinesis partition key: events of one entity and bucket are in one shard, in order."""
    return f"{entity}/{bucket}"


def rank(position: str, version: int, frame: bytes) -> str:
    """Return the rank of an event: position, schema version, hash of the frame.

    Its order as bytes is a total order of the events of one key.
    """
    # The hash decides between two different frames of one position and version, so that the winner does not
    # depend on the order of arrival (INV-2).
    return f"{position} {version:04d} {sha256(frame).hexdigest()[:16]}"


# The canonical form has no logical types and the same bytes: fastavro then leaves `occurred_at` an int, which
# is what replay compares and counts with.
_CODEC: Final = parse_schema(json.loads(to_parsing_canonical_form(ENVELOPE)))


def encode_event(event: Event) -> bytes:
    """Return the frame of an event.

    Raises PoisonEventError for a frame above MAX_FRAME_BYTES, and for values that Avro cannot encode.
    """
    sealed = HEADER + write_avro(_CODEC, event._asdict())
    size = len(sealed) + 4 + CRC_BYTES
    if size > MAX_FRAME_BYTES:
        raise PoisonEventError(f"event: {size:,} bytes framed, at most {MAX_FRAME_BYTES:,} are allowed")
    sealed = (size - 4).to_bytes(4) + sealed
    return sealed + crc32(sealed).to_bytes(4)


def fitting_frame(event: Event) -> bytes:
    """Return the frame of an event, without the before image if the frame would be too large with it.

    The metadata then says so (WITHOUT_BEFORE). No row depends on the before image. Raises PoisonEventError as
    `encode_event` does if the frame is too large without it.
    """
    # Whether the image is dropped depends on the event alone: a retry writes the same bytes (INV-5).
    try:
        return encode_event(event)
    except PoisonEventError:
        if event.before is None:
            raise
    smaller = event._replace(before=None)
    noted = dict(sorted((event.metadata | WITHOUT_BEFORE).items()))
    try:
        return encode_event(smaller._replace(metadata=noted))
    except PoisonEventError:
        return encode_event(smaller)  # the few bytes of the note must not cost the new state


def decode_event(frame: bytes) -> Event:
    """Return the event of a frame whose CRC-32 was checked when it was read (schemas.log.frames).

    Raises PoisonEventError for an unknown envelope schema, and for a body that is not an event.
    """
    if frame[4:BODY_START] != HEADER:
        raise PoisonEventError("frame: its envelope schema is not known here", "schema")
    return _consistent(Event._make(read_avro(_CODEC, frame, BODY_START, len(frame) - CRC_BYTES).values()))


def body_end(buffer: bytes, start: int) -> int | None:
    """Return the end of the body that starts here, by the lengths in it, or None if it is not a body.

    The end is past that of the buffer if the body is cut short. Resynchronisation compares it with the length
    field of a damaged frame (schemas.log.resync).
    """
    body = BytesIO(buffer)
    body.seek(start)
    # Damaged text must not hide the lengths behind it.
    try:
        schemaless_reader(body, _CODEC, None, handle_unicode_errors="ignore")
    except EOFError:
        return len(buffer) + 1
    except (ValueError, IndexError, OverflowError):
        return None
    return body.tell()
