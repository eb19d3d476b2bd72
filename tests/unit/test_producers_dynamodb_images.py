"""A typed attribute becomes the exact value of a field, or a refusal that names field and types, no value."""

import json
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from dynamodb_world import entity, logical, nullable

from producers.dynamodb.images import NO_STATE, ItemReader, ItemState
from schemas.catalog.entity import Entity
from schemas.sources.dynamodb import DynamoDbSource

ENUM = {"type": "enum", "name": "Plan", "symbols": ["trial", "basic"]}
DECIMAL = logical("decimal", "bytes", precision=38, scale=10)
SECRET = "SECRET-3141"


def reader_of(made: Entity) -> ItemReader:
    (source,) = made.sources
    assert isinstance(source, DynamoDbSource)
    return ItemReader(made, source)


def one_field(kind: Any, **more: Any) -> ItemReader:
    fields = [{"name": "id", "type": "string"}, {"name": "x", "type": kind, **more}]
    return reader_of(entity("thing", fields, ["id"], table="things"))


def state(reader: ItemReader, attribute: Mapping[str, Any] | None) -> ItemState:
    item = {"id": {"S": "1"}, "unnamed": {"S": SECRET}}
    return reader.new_state(item if attribute is None else {**item, "x": attribute})


def value(reader: ItemReader, attribute: Mapping[str, Any] | None) -> object:
    made = state(reader, attribute)
    assert made.error is None, made.error.reason
    assert made.payload is not None
    return reader.entity.schema.decode(made.payload)["x"]


def reason(reader: ItemReader, attribute: Mapping[str, Any] | None) -> str:
    made = state(reader, attribute)
    assert (made.key, made.payload) == ('["1"]', None)
    assert made.error is not None
    assert made.error.cause == "data"
    return made.error.reason


EXACT = [
    ("string", {"S": "naïve ✓ \n"}, "naïve ✓ \n"),
    ("string", {"S": ""}, ""),
    (ENUM, {"S": "basic"}, "basic"),
    ("int", {"N": "-2147483648"}, -(2**31)),
    ("int", {"N": "3E+2"}, 300),
    ("int", {"N": "12.00"}, 12),
    ("int", {"N": "0"}, 0),
    ("long", {"N": "9223372036854775807"}, 2**63 - 1),
    ("double", {"N": "0.1"}, 0.1),
    ("double", {"N": "9007199254740993"}, 9007199254740992.0),
    ("double", {"N": "1E-130"}, 1e-130),
    ("float", {"N": "0.1"}, struct.unpack("<f", struct.pack("<f", 0.1))[0]),
    ("boolean", {"BOOL": False}, False),
    ("bytes", {"B": "AP8="}, b"\x00\xff"),
    (
        DECIMAL,
        {"N": "1234567890123456789012345678.0123456789"},
        Decimal("1234567890123456789012345678.0123456789"),
    ),
    (DECIMAL, {"N": "-1E-10"}, Decimal("-1E-10")),
    (DECIMAL, {"N": "7"}, Decimal(7)),
    (logical("date", "int"), {"S": "2024-02-29"}, date(2024, 2, 29)),
    (logical("time-millis", "int"), {"S": "23:59:59.999"}, time(23, 59, 59, 999_000)),
    (logical("time-micros", "long"), {"S": "00:00:00.000001"}, time(0, 0, 0, 1)),
    (
        logical("timestamp-micros", "long"),
        {"S": "2024-05-01T10:00:00.000001+02:00"},
        datetime(2024, 5, 1, 8, 0, 0, 1, UTC),
    ),
    (
        logical("timestamp-millis", "long"),
        {"S": "2024-05-01T10:00:00Z"},
        datetime(2024, 5, 1, 10, tzinfo=UTC),
    ),
    (logical("local-timestamp-micros", "long"), {"S": "2024-05-01T10:00:00"}, datetime(2024, 5, 1, 10)),  # noqa: DTZ001
    (
        logical("uuid", "string"),
        {"S": "00112233-4455-6677-8899-AABBCCDDEEFF"},
        UUID("00112233-4455-6677-8899-aabbccddeeff"),
    ),
]


