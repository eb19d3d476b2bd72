"""The payload codec, the traps of fastavro that it is there for, and the schema's fingerprint."""

import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from fastavro.schema import to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, LogIntegrityError, PoisonEventError
from schemas.payload.codec import (
    Schema,
    SchemaRegistry,
    make_schema,
    schema_document,
    schema_from_document,
    schema_log_key,
)
from schemas.payload.fingerprint import canonical_form, crc_64_avro, fingerprint

Avro = dict[str, Any]


def record(*fields: Avro, **more: Any) -> Avro:
    return {"type": "record", "name": "Sale", "fields": list(fields), **more}


def schema(*fields: Avro) -> Schema:
    return make_schema("sale", 1, [], record(*fields))


def of_type(avro_type: object, **more: Any) -> Schema:
    return schema({"name": "price", "type": avro_type, **more})


def logical(base: str, name: str, **more: Any) -> Avro:
    return {"type": base, "logicalType": name, **more}


def reason(broken: Schema, values: dict[str, object]) -> str:
    with pytest.raises(PoisonEventError) as caught:
        broken.encode(values)
    assert caught.value.__context__ is None, "an error's cause may hold the value (INV-7)"
    return str(caught.value)


def unreadable(broken: Schema, payload: bytes) -> str:
    with pytest.raises(PoisonEventError) as caught:
        broken.decode(payload)
    assert caught.value.cause == "data"
    assert caught.value.__context__ is None
    return str(caught.value)


def fastavro_bytes(avro: Avro, values: dict[str, object], **options: Any) -> bytes:
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(avro), values, **options)
    return written.getvalue()


def varint(number: int) -> bytes:
    return fastavro_bytes(record({"name": "n", "type": "long"}), {"n": number})


# fastavro's traps: each seen there first, so that the test tells when one is gone


def test_trap_a_fraction_is_not_cut_to_an_int() -> None:
    avro = record({"name": "price", "type": "int"})
    assert fastavro_bytes(avro, {"price": 1.7}, strict=True) == b"\x02"
    assert reason(of_type("int"), {"price": 1.7}) == "sale: field price: takes int, got float"


def test_trap_true_is_not_the_number_one() -> None:
    avro = record({"name": "price", "type": "int"})
    assert fastavro_bytes(avro, {"price": True}, strict=True) == b"\x02"
    assert reason(of_type("int"), {"price": True}) == "sale: field price: takes int, got bool"


def test_trap_2_to_the_31_is_no_int() -> None:
    avro = record({"name": "price", "type": "int"})
    assert fastavro_bytes(avro, {"price": 2**31}, strict=True)
    assert "int takes -2147483648 to 2147483647" in reason(of_type("int"), {"price": 2**31})
    assert "int takes -2147483648 to 2147483647" in unreadable(of_type("int"), varint(2**31))


def test_trap_a_naive_datetime_is_not_taken_as_host_local_time() -> None:
    moment = datetime(2024, 7, 1)  # noqa: DTZ001
    broken = of_type(logical("long", "timestamp-micros"))
    assert reason(broken, {"price": moment}) == "sale: field price: takes a datetime with a time zone"


def test_trap_a_datetime_does_not_become_a_date_by_the_first_branch_that_takes_it() -> None:
    avro = record(
        {"name": "price", "type": ["null", logical("int", "date"), logical("long", "timestamp-micros")]}
    )
    assert fastavro_bytes(avro, {"price": datetime(2024, 7, 1, 9, tzinfo=UTC)})[0] == 2
    broken = of_type(["null", logical("int", "date")])
    assert "takes date, got datetime" in reason(broken, {"price": datetime(2024, 7, 1, 9, tzinfo=UTC)})
    with pytest.raises(ConfigurationError, match=r'allowed: \["null", X\], null first, one X'):
        schema(*avro["fields"])


