"""Every type there and back on SQL Server, exactly: by JSON, and by literals where a column is binary."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from json import dumps
from struct import pack, unpack
from typing import Any
from uuid import uuid4

import pytest
from consumers_world import EVERY, apply, entity, event, field, table
from hypothesis import given, settings
from hypothesis import strategies as st
from mssql_server import emptied, is_babelfish, url_of

from consumers.consume import Consumer
from consumers.facts import read_fact
from consumers.rows import to_row
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.mssql.load import loads
from consumers.warehouse.port import Counts, Row, Warehouse
from consumers.warehouse.tables import StagingTable
from schemas.catalog.entity import Catalog, Entity
from schemas.event import encode_event
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry, make_schema

pytest_plugins = ("warehouse_engines",)

_AVRO_FIELDS: list[dict[str, Any]] = EVERY.schema.avro["fields"]
JSON = entity("every_json", [each for each in _AVRO_FIELDS if each["name"] != "some_bytes"], ["id"])
LITERALS = entity("every_literal", _AVRO_FIELDS, ["id"])
SIZED = entity(
    "sized",
    [
        field("id", "string", maxLength=10),
        field("short", ["null", "string"], default=None, maxLength=2_000),
        field("long", ["null", "string"], default=None, maxLength=4_001),
        field("digest", ["null", "bytes"], default=None, maxLength=256),
    ],
    ["id"],
)


_FACTS = SchemaRegistry([JSON.schema, LITERALS.schema, SIZED.schema])


def row(of: Entity, values: dict[str, Any]) -> Row:
    return to_row(read_fact(encode_event(event(of, values, 1)), _FACTS), of)


@pytest.fixture(scope="module")
def warehouse(mssql_database: str) -> Iterator[Warehouse]:
    emptied(mssql_database)
    made = open_warehouse(url_of(mssql_database), [JSON, LITERALS, SIZED])
    made.ensure()
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def _a_server(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("mssql_database")


def text() -> st.SearchStrategy[str]:
    categories = ["Cs", "Co"] if is_babelfish() else ["Cs"]  # tests/babelfish.py uses those for private use
    forbidden = "\x00" if is_babelfish() else ""  # PostgreSQL's text has no NUL
    characters = st.characters(exclude_categories=categories, exclude_characters=forbidden)
    marked = st.sampled_from(
        [
            "a ",
            " ",
            "é",
            "e\u0301",
            "ｅ",
            "😀",
            "👩‍👩‍👧",
            "'",
            '"',
            "\\",
            "\\\n",
            "\\\r\n",
            "%s",
            "\r\n",
            "NULL",
            "\u2028",
        ]
    )
    return st.text(st.one_of(characters, marked.map(lambda each: each[0])), max_size=40) | marked


def floats(width: int) -> st.SearchStrategy[float]:
    return st.floats(width=width, allow_nan=False, allow_infinity=False, allow_subnormal=False)  # type: ignore[arg-type]


def milliseconds(value: Any) -> Any:
    return value.replace(microsecond=value.microsecond // 1_000 * 1_000)


MOMENTS = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime.max)  # noqa: DTZ001, DTZ901
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "a_string": st.deferred(text),
    "an_int": st.integers(-(2**31), 2**31 - 1),
    "a_long": st.integers(-(2**63), 2**63 - 1),
    "a_float": floats(32),
    "a_double": floats(64),
    "a_boolean": st.booleans(),
    "some_bytes": st.binary(max_size=300) | st.sampled_from([b"", b"ascii", b"0x00", bytes(range(256))]),
    "an_enum": st.sampled_from(["red", "blue"]),
    "a_decimal": st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}e-10")),
    "a_date": st.dates(),
    "time_millis": st.times().map(milliseconds),
    "time_micros": st.times(),
    "timestamp_millis": MOMENTS.map(lambda each: milliseconds(each).replace(tzinfo=UTC)),
    "timestamp_micros": MOMENTS.map(lambda each: each.replace(tzinfo=UTC)),
    "local_millis": MOMENTS.map(milliseconds),
    "local_micros": MOMENTS,
    "a_json": st.lists(st.integers() | st.booleans() | st.deferred(text), max_size=3).map(
        lambda value: dumps(value, ensure_ascii=False, separators=(",", ":"))
    ),
}


def test_every_kind_is_tried_and_both_ways_are() -> None:
    assert KINDS.keys() | {"id"} == {each.name for each in LITERALS.schema.fields}
    way = [next(loads(StagingTable(of), [row(of, {"id": uuid4()})])) for of in (JSON, LITERALS)]
    assert [each.parameters is None for each in way] == [False, True]


def there_and_back(warehouse: Warehouse, of: Entity, name: str, values: list[Any]) -> None:
    rows = [row(of, {"id": uuid4(), name: value}) for value in values]
    assert apply(warehouse, of, *rows) == Counts(applied=len(rows))
    with warehouse.transaction(shared=[of.name]) as transaction:
        found = transaction.rows_of(of.name, 1, [each.key_hash for each in rows])
    place = [each.name for each in of.schema.fields].index(name)
    for sent in rows:
        got, wanted = found[sent.key_hash].values[place], sent.values[place]
        assert (got, type(got)) == (wanted, type(wanted))
        assert found[sent.key_hash] == sent


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=4)
@given(st.data())
def test_any_value_comes_back(warehouse: Warehouse, name: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | KINDS[name], min_size=30, max_size=60))
    for of in (JSON, LITERALS):
        if name in {each.name for each in of.schema.fields}:
            there_and_back(warehouse, of, name, values)


def test_floats_of_32_bits_are_those_of_32_bits(warehouse: Warehouse) -> None:
    values = [unpack("<f", pack("<I", bits))[0] for bits in (0x3DCCCCCD, 0x7F7FFFFF, 0x00800000, 0x4B7FFFFF)]
    for of in (JSON, LITERALS):
        there_and_back(warehouse, of, "a_float", values)


def test_doubles_that_need_all_their_digits_come_back(warehouse: Warehouse) -> None:
    values = [
        5e-324 * 2**52,
        2.2250738585072014e-308,
        9007199254740993.0,
        1 / 3,
        2 / 3,
        1e23,
        9.5e-9,
        123456789.12345679,
    ]
    for of in (JSON, LITERALS):
        there_and_back(warehouse, of, "a_double", values)


def test_text_at_the_borders_of_its_column_comes_back(warehouse: Warehouse) -> None:
    """A column of SQL Server counts UTF-16 units: an emoji is two."""
    rows = [
        row(SIZED, {"id": f"{fill}{size}", "short": fill * 2_000, "long": fill * size})
        for fill in "x😀"
        for size in (4_000, 4_001)
    ]
    rows.append(row(SIZED, {"id": "😀" * 10, "digest": bytes(range(256))}))
    apply(warehouse, SIZED, *rows)
    assert {each.key_hash: each for each in table(warehouse, SIZED)} == {each.key_hash: each for each in rows}


def test_long_text_comes_back_where_its_column_has_no_bound(warehouse: Warehouse) -> None:
    values = [fill * size for fill in "x😀" for size in (2_000, 2_001, 4_000, 4_001, 100_000)]
    for of in (JSON, LITERALS):
        there_and_back(warehouse, of, "a_string", values)


def test_text_with_a_backslash_at_the_end_of_a_line_comes_back_whole(warehouse: Warehouse) -> None:
    values = [f"{fill}\\{end}{fill}\\" for fill in ("x", "x" * 4_000) for end in ("\n", "\r\n", "\r")]
    for of in (JSON, LITERALS):
        there_and_back(warehouse, of, "a_string", values)


def test_a_moment_is_the_same_whatever_the_zone_it_was_told_in(warehouse: Warehouse) -> None:
    told = datetime(2024, 2, 29, 23, 59, 59, 999_999, timezone(timedelta(hours=-11, minutes=-30)))
    there_and_back(warehouse, JSON, "timestamp_micros", [told])


def test_a_number_that_no_decimal_holds_is_a_dead_letter_and_the_rest_goes_on(warehouse: Warehouse) -> None:
    """The payload's own bytes can hold any number: the codec refuses what its precision does not."""
    amount = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10}
    small = entity("small", [field("id", "string"), field("amount", {**amount, "precision": 12})], ["id"])
    wide = make_schema(
        "small",
        1,
        ["id"],
        {"type": "record", "name": "Small", "fields": [field("id", "string"), field("amount", amount)]},
    )
    good = event(small, {"id": "a", "amount": Decimal("1.5")}, 1)
    bad = event(
        small,
        {"id": "b", "amount": Decimal("1.5")},
        1,
        after=wide.encode({"id": "b", "amount": Decimal(10) ** 27}),
    )
    letters = InMemoryLetters()
    with_small = _of_same_database(warehouse, small)
    counts = Consumer(Catalog({"small": small}, SchemaRegistry([small.schema])), with_small, letters).consume(
        [encode_event(good), encode_event(bad)]
    )
    assert counts == Counts(applied=1, dead=1)
    (letter,) = letters.letters
    assert (letter.cause, letter.id) == ("data", bad.event_id.hex())
    assert "amount" in letter.reason
    assert "1000000" not in letter.reason
    with_small.close()


def _of_same_database(warehouse: Any, of: Entity) -> Warehouse:
    made = open_warehouse(url_of(warehouse.engine.url.database), [of])
    made.ensure()
    return made