@pytest.mark.parametrize(("kind", "attribute", "expected"), EXACT, ids=lambda given: str(given)[:40])
def test_each_type_becomes_the_exact_value(kind: Any, attribute: Mapping[str, Any], expected: object) -> None:
    found = value(one_field(kind), attribute)
    assert (found, type(found)) == (expected, type(expected))
    assert str(found) == str(expected) or isinstance(expected, Decimal)


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("epoch-seconds", "1714557600", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("epoch-seconds", "1714557600.123456", datetime(2024, 5, 1, 10, 0, 0, 123456, UTC)),
        ("epoch-millis", "-1", datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)),
    ],
)
def test_a_moment_may_be_a_number_where_the_format_says_so(form: str, text: str, expected: datetime) -> None:
    reader = one_field(logical("timestamp-micros", "long"), format=form)
    assert value(reader, {"N": text}) == expected
    assert "takes an attribute of type N, got S" in reason(reader, {"S": text})


def test_a_date_may_have_a_format_of_its_own() -> None:
    assert value(one_field(logical("date", "int"), format="%d/%m/%Y"), {"S": "01/05/2024"}) == date(
        2024, 5, 1
    )


REFUSED = [
    ("string", {"N": "3141"}, "takes an attribute of type S, got N"),
    ("string", {"BOOL": True}, "takes an attribute of type S, got BOOL"),
    ("string", {"SS": [SECRET]}, "takes an attribute of type S, got SS"),
    ("string", {"NULL": True}, "takes str, got NoneType"),
    ("string", {"S": "\ud800"}, "lone surrogate"),
    ("string", {SECRET: "x"}, "not an attribute as DynamoDB writes them"),
    ("int", SECRET, "not an attribute as DynamoDB writes them"),
    ("string", {"S": 3141}, "takes str, got int"),
    (ENUM, {"S": SECRET}, "takes one of trial, basic"),
    ("int", {"S": "3141"}, "takes an attribute of type N, got S"),
    ("int", {"N": "2147483648"}, "-2147483648 to 2147483647"),
    ("int", {"N": "3141.5"}, "takes whole numbers"),
    ("int", {"N": "1E+125"}, "-2147483648 to 2147483647"),
    ("int", {"N": "3_141"}, "is not a number"),
    ("int", {"N": " 3141"}, "is not a number"),
    ("int", {"N": "٣"}, "is not a number"),
    ("int", {"N": 3141}, "not an attribute as DynamoDB writes them"),
    ("long", {"N": "9223372036854775808"}, "9223372036854775807"),
    ("double", {"N": "NaN"}, "is not a number"),
    ("double", {"N": "Infinity"}, "is not a number"),
    ("float", {"N": "1E+100"}, "too large for a float of 32 bits"),
    ("boolean", {"S": "true"}, "takes an attribute of type BOOL, got S"),
    ("boolean", {"BOOL": 1}, "takes bool, got int"),
    ("bytes", {"S": "AP8="}, "takes an attribute of type B, got S"),
    ("bytes", {"B": "A?=="}, "is not base64"),
    (DECIMAL, {"S": "3141"}, "takes an attribute of type N, got S"),
    (DECIMAL, {"N": "0.00000000001"}, "does not fit decimal(38,10) exactly"),
    (DECIMAL, {"N": "1E+28"}, "does not fit decimal(38,10) exactly"),
    (DECIMAL, {"N": ["3141"]}, "not an attribute as DynamoDB writes them"),
    (logical("date", "int"), {"S": "2023-02-29"}, "is not a date"),
    (logical("date", "int"), {"S": "20240501"}, "is not a date"),
    (logical("date", "int"), {"N": "3141"}, "takes an attribute of type S, got N"),
    (logical("timestamp-micros", "long"), {"S": "2024-05-01T10:00:00"}, "with a time zone"),
    (logical("timestamp-micros", "long"), {"S": "2024-05-01T10:00:00.1234567Z"}, "is not a moment"),
    (logical("timestamp-millis", "long"), {"S": "2024-05-01T10:00:00.0001Z"}, "whole milliseconds"),
    (logical("local-timestamp-micros", "long"), {"S": "2024-05-01T10:00:00Z"}, "without a time zone"),
    (logical("uuid", "string"), {"S": "{00112233-4455-6677-8899-aabbccddeeff}"}, "is not a UUID"),
]


@pytest.mark.parametrize(("kind", "attribute", "rule"), REFUSED, ids=lambda given: str(given)[:40])
def test_inv7_what_does_not_fit_is_refused_naming_field_and_rule_never_the_value(
    kind: Any, attribute: Mapping[str, Any], rule: str
) -> None:
    told = reason(one_field(kind), attribute)
    assert told.startswith("field x: ")
    assert rule in told
    assert "3141" not in told