def test_trap_a_default_comes_as_its_type_and_not_as_avro_writes_it() -> None:
    price = {"name": "price", "type": logical("bytes", "decimal", precision=4, scale=2), "default": "\u0001,"}
    day = {"name": "day", "type": logical("int", "date"), "default": 19723}
    made = schema({"name": "n", "type": "int"}, price, day)
    assert [each.default for each in made.fields[1:]] == [Decimal("3.00"), date(2024, 1, 1)]
    assert made.decode(made.encode({"n": 1})) == {"n": 1, "price": Decimal("3.00"), "day": date(2024, 1, 1)}


def test_trap_trailing_bytes_are_refused() -> None:
    avro = record({"name": "price", "type": "string"})
    assert fastavro.schemaless_reader(io.BytesIO(b"\x02ab"), avro, None) == {"price": "a"}
    assert unreadable(of_type("string"), b"\x02ab") == "the Avro record does not end where its bytes do"


def test_trap_decimal_scales_and_time_units_have_fingerprints_of_their_own() -> None:
    pairs = [
        (
            logical("bytes", "decimal", precision=10, scale=2),
            logical("bytes", "decimal", precision=10, scale=4),
        ),
        (
            logical("bytes", "decimal", precision=10, scale=2),
            logical("bytes", "decimal", precision=12, scale=2),
        ),
        (logical("long", "timestamp-millis"), logical("long", "timestamp-micros")),
        (logical("long", "timestamp-micros"), logical("long", "local-timestamp-micros")),
        (logical("string", "uuid"), "string"),
    ]
    for one, other in pairs:
        first, second = (record({"name": "price", "type": each}) for each in (one, other))
        assert to_parsing_canonical_form(first) == to_parsing_canonical_form(second)
        assert fingerprint(first) != fingerprint(second)


# Payloads


MIXED = schema(
    {"name": "id", "type": "string"},
    {"name": "seats", "type": "int", "default": 7},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "ends_on", "type": ["null", logical("int", "date")]},
)


def test_a_field_left_out_takes_its_default_and_one_without_default_is_missing() -> None:
    assert MIXED.decode(MIXED.encode({"id": "a", "ends_on": None})) == {
        "id": "a",
        "seats": 7,
        "note": None,
        "ends_on": None,
    }
    assert MIXED.decode(MIXED.encode({"id": "a", "seats": 9, "ends_on": None}))["seats"] == 9
    assert reason(MIXED, {"id": "a"}) == "sale: field ends_on: has no value and no default"


def test_a_name_that_the_schema_does_not_have_is_refused() -> None:
    full = {"id": "a", "seats": 1, "note": None, "ends_on": None}
    assert reason(MIXED, {**full, "x": 1, "b": 2}) == "sale: the schema has no field b, x"
    assert reason(MIXED, {"id": "a", "ends_on": None, "password_hash": "s"}).endswith(
        "no field password_hash"
    )
    same_number = {"id": "a", "ends_on": None, "note": None, "x": 1}
    assert reason(MIXED, same_number) == "sale: the schema has no field x"


def test_inv5_the_order_of_the_values_changes_no_byte() -> None:
    values = {"id": "a", "seats": 1, "note": None, "ends_on": date(2024, 1, 1)}
    turned = {name: values[name] for name in reversed(values)}
    assert MIXED.encode(turned) == MIXED.encode(values)
    assert list(MIXED.decode(MIXED.encode(turned))) == ["id", "seats", "note", "ends_on"]


def test_inv5_equal_values_of_other_form_give_the_same_bytes() -> None:
    made = schema(
        {"name": "price", "type": logical("bytes", "decimal", precision=10, scale=2)},
        {"name": "at", "type": logical("long", "timestamp-millis")},
    )
    noon = datetime(2024, 7, 1, 12, tzinfo=UTC)
    one = {"price": Decimal("12.5"), "at": noon}
    other = {"price": Decimal("12.5000"), "at": noon.astimezone(timezone(timedelta(hours=5, minutes=30)))}
    assert made.encode(one) == made.encode(other)


