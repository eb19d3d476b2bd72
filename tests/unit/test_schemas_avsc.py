"""Avro schemas as fields: each type that we take, and the clear error for each that we do not."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.errors import ConfigurationError
from schemas.payload.avsc import read_fields
from schemas.payload.codec import make_schema
from schemas.payload.fields import FieldType

Avro = dict[str, Any]

URN: Avro = {"name": "urn", "type": "int"}


def record(*fields: object, **more: Any) -> Avro:
    return {"type": "record", "name": "Link", "fields": list(fields), **more}


def refusal(avsc: Avro) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make_schema("link", 1, ["urn"], avsc)
    return str(caught.value)


ALL_TYPES = [
    ("string", {"maxLength": 5, "default": "a"}, FieldType.STRING, "a"),
    ({"type": "string"}, {"default": ""}, FieldType.STRING, ""),
    ("string", {"headwater.json": True, "default": '{"a":1}'}, FieldType.JSON, '{"a":1}'),
    ("int", {"default": -5}, FieldType.INT, -5),
    ("long", {"default": 2**40}, FieldType.LONG, 2**40),
    ("float", {"default": 1}, FieldType.FLOAT, 1.0),
    ("double", {"default": 1.5}, FieldType.DOUBLE, 1.5),
    ("boolean", {"default": False, "format": "Y|N"}, FieldType.BOOLEAN, False),
    ("bytes", {"default": "\u00ff\u0000"}, FieldType.BYTES, b"\xff\0"),
    (
        {"type": "enum", "name": "Plan", "symbols": ["A", "b_1"], "doc": "x"},
        {"default": "b_1"},
        FieldType.ENUM,
        "b_1",
    ),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2},
        {"default": "\u00ff"},
        FieldType.DECIMAL,
        Decimal("-0.01"),
    ),
    (
        {"type": "int", "logicalType": "date"},
        {"default": 0, "format": "%d-%b-%Y"},
        FieldType.DATE,
        date(1970, 1, 1),
    ),
    (
        {"type": "int", "logicalType": "time-millis"},
        {"default": 1, "format": "%I:%M %p"},
        FieldType.TIME_MILLIS,
        time(0, 0, 0, 1000),
    ),
    ({"type": "long", "logicalType": "time-micros"}, {"default": 1}, FieldType.TIME_MICROS, time(0, 0, 0, 1)),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        {"default": 1000, "format": "epoch-seconds"},
        FieldType.TIMESTAMP_MILLIS,
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    ),
    (
        {"type": "long", "logicalType": "timestamp-micros"},
        {"default": 1, "format": "%Y-%m-%dT%H:%M:%S%z"},
        FieldType.TIMESTAMP_MICROS,
        datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    ),
    (
        {"type": "long", "logicalType": "local-timestamp-millis"},
        {"default": 0, "format": "%d/%m/%Y"},
        FieldType.LOCAL_TIMESTAMP_MILLIS,
        datetime(1970, 1, 1),  # noqa: DTZ001
    ),
    (
        {"type": "long", "logicalType": "local-timestamp-micros"},
        {"default": 0, "format": "epoch-millis"},
        FieldType.LOCAL_TIMESTAMP_MICROS,
        datetime(1970, 1, 1),  # noqa: DTZ001
    ),
    (
        {"type": "string", "logicalType": "uuid"},
        {"default": "12345678-1234-1234-1234-123456789abc"},
        FieldType.UUID,
        UUID("12345678-1234-1234-1234-123456789abc"),
    ),
]


@pytest.mark.parametrize(("avro_type", "more", "kind", "default"), ALL_TYPES)
def test_every_avro_type_that_we_take_with_its_default(
    avro_type: object, more: Avro, kind: FieldType, default: object
) -> None:
    avsc = record(URN, {"name": "price", "type": avro_type, **more}, namespace="a.b", doc="about")
    _, field = read_fields(avsc)
    assert (field.kind, field.default, type(field.default)) == (kind, default, type(default))


def test_a_field_that_may_be_null_has_the_default_null() -> None:
    avsc = record(
        URN, {"name": "price", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None}
    )
    _, field = read_fields(avsc)
    assert (field.kind, field.nullable, field.default) == (FieldType.DATE, True, None)


def test_two_fields_may_be_of_one_enum() -> None:
    plan = {"type": "enum", "name": "Plan", "symbols": ["a", "b"]}
    others = [{"name": "now", "type": plan}, {"name": "then", "type": ["null", "Plan"]}]
    others.append({"name": "later", "type": "x.Plan"})
    fields = read_fields(record(URN, *others, namespace="x"))
    assert [field.symbols for field in fields[1:]] == [("a", "b")] * 3


# What is allowed, said once
AVRO_NAME = "an Avro name: a letter or _ first, then letters, digits and _"
RECORD = "type, name, namespace, doc, fields"
FIELD = (
    "name, type, default, doc, aliases, from, maxLength, format, headwater.json, headwater.casts, "
    "headwater.private"
)
ALIASES = "a list of older names of this field, each once"
TYPES = (
    "string, int, long, float, double, boolean, bytes, enum, [null, one of these]; "
    'a nested value is a string with "headwater.json": true'
)
LOGICAL = (
    "decimal, date, time-millis, time-micros, "
    "timestamp-millis, timestamp-micros, local-timestamp-millis, local-timestamp-micros, uuid"
)
UNION = '["null", X], null first, one X'
DATE = "a pattern of strptime with a whole date"
TWO_TEXTS = 'two different texts, true first, as in "Y|N"'
FORMATTED = "on dates, times, timestamps and booleans only; this is int"


NAMES = [
    ("Link", "lower snake case: a-z first, then a-z, 0-9 and _"),
    ("link-up", "lower snake case: a-z first, then a-z, 0-9 and _"),
    ("1link", "lower snake case: a-z first, then a-z, 0-9 and _"),
    ("löve", "lower snake case: a-z first, then a-z, 0-9 and _"),
    ("link__r1", "no name with __: it separates a table's name from its revision"),
    ("_link", "no name that starts with _: those are Headwater's own columns"),
    ("a" * 101, "a name of at most 100 characters, this one has 101"),
]


@pytest.mark.parametrize(("name", "allowed"), NAMES)
def test_a_field_name_that_is_no_sql_name(name: str, allowed: str) -> None:
    text = refusal(record(URN, {"name": name, "type": "int"}))
    assert text.startswith("field 2, name: found ")
    assert text.endswith(f"; allowed: {allowed}")


# What is wrong in v1.avsc


WRONG_RECORDS: list[tuple[Avro, str]] = [
    (record(URN, alias="x"), f'record: unknown property: found "alias"; allowed: {RECORD}'),
    (
        record(URN, **{"headwater.private": True}),
        f'record: unknown property: found "headwater.private"; allowed: {RECORD}',
    ),
    (
        record(URN, **{"headwater.key": ["urn"]}),
        f'record: unknown property: found "headwater.key"; allowed: {RECORD}',
    ),
    ({**record(URN), "type": "enum"}, 'record, type: found "enum"; allowed: "record"'),
    ({"type": "record", "fields": [URN]}, f"record, name: found null; allowed: {AVRO_NAME}"),
    (record(URN) | {"name": "My-Link"}, f'record, name: found "My-Link"; allowed: {AVRO_NAME}'),
    (record(URN, namespace="a..b"), f'record, namespace: found "a..b"; allowed: {AVRO_NAME}'),
    (record(), "record, fields: found []; allowed: a list of at least one field"),
    ({"type": "record", "name": "Link"}, "record, fields: found null; allowed: a list of at least one field"),
    (record("urn"), 'field 1: found "urn"; allowed: an object with "name" and "type"'),
    (record({"type": "int"}), 'field 1: "name" is missing; allowed: a name in lower snake case'),
    (record({"name": "urn"}), 'field urn: "type" is missing; allowed: an Avro type'),
    (record(URN, URN), "field urn: found two of that name; allowed: one"),
]


def field(avro_type: object, **more: object) -> Avro:
    return {"name": "price", "type": avro_type, **more}


def enum(**more: object) -> Avro:
    return {"type": "enum", "name": "Plan", "symbols": ["a", "b"], **more}


def decimal(**more: object) -> Avro:
    return {"type": "bytes", "logicalType": "decimal", "precision": 5, **more}


WRONG_FIELDS: list[tuple[Avro, str]] = [
    (
        field("int", maxlength=5),
        f': unknown property: found "maxlength"; did you mean "maxLength"? allowed: {FIELD}',
    ),
    (
        field("int", alias=["x"]),
        f': unknown property: found "alias"; did you mean "aliases"? allowed: {FIELD}',
    ),
    (field("int", aliases="x"), f', aliases: found "x"; allowed: {ALIASES}'),
    (field("int", aliases=["x", "x"]), f', aliases: found ["x", "x"]; allowed: {ALIASES}'),
    (field("int", aliases=["price"]), f', aliases: found ["price"]; allowed: {ALIASES}'),
    (
        field("int", aliases=["X"]),
        ', aliases: found "X"; allowed: lower snake case: a-z first, then a-z, 0-9 and _',
    ),
    (
        field("string", **{"headwater.private": "hide"}),
        ', headwater.private: found "hide"; allowed: mask, hash, drop',
    ),
    (
        field("int", **{"headwater.private": "hash"}),
        ', headwater.private: found "hash"; allowed: drop, or any of them on a string; this is int',
    ),
    (
        field("string", **{"headwater.casts": "int"}),
        ', headwater.casts: found "int"; allowed: a list of kinds that the field had',
    ),
    (
        field("string", maxLength=15, **{"headwater.casts": ["long"]}),
        ', headwater.casts: found "long"; allowed: int, boolean, date, time-millis, time-micros',
    ),
    (
        field("int", **{"headwater.casts": ["string"]}),
        ', headwater.casts: found "string"; allowed: nothing',
    ),
    (field("strin"), f', type: found "strin"; did you mean "string"? allowed: {TYPES}'),
    (field("null"), f', type: found "null"; allowed: {TYPES}'),
    (field(5), f", type: found 5; allowed: {TYPES}"),
    (field({"type": "array", "items": "int"}), f', type: found "array"; allowed: {TYPES}'),
    (field({"type": "map", "values": "int"}), f', type: found "map"; allowed: {TYPES}'),
    (field(record(URN)), f', type: found "record"; allowed: {TYPES}'),
    (field({"type": "fixed", "name": "F", "size": 8}), f', type: found "fixed"; allowed: {TYPES}'),
    (field("Link"), f', type: found "Link"; allowed: {TYPES}'),
    (field({"logicalType": "date"}), f", type: found null; allowed: {TYPES}"),
    (field(["string", "null"]), f', type: found ["string", "null"]; allowed: {UNION}'),
    (field(["null", "int", "string"]), f', type: found ["null", "int", "string"]; allowed: {UNION}'),
    (field(["null"]), f', type: found ["null"]; allowed: {UNION}'),
    (field(["null", ["null", "int"]]), f', type: found ["null", ["null", "int"]]; allowed: {UNION}'),
    (field(["null", "null"]), f', type: found ["null", "null"]; allowed: {UNION}'),
    (
        field({"type": "long", "logicalType": "timestamp-nanos"}),
        f', logicalType: found "timestamp-nanos"; did you mean "timestamp-micros"? allowed: {LOGICAL}',
    ),
    (field({"type": "long", "logicalType": 5}), f", logicalType: found 5; allowed: {LOGICAL}"),
    (field({"type": "long", "logicalType": []}), f", logicalType: found []; allowed: {LOGICAL}"),
    (
        field({"type": "int", "logicalType": "timestamp-micros"}),
        ', type of timestamp-micros: found "int"; allowed: "long"',
    ),
    (
        field({"type": "int", "logicalType": "date", "precision": 5}),
        ', type: unknown property: found "precision"; allowed: type, logicalType, doc',
    ),
    (
        field({"type": "string", "maxLength": 5}),
        ', type: unknown property: found "maxLength"; allowed: type, logicalType, doc',
    ),
    (
        field({"type": "bytes", "logicalType": "decimal"}),
        ': "precision" is missing; allowed: a whole number from 1 to 38',
    ),
    (field(decimal(precision=39)), ", precision: found 39; allowed: a whole number from 1 to 38"),
    (field(decimal(precision="5")), ', precision: found "5"; allowed: a whole number from 1 to 38'),
    (field(decimal(precision=True)), ", precision: found true; allowed: a whole number from 1 to 38"),
    (field(decimal(precision=0)), ", precision: found 0; allowed: a whole number from 1 to 38"),
    (field(decimal(scale=6)), ", scale: found 6; allowed: a whole number from 0 to 5"),
    (field(decimal(scale=-1)), ", scale: found -1; allowed: a whole number from 0 to 5"),
    (field(enum(symbols=[])), ", symbols: found []; allowed: a list of at least one symbol"),
    (field(enum(symbols=["a", "a"])), ', symbols: found ["a", "a"]; allowed: each symbol once'),
    (field(enum(symbols=["a b"])), f', symbols: found "a b"; allowed: {AVRO_NAME}'),
    (field(enum(symbols=["a.b"])), ', symbols: found "a.b"; allowed: a symbol without dots'),
    (
        field(enum(name="Link")),
        ', type, name: found "Link"; allowed: a name that no other type of this record has',
    ),
    (field(enum(name="1")), f', type, name: found "1"; allowed: {AVRO_NAME}'),
    (
        field(enum(default="a")),
        ', type: unknown property: found "default"; allowed: type, name, namespace, doc, symbols',
    ),
    (field("string", maxLength=0), ", maxLength: found 0; allowed: a whole number from 1 to 1000000"),
    (field("string", maxLength="5"), ', maxLength: found "5"; allowed: a whole number from 1 to 1000000'),
    (field("int", maxLength=5), ", maxLength: found 5; allowed: on string and bytes only; this is int"),
    (field("string", **{"from": 5}), ", from: found 5; allowed: a name, or an object of a name by source"),
    (field("string", **{"from": ""}), ', from, *: found ""; allowed: a name'),
    (field("string", **{"from": {}}), ", from: found {}; allowed: a name, or an object of a name by source"),
    (field("string", **{"from": {"csv:links": 5}}), ", from, csv:links: found 5; allowed: a name"),
    (field("int", format="%Y"), f', format: found "%Y"; allowed: {FORMATTED}'),
    (
        field({"type": "int", "logicalType": "date"}, format="%d/%m"),
        f', format: found "%d/%m"; allowed: {DATE}',
    ),
    (
        field({"type": "int", "logicalType": "date"}, format="epoch-seconds"),
        f', format: found "epoch-seconds"; allowed: {DATE}',
    ),
    (
        field({"type": "int", "logicalType": "date"}, format="%d/%m/%Q"),
        f', format: found "%d/%m/%Q"; allowed: {DATE}',
    ),
    (field({"type": "int", "logicalType": "date"}, format=5), f", format: found 5; allowed: {DATE}"),
    (
        field({"type": "int", "logicalType": "time-millis"}, format="%M"),
        ', format: found "%M"; allowed: a pattern of strptime with an hour',
    ),
    (
        field({"type": "long", "logicalType": "timestamp-millis"}, format="epoch"),
        f', format: found "epoch"; allowed: {DATE}, or epoch-seconds or epoch-millis',
    ),
    (field("boolean", format="Y"), f', format: found "Y"; allowed: {TWO_TEXTS}'),
    (field("boolean", format="Y|Y"), f', format: found "Y|Y"; allowed: {TWO_TEXTS}'),
    (field("boolean", format="Y|"), f', format: found "Y|"; allowed: {TWO_TEXTS}'),
    (field("boolean", format="Y|N|M"), f', format: found "Y|N|M"; allowed: {TWO_TEXTS}'),
    (field("boolean", format=5), f", format: found 5; allowed: {TWO_TEXTS}"),
    (
        field("string", **{"headwater.json": False}),
        ", headwater.json: found false; allowed: true, on a string; this is string",
    ),
    (
        field("int", **{"headwater.json": True}),
        ", headwater.json: found true; allowed: true, on a string; this is int",
    ),
    (field("int", default="5"), ', default: found "5"; allowed: a value of int, as Avro writes defaults'),
    (
        field("int", default=2**31),
        ", default: found 2147483648; allowed: a value of int, as Avro writes defaults",
    ),
    (field("int", default=True), ", default: found true; allowed: a value of int, as Avro writes defaults"),
    (field("int", default=None), ", default: found null; allowed: a value of int, as Avro writes defaults"),
    (
        field(["null", "int"], default=5),
        ", default: found 5; allowed: null: a default is of the union's first type",
    ),
    (
        field("string", default="abc", maxLength=2),
        ', default: found "abc"; allowed: a value of string, as Avro writes defaults',
    ),
    (
        field("bytes", default="\u0100"),
        ', default: found "Ā"; allowed: a value of bytes, as Avro writes defaults',
    ),
    (
        field(decimal(), default="zzz"),
        ', default: found "zzz"; allowed: a value of decimal, as Avro writes defaults',
    ),
    (field(enum(), default="c"), ', default: found "c"; allowed: a value of enum, as Avro writes defaults'),
    (
        field({"type": "int", "logicalType": "date"}, default="2024-01-01"),
        ', default: found "2024-01-01"; allowed: a value of date, as Avro writes defaults',
    ),
    (
        field({"type": "string", "logicalType": "uuid"}, default="x"),
        ', default: found "x"; allowed: a value of uuid, as Avro writes defaults',
    ),
    (
        field("double", default="NaN"),
        ', default: found "NaN"; allowed: a value of double, as Avro writes defaults',
    ),
    (
        field("string", default='{ "a": 1 }', **{"headwater.json": True}),
        ', default: found "{ \\"a\\": 1 }"; allowed: a value of json, as Avro writes defaults',
    ),
    (
        field("string", default="{", **{"headwater.json": True}),
        ', default: found "{"; allowed: a value of json, as Avro writes defaults',
    ),
]


@pytest.mark.parametrize(("avsc", "expected"), WRONG_RECORDS)
def test_a_wrong_record(avsc: Avro, expected: str) -> None:
    assert refusal(avsc) == expected


@pytest.mark.parametrize(("wrong", "expected"), WRONG_FIELDS)
def test_a_wrong_field(wrong: Avro, expected: str) -> None:
    text = refusal(record(URN, wrong))
    assert text == f"field price{expected}"
