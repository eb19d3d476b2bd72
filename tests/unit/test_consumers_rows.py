"""to_row: a row is a function of its winning event alone."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from consumers_world import (
    CATALOG,
    EPOCH_2024,
    ITEM,
    LINE,
    A,
    entity,
    event,
    fact,
    field,
    item,
    logical,
    other_schema,
)

from consumers.facts import read_fact, to_fact
from consumers.rows import to_row
from schemas.errors import PoisonEventError
from schemas.event import Operation, encode_event
from schemas.payload.codec import SchemaRegistry


def test_a_row_holds_what_the_event_says() -> None:
    made = fact(event(ITEM, item("x", 3), 7))
    row = to_row(made, ITEM)
    assert row.values == tuple(item("x", 3).values())
    assert (row.key_hash, row.rank, row.event_id) == (made.key_hash, made.rank, made.event.event_id)
    assert (row.deleted, row.source, row.schema_version) == (False, A, 1)
    assert row.occurred_at == EPOCH_2024 + 7_000_000
    assert row.rank.startswith("2024-000007 0001 ")


def test_a_delete_keeps_the_key_and_sets_every_other_column_to_its_default_or_null() -> None:
    row = to_row(fact(event(ITEM, {"id": "x"}, 1, Operation.DELETE)), ITEM)
    assert row.deleted
    assert row.values == ("x", None, None, None, "new", None, None, None)


def test_a_delete_says_the_same_whatever_image_came_before_it() -> None:
    with_image = event(ITEM, item("x"), 1, Operation.DELETE, before=ITEM.schema.encode(item("x")))
    without = event(ITEM, item("x"), 1, Operation.DELETE)
    assert to_row(fact(with_image), ITEM).values == to_row(fact(without), ITEM).values


def test_key_columns_of_a_delete_are_typed_and_in_their_places() -> None:
    dated = entity(
        "dated",
        [
            field("note", "string"),
            field("day", logical("date", "int")),
            field("amount", logical("decimal", "bytes", precision=9, scale=2)),
        ],
        ["amount", "day"],
    )
    key = {"amount": Decimal("1.50"), "day": date(2024, 2, 29)}
    made = to_fact(
        gone := event(dated, key, 1, Operation.DELETE), encode_event(gone), SchemaRegistry([dated.schema])
    )
    assert to_row(made, dated).values == (None, date(2024, 2, 29), Decimal("1.50"))


def test_a_delete_without_key_fields_has_defaults_alone() -> None:
    assert to_row(fact(event(LINE, {}, 1, Operation.DELETE)), LINE).values == (None,)


@pytest.mark.parametrize("payload", [b"", b"\x02x", ITEM.schema.encode(item("x")) + b"\x00"])
def test_a_malformed_payload_is_poison(payload: bytes) -> None:
    with pytest.raises(PoisonEventError) as caught:
        to_row(fact(event(ITEM, item("x"), 1, after=payload)), ITEM)
    assert caught.value.cause == "data"


@pytest.mark.parametrize("key", ['["x","y"]', "[]", '[ "x"]', '{"id":"x"}', "x", "[1]"])
def test_a_delete_with_a_key_that_is_none_of_the_entity_is_poison(key: str) -> None:
    with pytest.raises(PoisonEventError):
        to_row(fact(event(ITEM, {"id": "x"}, 1, Operation.DELETE, key=key)), ITEM)


@pytest.mark.parametrize("moment", [-(2**63), -62_135_596_800_000_001, 253_402_300_800_000_000, 2**63 - 1])
def test_a_moment_that_no_date_holds_is_poison(moment: int) -> None:
    with pytest.raises(PoisonEventError, match="occurred_at"):
        to_row(fact(event(ITEM, item("x"), 1, occurred_at=moment)), ITEM)


def test_an_event_of_another_schema_than_the_table_is_not_read_down() -> None:
    newer = replace(ITEM, schema=other_schema(ITEM))
    made = event(newer, item("x", added=1), 1)
    known = SchemaRegistry([newer.schema])
    with pytest.raises(PoisonEventError) as caught:
        to_row(read_fact(encode_event(made), known), ITEM)
    assert caught.value.cause == "schema"
    with pytest.raises(PoisonEventError) as caught:
        read_fact(encode_event(made), CATALOG.registry)
    assert caught.value.cause == "schema"


def test_an_event_with_the_schema_of_another_entity_is_poison() -> None:
    made = event(ITEM, item("x"), 1, schema_fingerprint=LINE.schema.fingerprint)
    with pytest.raises(PoisonEventError, match="an event of item with a schema of line"):
        fact(made)


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_a_frame_with_one_bit_flipped_is_no_fact(at: int) -> None:
    frame = bytearray(encode_event(event(ITEM, item("x"), 1)))
    frame[at % len(frame)] ^= 1
    with pytest.raises(PoisonEventError):
        read_fact(bytes(frame), CATALOG.registry)


@pytest.mark.parametrize("frame", [b"", b"\x00", b"\x00\x00\x00\x00", bytes(100), b"Hello, this is a test."])
def test_what_is_no_frame_is_no_fact(frame: bytes) -> None:
    with pytest.raises(PoisonEventError):
        read_fact(frame, CATALOG.registry)