@pytest.mark.parametrize("cut", range(11))
def test_a_payload_cut_anywhere_is_refused(cut: int) -> None:
    whole = MIXED.encode({"id": "abc", "seats": 300, "note": None, "ends_on": date(2024, 1, 1)})
    assert len(whole) == 11
    assert unreadable(MIXED, whole[:cut])


NOT_A_VALUE = [
    ("double", b"\0\0\0\0\0\0\xf0\x7f", "takes finite numbers"),
    ("float", b"\0\0\xc0\x7f", "takes finite numbers"),
    (logical("int", "date"), varint(-719163), "is outside the years 1 to 9999"),
    (logical("int", "date"), varint(2**62), "is outside the years 1 to 9999"),
    (logical("int", "time-millis"), varint(86_400_000), "is outside one day"),
    (logical("long", "time-micros"), varint(-1), "is outside one day"),
    (logical("long", "timestamp-micros"), varint(2**62), "is outside the years 1 to 9999"),
    (logical("bytes", "decimal", precision=2), b"\x02\x64", "does not fit decimal(2,0) exactly"),
    (logical("string", "uuid"), b"\x02a", "is not a UUID in its form of 36 characters"),
    (logical("string", "uuid"), b"\x40" + b"0" * 32, "is not a UUID in its form of 36 characters"),
]
MALFORMED = [
    ("string", b"\x01"),  # a negative length
    ("string", b"\x02\xff"),  # not UTF-8
    ("string", b"\x04\xed\xa0"),  # half a surrogate
    ("string", varint(2**62) + b"a"),  # longer than all there is
    ("double", b"\0" * 7),
    ("long", b"\x80" * 3),
    (["null", "int"], b"\x04\x02"),  # no such branch
    ({"type": "enum", "name": "Plan", "symbols": ["basic"]}, b"\x02"),  # no such symbol
]


@pytest.mark.parametrize(("avro_type", "payload"), MALFORMED)
def test_malformed_bytes_are_refused(avro_type: object, payload: bytes) -> None:
    assert unreadable(of_type(avro_type), payload).startswith("malformed Avro")


@pytest.mark.parametrize(("avro_type", "payload", "rule"), NOT_A_VALUE)
def test_bytes_that_no_value_has_are_refused(avro_type: object, payload: bytes, rule: str) -> None:
    assert unreadable(of_type(avro_type), payload) == f"sale: field price: {rule}"


def test_a_text_longer_than_its_field_is_refused_on_reading_too() -> None:
    assert "takes at most 2 characters, got 3" in unreadable(of_type("string", maxLength=2), b"\x06abc")


# Fingerprints


EVERYTHING: Avro = {
    "type": "record",
    "name": "Everything",
    "namespace": "a.b",
    "doc": "about",
    "fields": [
        {"name": "plain", "type": {"type": "string"}, "doc": "x"},
        {"name": "plan", "type": {"type": "enum", "name": "Plan", "symbols": ["x", "y"], "doc": "z"}},
        {"name": "again", "type": ["null", "Plan"]},
        {"name": "hash", "type": {"type": "fixed", "name": "c.Hash", "size": 8}},
        {"name": "other", "type": "c.Hash"},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "list", "type": {"type": "array", "items": ["null", "long"]}},
        {
            "name": "inner",
            "type": {"type": "record", "name": "Inner", "fields": [{"name": "p", "type": "Plan"}]},
        },
    ],
}


def test_without_our_properties_the_canonical_form_is_avros_own() -> None:
    assert canonical_form(EVERYTHING) == to_parsing_canonical_form(EVERYTHING)
    assert (
        fingerprint("int").hex() == "8f5c393f1ad57572"
    )  # the specification's 7275d51a3f395c8f, least byte first


