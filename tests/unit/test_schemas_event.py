"""The event: identity, order and bytes, pinned for ever."""

import io
import uuid
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import fastavro
import pytest

from schemas.errors import PoisonEventError
from schemas.event import (
    BODY_START,
    BUCKETS,
    ENVELOPE,
    ENVELOPE_FINGERPRINT,
    HEADER,
    MAX_FRAME_BYTES,
    NAMESPACE,
    WITHOUT_BEFORE,
    Event,
    Operation,
    bucket_of,
    decode_event,
    encode_event,
    event_id,
    fitting_frame,
    key_hash,
    make_event,
    make_sweep,
    partition_key,
    rank,
)

SOURCE = "dynamodb:subscriptions"
KEY = '["Zoë","5"]'
POSITION = "2015-06-27T00:48:05.899000-0000000000000000111000000000000000000123"
OCCURRED_AT = 1_709_288_430_123_456
FINGERPRINT = bytes(range(8))


def event(operation: Operation = Operation.UPDATE, **changes: Any) -> Event:
    facts = {
        "source": SOURCE,
        "entity": "subscription",
        "operation": operation,
        "key": KEY,
        "position": POSITION,
        "occurred_at": OCCURRED_AT,
        "schema_fingerprint": FINGERPRINT,
        "before": b"before",
        "after": b"after",
        "metadata": {"ttl": "true", "row": "7"},
    }
    return make_event(**{**facts, **changes})


def sweep(bucket: int = 9) -> Event:
    return make_sweep(
        source="csv:school",
        entity="school",
        bucket=bucket,
        position="p-000000000000",
        occurred_at=OCCURRED_AT,
        schema_fingerprint=FINGERPRINT,
    )


def resealed(frame: bytes) -> bytes:
    """The frame with its length and CRC-32 made right again: damage that only decoding can see."""
    middle = frame[4:-4]
    sealed = (len(middle) + 4).to_bytes(4) + middle
    return sealed + crc32(sealed).to_bytes(4)


def test_the_id_is_pinned() -> None:
    assert uuid.UUID(bytes=event().event_id) == uuid.UUID("a18663cb-fab0-50fd-a4e7-0d64bfd862c4")


def test_the_id_is_the_uuid5_of_the_canonical_array() -> None:
    text = f'["subscription","dynamodb:subscriptions","[\\"Zoë\\",\\"5\\"]","{POSITION}"]'
    assert event().event_id == uuid.uuid5(NAMESPACE, text).bytes


def test_no_two_facts_share_an_id() -> None:
    ids = {
        event_id("a", "b", "c", "d"),
        event_id("a", "b", "c", "e"),
        event_id("a", "b", "cd", ""),
        event_id("ab", "", "c", "d"),
        event_id('a","b', "", "c", "d"),
    }
    assert len(ids) == 5


def test_the_key_hash_is_pinned_and_its_first_byte_is_the_bucket() -> None:
    hashed = key_hash(SOURCE, KEY)
    assert hashed.hex() == "0b75fb0901dc5ee8106ae2fcabcdb96c"
    assert bucket_of(event(), hashed) == hashed[0]


def test_the_rank_is_pinned() -> None:
    assert rank(POSITION, 1, encode_event(event())) == f"{POSITION} 0001 08ac8c4ded8433e9"


def test_a_rank_goes_by_position_then_version_then_bytes() -> None:
    ranks = [rank("p1", 2, b"x"), rank("p1", 10, b"x"), rank("p1+c", 1, b"x"), rank("p2", 1, b"x")]
    assert ranks == sorted(ranks)
    assert rank("p1", 1, b"x") != rank("p1", 1, b"y")


def test_a_sweep_is_below_its_files_rows_by_position_alone() -> None:
    floor = "f2-000000000000"
    assert rank("f1-999999999999", 9999, b"x") < floor < rank("f2-000000000001", 1, b"x")


def test_a_frame_is_length_single_object_encoding_and_crc() -> None:
    frame = encode_event(event())
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    assert frame[4:14] == b"\xc3\x01" + ENVELOPE_FINGERPRINT
    assert int.from_bytes(frame[-4:]) == crc32(frame[:-4])


def test_any_avro_library_reads_the_body() -> None:
    body = fastavro.schemaless_reader(io.BytesIO(encode_event(event())[14:-4]), ENVELOPE, None)
    assert body == {
        **event()._asdict(),
        "occurred_at": datetime(2024, 3, 1, 10, 20, 30, 123_456, tzinfo=UTC),
    }


def test_the_envelope_fingerprint_is_the_standard_one() -> None:
    """So that any decoder of single objects finds the schema; Avro's own CRC-64 by its specification."""
    empty = 0xC15D213AA4D7A795
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (empty & -(number & 1))
        table.append(number)
    crc = empty
    for byte in fastavro.schema.to_parsing_canonical_form(ENVELOPE).encode():
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    assert crc.to_bytes(8, "little") == ENVELOPE_FINGERPRINT


@pytest.mark.parametrize(
    "made",
    [
        event(Operation.INSERT, before=None),
        event(Operation.UPDATE),
        event(Operation.UPSERT, before=None, metadata=None),
        event(Operation.DELETE, after=None),
        event(Operation.DELETE, before=None, after=None),
        event(before=b"", after=b""),
        event(occurred_at=-1),
        sweep(),
    ],
)
def test_an_event_comes_back_as_it_was(made: Event) -> None:
    decoded = decode_event(encode_event(made))
    assert decoded == made
    assert [type(value) for value in decoded] == [type(value) for value in made]