def test_null_is_null_and_a_missing_attribute_is_the_default() -> None:
    reader = reader_of(
        entity(
            "thing",
            [
                {"name": "id", "type": "string"},
                nullable("x", "int"),
                {"name": "y", "type": "int", "default": 7},
            ],
            ["id"],
        )
    )
    for attributes in ({}, {"x": {"NULL": True}}):
        made = reader.new_state({"id": {"S": "1"}, **attributes})
        assert made.payload is not None
        assert reader.entity.schema.decode(made.payload) == {"id": "1", "x": None, "y": 7}


def test_a_missing_attribute_without_a_default_is_refused() -> None:
    assert (
        reason(one_field("string"), None)
        == "field x: the item has no such attribute, and the field no default"
    )


# JSON

NESTED = {
    "M": {
        "b": {"L": [{"N": "1.50"}, {"N": "1E+3"}, {"NULL": True}, {"BOOL": True}, {"S": 'a"\n✓'}]},
        "a": {"M": {"raw": {"B": "AP8="}, "": {"M": {}}}},
        "sets": {"L": [{"SS": ["b", "a", "B"]}, {"NS": ["10", "9.0", "-1"]}, {"BS": ["/w==", "AA=="]}]},
    }
}
CANONICAL = (
    '{"a":{"":{},"raw":"AP8="},"b":[1.5,1000,null,true,"a\\"\\n✓"],'
    '"sets":[["B","a","b"],[-1,9,10],["AA==","/w=="]]}'
)


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        (NESTED, CANONICAL),
        ({"S": "text"}, '"text"'),
        ({"N": "-0.10"}, "-0.1"),
        ({"SS": ["b", "a"]}, '["a","b"]'),
        ({"L": []}, "[]"),
        ({"BOOL": False}, "false"),
        ({"B": "AP8="}, '"AP8="'),
    ],
)
def test_inv5_a_json_field_takes_every_type_in_one_canonical_form(
    attribute: Mapping[str, Any], expected: str
) -> None:
    found = value(one_field("string", **{"headwater.json": True}), attribute)
    assert found == expected
    json.loads(str(found))


def test_null_in_a_json_field_is_null_and_no_text() -> None:
    fields = [{"name": "id", "type": "string"}, nullable("x", "string", **{"headwater.json": True})]
    reader = reader_of(entity("thing", fields, ["id"]))
    assert value(reader, {"NULL": True}) is None
    assert value(reader, {"L": [{"NULL": True}]}) == "[null]"


@pytest.mark.parametrize(
    "attribute",
    [
        {"M": {"a": {"N": "x"}}},
        {"L": [{"B": "?"}]},
        {SECRET: 1},
        {"L": [{SECRET: 1}]},
        {"L": [{}]},
        {"L": [{"S": "a", "N": "1"}]},
        {"M": 3},
    ],
)
def test_inv7_a_broken_attribute_within_json_is_refused(attribute: Mapping[str, Any]) -> None:
    told = reason(one_field("string", **{"headwater.json": True}), attribute)
    assert told.startswith("field x: ")
    assert SECRET not in told


# Keys


KEYED = entity(
    "thing",
    [
        {"name": "n", "type": "long", "from": "pk"},
        {"name": "d", "type": logical("date", "int"), "from": "sk"},
        {"name": "total", "type": DECIMAL},
    ],
    ["d", "n"],
)


def test_a_key_has_the_typed_values_in_the_order_of_the_entity() -> None:
    made = reader_of(KEYED).new_state({"pk": {"N": "1E+1"}, "sk": {"S": "2024-05-01"}, "total": {"N": "1"}})
    assert made.key == '["2024-05-01","10"]'


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        ({"sk": {"S": "2024-05-01"}}, "field n: the item has no such attribute"),
        ({"pk": {"S": "10"}, "sk": {"S": "2024-05-01"}}, "field n: takes an attribute of type N, got S"),
        ({"pk": {"N": "1E+30"}, "sk": {"S": "2024-05-01"}}, "field n: long takes"),
        ({"pk": {"NULL": True}, "sk": {"S": "2024-05-01"}}, "field n: takes int, got NoneType"),
    ],
)
def test_an_item_without_a_usable_key_has_no_state_in_either_image(
    attributes: Mapping[str, Any], rule: str
) -> None:
    reader = reader_of(KEYED)
    for made in (
        reader.new_state({**attributes, "total": {"N": "1"}}),
        reader.old_state({**attributes, "total": {"N": "1"}}, NO_STATE),
    ):
        assert (made.key, made.payload) == (None, None)
        assert made.error is not None
        assert made.error.reason.startswith(rule)