def reordered(avro: Any) -> Any:
    if isinstance(avro, dict):
        return {name: reordered(avro[name]) for name in sorted(avro, reverse=True) if name != "doc"}
    return [reordered(each) for each in avro] if isinstance(avro, list) else avro


def test_documentation_order_of_names_and_white_space_do_not_count() -> None:
    fields = [
        {
            "name": "a",
            "type": logical("bytes", "decimal", precision=5, scale=1),
            "doc": "x",
            "from": {"a": "d", "b": "c"},
        },
        {"name": "b", "type": ["null", "string"], "default": None, "maxLength": 5},
    ]
    avro = record(*fields, doc="about")
    same = json.loads(json.dumps(reordered(avro), indent=7))
    assert fingerprint(same) == fingerprint(avro)
    assert same["fields"][0]["from"] == avro["fields"][0]["from"]


@pytest.mark.parametrize(
    "changed",
    [
        {"default": "a"},
        {"default": ""},
        {"maxLength": 5},
        {"from": "P"},
        {"from": {"csv:sales": "P"}},
        {"format": "Y|N"},
        {"headwater.json": True},
        {"type": "bytes"},
        {"name": "cost"},
    ],
)
def test_what_decides_a_value_or_its_origin_counts(changed: Avro) -> None:
    plain = {"name": "price", "type": "string"}
    assert fingerprint(record({**plain, **changed})) != fingerprint(record(plain))


def test_entity_version_and_key_count_too() -> None:
    avro = record({"name": "a", "type": "int"}, {"name": "b", "type": "int"})
    made = [
        make_schema("sale", 1, ["a"], avro),
        make_schema("sale", 1, ["b"], avro),
        make_schema("sale", 2, ["a"], avro),
        make_schema("rent", 1, ["a"], avro),
    ]
    assert len({each.fingerprint for each in made}) == 4
    assert len(set(made)) == 4


# Documents and the registry


def test_inv6_the_document_in_the_log_is_enough_to_read_a_payload() -> None:
    made = make_schema("sale", 3, ["id"], record({"name": "id", "type": "string", "doc": "naïve"}))
    read = schema_from_document(schema_document(made))
    assert read == made
    assert (read.entity, read.version, read.key, read.fingerprint) == ("sale", 3, ("id",), made.fingerprint)
    assert read.decode(made.encode({"id": "a"})) == {"id": "a"}
    assert schema_log_key(made.fingerprint) == f"log/_schemas/{made.fingerprint.hex()}.avsc"


def test_inv6_any_avro_reader_takes_the_document() -> None:
    document = json.loads(schema_document(MIXED))
    payload = MIXED.encode({"id": "a", "ends_on": date(2024, 1, 1)})
    read = fastavro.schemaless_reader(io.BytesIO(payload), fastavro.parse_schema(document), None)
    assert read == MIXED.decode(payload)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"headwater.entity": "a"}',
        b'{"type": "record", "name": "A", "fields": []}',
    ],
)
def test_a_document_that_is_no_schema_of_ours_is_damage_in_the_log(document: bytes) -> None:
    with pytest.raises(LogIntegrityError, match=r"^not a schema of Headwater: "):
        schema_from_document(document)


def test_the_registry_finds_a_schema_by_its_fingerprint_or_says_that_it_is_not_known() -> None:
    registry = SchemaRegistry([MIXED])
    assert registry.find(MIXED.fingerprint) is MIXED
    other = of_type("int")
    with pytest.raises(
        PoisonEventError, match=f"no schema has the fingerprint {other.fingerprint.hex()}"
    ) as caught:
        registry.find(other.fingerprint)
    assert caught.value.cause == "schema"
    registry.add(other)
    assert registry.find(other.fingerprint) is other


@given(st.text(max_size=50))
def test_the_fingerprint_is_avros_own_crc(text: str) -> None:
    assert crc_64_avro(text.encode()).hex() == fastavro.schema.fingerprint(text, "CRC-64-AVRO")