def test_inv5_the_order_of_metadata_does_not_matter() -> None:
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert encode_event(event(metadata=one)) == encode_event(event(metadata=other))


@pytest.mark.parametrize("operation", [Operation.INSERT, Operation.UPDATE, Operation.UPSERT])
def test_a_state_without_an_after_image_is_refused(operation: Operation) -> None:
    with pytest.raises(PoisonEventError, match=f"event: {operation.value} without after"):
        event(operation, after=None)


@pytest.mark.parametrize("operation", [Operation.DELETE, Operation.SWEEP])
def test_an_end_with_an_after_image_is_refused(operation: Operation) -> None:
    with pytest.raises(PoisonEventError, match=f"event: {operation.value} with after"):
        event(operation, key='["1"]')


@pytest.mark.parametrize("bucket", range(BUCKETS))
def test_a_sweep_follows_the_rows_of_its_bucket(bucket: int) -> None:
    made = sweep(bucket)
    assert bucket_of(made, key_hash(made.source, made.key)) == bucket
    assert made.key == f'["{bucket}"]'


@pytest.mark.parametrize("bucket", [-1, 256])
def test_a_sweep_of_no_bucket_is_refused(bucket: int) -> None:
    with pytest.raises(PoisonEventError, match="the key of a sweep is not a bucket"):
        sweep(bucket)


def test_a_partition_key_is_entity_and_bucket() -> None:
    assert partition_key("subscription", 255) == "subscription/255"


def test_the_largest_event_is_written_and_a_larger_one_refused_with_its_size() -> None:
    spare = MAX_FRAME_BYTES - len(encode_event(event(after=b"")))
    largest = encode_event(event(after=bytes(spare - 2)))  # the length of the image takes two bytes more
    assert len(largest) == MAX_FRAME_BYTES
    assert decode_event(largest).after == bytes(spare - 2)
    with pytest.raises(PoisonEventError, match="1,000,001 bytes framed, at most 1,000,000 are allowed"):
        encode_event(event(after=bytes(spare - 1)))


def test_a_before_image_stays_up_to_the_last_byte_that_fits() -> None:
    spare = MAX_FRAME_BYTES - len(encode_event(event(after=b"y", before=b"")))
    fits = event(after=b"y", before=bytes(spare - 2))
    assert fitting_frame(fits) == encode_event(fits)
    assert len(fitting_frame(fits)) == MAX_FRAME_BYTES
    noted = {"ttl": "true", "row": "7", **WITHOUT_BEFORE}
    too_large = event(after=b"y", before=bytes(spare - 1))
    assert fitting_frame(too_large) == encode_event(event(after=b"y", before=None, metadata=noted))
    with pytest.raises(PoisonEventError, match="1,000,0"):
        fitting_frame(event(after=bytes(MAX_FRAME_BYTES), before=b"x"))


def test_the_note_of_a_missing_before_image_keeps_other_metadata_and_never_costs_the_new_state() -> None:
    by_ttl = {"deleted_by": "ttl"}
    large = event(before=bytes(MAX_FRAME_BYTES), metadata=by_ttl)
    noted = decode_event(fitting_frame(large))
    assert noted.metadata == {**WITHOUT_BEFORE, **by_ttl}
    assert list(noted.metadata) == sorted(noted.metadata)
    spare = MAX_FRAME_BYTES - len(encode_event(event(after=b"", before=None)))
    fills = event(after=bytes(spare - 2), before=b"x")
    assert fitting_frame(fills) == encode_event(event(after=bytes(spare - 2), before=None))


@pytest.mark.parametrize("part", ["entity", "source", "key", "position"])
def test_a_lone_surrogate_is_poison_and_blamed_on_the_part_that_holds_it(part: str) -> None:
    with pytest.raises(PoisonEventError) as refused:
        event(**{part: "\ud800"})
    assert str(refused.value) == f"{part}: a lone surrogate is not valid text"


def test_a_lone_surrogate_in_metadata_is_poison() -> None:
    with pytest.raises(PoisonEventError):
        encode_event(event(metadata={"file": "\ud800"}))


def test_another_envelope_is_poison_because_of_its_schema() -> None:
    frame = encode_event(event())
    with pytest.raises(PoisonEventError) as refused:
        decode_event(resealed(frame.replace(HEADER, b"\xc3\x01otherone")))
    assert refused.value.cause == "schema"


@pytest.mark.parametrize("frame", [b"", b"\x00\x00\x00\x0e" + HEADER, HEADER * 2])
def test_what_is_too_short_is_poison(frame: bytes) -> None:
    with pytest.raises(PoisonEventError):
        decode_event(frame)


def test_bytes_left_over_are_poison() -> None:
    frame = encode_event(event())
    with pytest.raises(PoisonEventError):
        decode_event(resealed(frame[:-4] + b"\x00" + frame[-4:]))


def test_a_decoded_event_is_consistent_too() -> None:
    frame = encode_event(event()._replace(after=None))
    with pytest.raises(PoisonEventError, match="event: update without after"):
        decode_event(frame)
    with pytest.raises(PoisonEventError, match="the key of a sweep is not a bucket"):
        decode_event(encode_event(sweep()._replace(key='["300"]')))


def test_body_start_is_where_the_avro_body_starts() -> None:
    assert encode_event(event())[BODY_START:].startswith(event().event_id)
