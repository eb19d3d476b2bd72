"""What every SQL engine behind the warehouse port keeps: exact values and the views over them."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from consumers_world import (
    CHOSEN,
    EVERY,
    ITEM,
    LINE,
    OTHER,
    A,
    B,
    apply,
    deleted,
    item,
    row,
    seen,
    table,
)

from consumers.warehouse.port import (
    Warehouse,
)
from schemas.errors import ConfigurationError

pytest_plugins = ("warehouse_engines",)


# Views.


def test_the_view_shows_business_columns_and_source_in_schema_order(warehouse: Warehouse) -> None:
    apply(warehouse, OTHER, row(OTHER, {"id": "b", "note": "n"}, 1), row(OTHER, {"id": "a"}, 1, source=B))
    columns, rows = warehouse.select("other")
    assert columns == ["id", "note", "_source"]
    assert rows == [("a", None, B), ("b", "n", A)]
    assert warehouse.select("other", limit=1)[1] == [("a", None, B)]


def test_the_view_shows_the_preferred_source_of_each_key(warehouse: Warehouse) -> None:
    a, b = row(CHOSEN, {"id": "x", "size": 1}, 5), row(CHOSEN, {"id": "x", "size": 2}, 1, source=B)
    alone = row(CHOSEN, {"id": "y", "size": 3}, 1)
    apply(warehouse, CHOSEN, a, b, alone)
    assert seen(warehouse, CHOSEN) == [("x", 2, B), ("y", 3, A)]
    apply(warehouse, CHOSEN, deleted(CHOSEN, {"id": "x"}, 2, B))
    assert seen(warehouse, CHOSEN) == [("x", 1, A), ("y", 3, A)]


def test_keys_that_differ_in_trailing_blanks_are_both_in_a_view_with_a_preference(
    warehouse: Warehouse,
) -> None:
    keys = ["x", "x ", "X"]
    apply(warehouse, CHOSEN, *(row(CHOSEN, {"id": key, "size": 1}, 1) for key in keys))
    assert sorted(each[0] for each in seen(warehouse, CHOSEN)) == sorted(keys)


def test_without_a_preference_the_view_shows_the_rows_of_all_sources(warehouse: Warehouse) -> None:
    apply(warehouse, ITEM, row(ITEM, item("x"), 1), row(ITEM, item("x"), 1, source=B))
    assert [each[-1] for each in sorted(seen(warehouse), key=str)] == [B, A]


def test_a_view_that_is_not_there_is_a_configuration_error(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="'never'; there are: none"):
        warehouse.select("item", as_of="never")
    with pytest.raises(ConfigurationError, match="nothing_like_it"):
        warehouse.select("nothing_like_it")


# Values.

EXTREMES: dict[str, list[object]] = {
    "a_string": ["", " a ", "O'Brien", "tab\tline\nnul\x00end", "ünï😀", "x" * 100_000],
    "an_int": [0, -(2**31), 2**31 - 1],
    "a_long": [-(2**63), 2**63 - 1],
    "a_float": [0.0, 1.5, -(2.0**-126), 0.10000000149011612, 3.4028234663852886e38],
    "a_double": [0.1, 1e308, -(2.0**-1022), 2.0**53 + 2, 3.0, 1e22, 1 / 3, 1.7976931348623157e308],
    "a_boolean": [True, False],
    "some_bytes": [b"", b"\x00\xff", b"ascii", bytes(range(256))],
    "an_enum": ["red", "blue"],
    "a_decimal": [
        Decimal("0E-10"),
        Decimal("0.0000000001"),
        Decimal("-9999999999999999999999999999.9999999999"),
        Decimal("1234567890123456789012345678.0000000001"),
        Decimal("1.5000000000"),
    ],
    "a_date": [date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)],
    "time_millis": [time(0), time(23, 59, 59, 999_000)],
    "time_micros": [time(0), time(23, 59, 59, 999_999)],
    "timestamp_millis": [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)],
    "timestamp_micros": [datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2024, 1, 1, tzinfo=UTC)],
    "local_millis": [datetime(1, 1, 1), datetime(2024, 3, 31, 2, 30)],  # noqa: DTZ001
    "local_micros": [datetime(9999, 12, 31, 23, 59, 59, 999_999)],  # noqa: DTZ001
    "a_json": ['{"a":[1,null]}'],
}


def test_every_kind_of_field_is_tried() -> None:
    assert EXTREMES.keys() == {made.name for made in EVERY.schema.fields} - {"id"}


@pytest.mark.parametrize("name", EXTREMES)
def test_values_come_back_exactly_as_they_went_in(warehouse: Warehouse, name: str, nul: str) -> None:
    values = [
        each.replace("\x00", nul) if isinstance(each, str) else each for each in (None, *EXTREMES[name])
    ]
    rows = [row(EVERY, {"id": UUID(int=n), name: value}, 1) for n, value in enumerate(values)]
    apply(warehouse, EVERY, *rows)
    place = [made.name for made in EVERY.schema.fields].index(name)
    got = {each.values[0]: each.values[place] for each in table(warehouse, EVERY)}
    for number, value in enumerate(values):
        found = got[UUID(int=number)]
        assert (found, type(found), str(found)) == (value, type(value), str(value))
    with warehouse.transaction(shared=["every"]) as transaction:
        assert transaction.rows_of("every", 1, [each.key_hash for each in rows]) == {
            each.key_hash: each for each in rows
        }


def test_a_reader_can_sort_by_moments(warehouse: Warehouse) -> None:
    moments = [
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 0, 0, 0, 1, UTC),
        datetime(2024, 1, 2, tzinfo=UTC),
    ]
    apply(
        warehouse,
        EVERY,
        *(row(EVERY, {"id": UUID(int=n), "timestamp_micros": each}, 1) for n, each in enumerate(moments)),
    )
    columns, rows = warehouse.select("every")
    place = columns.index("timestamp_micros")
    assert [each[place] for each in rows] == sorted(each[place] for each in rows)


def test_an_entity_without_a_key_has_a_row_for_each_fact(warehouse: Warehouse) -> None:
    apply(warehouse, LINE, row(LINE, {"text": "one"}, 1), row(LINE, {"text": "one"}, 2))
    assert seen(warehouse, LINE) == [("one", A), ("one", A)]
