"""Any values that a schema takes come out of the warehouse as they went in, to type and last digit."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from consumers_world import EVERY, apply, row, table
from hypothesis import given
from hypothesis import strategies as st

from consumers.warehouse.sqlite.values import storage_of
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MILLIS = st.integers(0, 999).map(lambda each: each * 1_000)


def to_millis(value: Any, millis: int) -> Any:
    return value.replace(microsecond=millis)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "a_string": TEXT,
    "an_int": st.integers(-(2**31), 2**31 - 1),
    "a_long": st.integers(-(2**63), 2**63 - 1),
    "a_float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "a_double": st.floats(allow_nan=False, allow_infinity=False),
    "a_boolean": st.booleans(),
    "some_bytes": st.binary(max_size=30),
    "an_enum": st.sampled_from(["red", "blue"]),
    "a_decimal": st.integers(-(10**38) + 1, 10**38 - 1).map(lambda digits: Decimal(f"{digits}E-10")),
    "a_date": st.dates(),
    "time_millis": st.builds(to_millis, st.times(), MILLIS),
    "time_micros": st.times(),
    "timestamp_millis": st.builds(to_millis, st.datetimes(timezones=st.just(UTC)), MILLIS),
    "timestamp_micros": st.datetimes(timezones=st.just(UTC)),
    "local_millis": st.builds(to_millis, st.datetimes(), MILLIS),
    "local_micros": st.datetimes(),
    "a_json": TEXT.map(lambda text: f'["{len(text)}"]'),
}
ROW = st.fixed_dictionaries({"id": st.uuids()}, optional={k: st.none() | v for k, v in VALUES.items()})


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteWarehouse]:
    folder: Path = tmp_path_factory.mktemp("values")
    made = open_warehouse(f"sqlite:///{folder / 'warehouse.db'}", [EVERY])
    made.ensure()
    yield made
    made.close()


@given(st.lists(ROW, max_size=20, unique_by=lambda values: values["id"]))
def test_values_come_back_exactly_as_they_went_in(
    warehouse: SqliteWarehouse, many: list[dict[str, object]]
) -> None:
    rows = [row(EVERY, values, 1) for values in many]
    revision = warehouse.create_revision("every")
    apply(warehouse, EVERY, *rows, revision=revision)
    got = table(warehouse, EVERY, revision)
    warehouse.drop_revision("every", revision)
    assert got == sorted(rows, key=lambda each: each.key_hash)
    assert [list(map(type, each.values)) for each in got] == [
        list(map(type, each.values)) for each in sorted(rows, key=lambda each: each.key_hash)
    ]


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=2))
def test_the_text_of_moments_is_in_their_order(two: list[datetime]) -> None:
    write = storage_of(next(each for each in EVERY.schema.fields if each.name == "timestamp_micros")).write
    assert write is not None
    texts = [str(write(each)) for each in two]
    assert sorted(texts) == [str(write(each)) for each in sorted(two)]
