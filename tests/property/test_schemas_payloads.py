"""The payload codec over all values: there and back exactly, and never a silent reading of damage."""

import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PoisonEventError
from schemas.payload.codec import Schema, make_schema, schema_document, schema_from_document
from schemas.payload.fields import FieldType, canonical_json, canonical_json_of

Avro = dict[str, Any]


def logical(base: str, name: str, **more: int) -> Avro:
    return {"type": base, "logicalType": name, **more}


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = 10**precision - 1
    return st.integers(-limit, limit).map(
        lambda number: Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))
    )


def whole_milliseconds(moments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return moments.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=45))])
# A day from both ends, since a zone may lead past them; the edges are in test_schemas_fields.
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES)  # noqa: DTZ001
TEXT = st.text(st.characters(exclude_categories=("Cs",)))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | decimals(38, 10) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3) | st.sets(TEXT, max_size=3)
    ),
    max_leaves=8,
)

KINDS: dict[FieldType, tuple[object, st.SearchStrategy[Any]]] = {
    FieldType.STRING: ("string", TEXT),
    FieldType.INT: ("int", st.integers(-(2**31), 2**31 - 1)),
    FieldType.LONG: ("long", st.integers(-(2**63), 2**63 - 1)),
    FieldType.FLOAT: ("float", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    FieldType.DOUBLE: ("double", st.floats(allow_nan=False, allow_infinity=False)),
    FieldType.BOOLEAN: ("boolean", st.booleans()),
    FieldType.BYTES: ("bytes", st.binary()),
    FieldType.ENUM: (
        {"type": "enum", "name": "Plan", "symbols": [f"p{number}" for number in range(70)]},
        st.integers(0, 69).map("p{}".format),
    ),
    FieldType.DECIMAL: (logical("bytes", "decimal", precision=38, scale=10), decimals(38, 10)),
    FieldType.DATE: (logical("int", "date"), st.dates()),
    FieldType.TIME_MILLIS: (logical("int", "time-millis"), whole_milliseconds(st.times())),
    FieldType.TIME_MICROS: (logical("long", "time-micros"), st.times()),
    FieldType.TIMESTAMP_MILLIS: (logical("long", "timestamp-millis"), whole_milliseconds(MOMENTS)),
    FieldType.TIMESTAMP_MICROS: (logical("long", "timestamp-micros"), MOMENTS),
    FieldType.LOCAL_TIMESTAMP_MILLIS: (
        logical("long", "local-timestamp-millis"),
        whole_milliseconds(st.datetimes()),
    ),
    FieldType.LOCAL_TIMESTAMP_MICROS: (logical("long", "local-timestamp-micros"), st.datetimes()),
    FieldType.UUID: (logical("string", "uuid"), st.uuids()),
    FieldType.JSON: ("string", JSON.map(canonical_json)),
}


def field_of(kind: FieldType, name: str, *, nullable: bool = False) -> Avro:
    avro_type, _ = KINDS[kind]
    of_json = {"headwater.json": True} if kind is FieldType.JSON else {}
    return {"name": name, "type": ["null", avro_type] if nullable else avro_type, **of_json}


def schema_of(fields: list[Avro]) -> Schema:
    return make_schema("sale", 1, [], {"type": "record", "name": "Sale", "fields": fields})


def fastavro_bytes(schema: Schema, values: dict[str, object]) -> bytes:
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(dict(schema.avro)), values)
    return written.getvalue()


def fastavro_values(schema: Schema, payload: bytes) -> object:
    return fastavro.schemaless_reader(io.BytesIO(payload), fastavro.parse_schema(dict(schema.avro)), None)


def exactly_equal(one: object, other: object) -> bool:
    """Equal in value and type; a float in its sign, too."""
    return one == other and type(one) is type(other) and (type(one) is not float or str(one) == str(other))


@pytest.mark.parametrize("nullable", [False, True], ids=["", "nullable"])
@pytest.mark.parametrize("kind", FieldType)
@given(drawn=st.data())
def test_every_value_of_every_kind_comes_back_exactly_and_fastavro_agrees(
    kind: FieldType, nullable: bool, drawn: st.DataObject
) -> None:
    schema = schema_of([field_of(kind, "price", nullable=nullable)])
    assert schema.fields[0].kind is kind
    values = {"price": drawn.draw(st.none() | KINDS[kind][1] if nullable else KINDS[kind][1])}
    payload = schema.encode(values)
    assert exactly_equal(schema.decode(payload)["price"], values["price"])
    assert fastavro_values(schema, payload) == values
    by_fastavro = fastavro_bytes(schema, values)
    assert schema.decode(by_fastavro) == values
    if kind is not FieldType.DECIMAL:  # fastavro writes -128 in two bytes, Java and we in one
        assert by_fastavro == payload


@pytest.mark.parametrize("kind", FieldType)
@given(drawn=st.data())
def test_random_bytes_are_refused_or_read_as_a_value_of_the_field(
    kind: FieldType, drawn: st.DataObject
) -> None:
    schema = schema_of([field_of(kind, "price", nullable=drawn.draw(st.booleans()))])
    try:
        values = schema.decode(drawn.draw(st.binary(max_size=45)))
    except PoisonEventError:
        return
    assert schema.decode(schema.encode(values)) == values


@given(drawn=st.data())
def test_a_record_of_all_kinds_survives_and_no_part_of_it_passes_for_the_whole(drawn: st.DataObject) -> None:
    kinds = drawn.draw(st.permutations(list(FieldType)))
    schema = schema_of([field_of(kind, f"f{number}") for number, kind in enumerate(kinds)])
    values = {f"f{number}": drawn.draw(KINDS[kind][1]) for number, kind in enumerate(kinds)}
    payload = schema.encode(values)
    assert schema.decode(payload) == values
    assert schema_from_document(schema_document(schema)).decode(payload) == values
    with pytest.raises(PoisonEventError):
        schema.decode(payload[: drawn.draw(st.integers(0, len(payload) - 1))])
    with pytest.raises(PoisonEventError):
        schema.decode(payload + b"\0")


@given(drawn=st.data())
def test_a_field_left_out_reads_as_its_default(drawn: st.DataObject) -> None:
    kind = drawn.draw(st.sampled_from([FieldType.STRING, FieldType.LONG, FieldType.BOOLEAN, FieldType.ENUM]))
    default = drawn.draw(KINDS[kind][1])
    fields = [field_of(FieldType.INT, "n"), {**field_of(kind, "price"), "default": default}]
    schema = schema_of(fields)
    assert schema.decode(schema.encode({"n": 1})) == {"n": 1, "price": default}


@given(JSON)
def test_canonical_json_is_its_own_canonical_form(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json_of(text) == text