def test_a_key_is_known_where_the_rest_of_the_item_is_not() -> None:
    item = {"pk": {"N": "10"}, "sk": {"S": "2024-05-01"}, "total": {"S": "1"}}
    reader = reader_of(KEYED)
    new, old = reader.new_state(item), reader.old_state(item, NO_STATE)
    assert new.key == old.key == '["2024-05-01","10"]'
    assert new.payload is old.payload is None
    assert new.error is not None
    assert old.error is None


# Old images beside new ones

ITEM = {"pk": {"N": "10"}, "sk": {"S": "2024-05-01"}, "total": {"N": "1"}}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"total": {"N": "2.5"}},
        {"pk": {"N": "11"}},
        {"total": {"S": "1"}},
        {"pk": {"S": "x"}},
        {"pk": {"N": "10.0"}},
    ],
    ids=str,
)
def test_an_old_image_says_the_same_beside_a_new_one_as_alone(change: Mapping[str, Any]) -> None:
    reader = reader_of(KEYED)
    for old, new in ((ITEM, {**ITEM, **change}), ({**ITEM, **change}, ITEM)):
        alone, beside = reader.old_state(old, NO_STATE), reader.old_state(old, reader.new_state(new))
        assert (alone.key, alone.payload) == (beside.key, beside.payload)
        assert (alone.error is None) == (beside.error is None)


def test_inv7_an_attribute_that_no_field_names_is_never_looked_at() -> None:
    class Watched(dict[str, Any]):
        """Says which attributes were asked for."""

        asked: set[str] = set()

        def get(self, name: str, default: Any = None) -> Any:
            self.asked.add(name)
            return super().get(name, default)

        def __getitem__(self, name: str) -> Any:
            self.asked.add(name)
            return super().__getitem__(name)

        def items(self) -> Any:
            raise AssertionError("the whole item was read")

        values = __iter__ = items

    reader = reader_of(KEYED)
    new = reader.new_state(Watched({**ITEM, "password": {"S": SECRET}}))
    reader.old_state(Watched({**ITEM, "password": {"S": SECRET}}), new)
    assert reader.claims(Watched(ITEM))
    assert Watched.asked == {"pk", "sk", "total"}


# Routing


@pytest.mark.parametrize(
    ("where", "item", "claimed"),
    [
        ({}, {}, True),
        ({"kind": "room"}, {"kind": {"S": "room"}}, True),
        ({"kind": "room"}, {"kind": {"S": "rooms"}}, False),
        ({"kind": "room*"}, {"kind": {"S": "rooms"}}, True),
        ({"kind": "room*"}, {"kind": {"S": "Room"}}, False),
        ({"kind": "room"}, {"kind": {"N": "1"}}, False),
        ({"kind": "1"}, {"kind": {"N": "1"}}, False),
        ({"kind": "room"}, {}, False),
        ({"kind": "room", "state": "new"}, {"kind": {"S": "room"}, "state": {"S": "new"}}, True),
        ({"kind": "room", "state": "new"}, {"kind": {"S": "room"}, "state": {"S": "old"}}, False),
    ],
)
def test_an_item_is_the_entitys_where_every_pattern_holds(
    where: Mapping[str, str], item: Mapping[str, Any], claimed: bool
) -> None:
    made = entity("thing", [{"name": "id", "type": "string"}], ["id"], where=where)
    assert reader_of(made).claims(item) is claimed


@pytest.mark.parametrize(
    ("attribute", "text"),
    [({"N": "-5"}, "-5"), ({"N": "2.0"}, "2"), ({"S": "05"}, "05"), ({"NULL": True}, None)],
)
def test_a_field_with_a_cast_takes_items_of_before_and_after(attribute: Any, text: str | None) -> None:
    reader = one_field(["null", "string"], default=None, **{"headwater.casts": ["long"]})
    assert value(reader, attribute) == text


def test_a_cast_takes_no_more_than_its_kind() -> None:
    reader = one_field("string", **{"headwater.casts": ["long"]})
    assert reason(reader, {"N": "1.5"}) == "field x: takes whole numbers"
    assert reason(reader, {"BOOL": True}) == "field x: takes an attribute of type S or N, got BOOL"
    decimals = one_field("string", **{"headwater.casts": ["decimal", "boolean"]})
    assert (value(decimals, {"N": "1.50"}), value(decimals, {"BOOL": True})) == ("1.5", "true")
