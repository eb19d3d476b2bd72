"""`headwater schemas new` from a file: the types and names that it proposes."""

from __future__ import annotations

import pytest
from new_schemas import New
from schema_homes import Avro

from headwater.scaffold.text_sample import (
    AMOUNTS,
    CENTURY,
    CODES,
    EXPONENTS,
    FIXED_POINT,
    MILLIS,
    PLACEHOLDERS,
    SECONDS,
    SWAPPED,
)
from schemas.catalog.loader import load_entity

pytest_plugins = ("schemas_home",)
WORDS = ("amber", "birch", "cedar", "dune", "elm")


# Types


def decimal(precision: int, scale: int) -> Avro:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


DATE = {"type": "int", "logicalType": "date"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-micros"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "-5", "1000000"], {"type": "int"}),
        (["1", "3000000000"], {"type": "long"}),
        (["1", "99999999999999999999"], {"type": "string", "maxLength": 50}),
        (["007", "12"], {"type": "string", "maxLength": 50}),
        (["+1", "2"], {"type": "string", "maxLength": 50}),
        (["5", "N/A", "-"], {"type": "string", "maxLength": 50, "doc": f"review: {PLACEHOLDERS}"}),
        (["2024-05-01", "null"], {"type": "string", "maxLength": 50, "doc": f"review: {PLACEHOLDERS}"}),
        (["N/A", "-"], {"type": "string", "maxLength": 50}),
        (["a", "N/A"], {"type": "string", "maxLength": 50}),
        (["1,000", "2"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["£1,234.50", "£2.00"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["318,57", "1.234,50"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["12%", "5%"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["020 794 095"], {"type": "string", "maxLength": 50}),
        (["10.0.0", "1.2.3"], {"type": "string", "maxLength": 50}),
        (["17E02", "23E11", "200"], {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"}),
        (["1E5"], {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"}),
        (
            ["9007199254740993", "2.2E+11"],
            {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"},
        ),
        (["1e-400", "0.1"], {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"}),
        (["1e3", "2.5e-3"], {"type": "double", "doc": f"review: {CODES}"}),
        (["00FF", "1E10"], {"type": "string", "maxLength": 50}),
        (["1.1", "1.10"], {"type": decimal(6, 2), "doc": f"review: {FIXED_POINT}"}),
        (["1.10", "2.20"], {"type": decimal(6, 2)}),
        (["Ja", "Nein"], {"type": "boolean", "format": "Ja|Nein"}),
        (["OUI", "NON"], {"type": "boolean", "format": "OUI|NON"}),
        (["1683799200000", "1683799200001"], {"type": "long", "doc": f"review: perhaps {MILLIS}"}),
        (["1.5", "-20", "3.125"], {"type": decimal(8, 3)}),
        (["1e-3", "2.5"], {"type": "double"}),
        (["true", "FALSE"], {"type": "boolean"}),
        (["Y", "N", "Y"], {"type": "boolean", "format": "Y|N"}),
        (["Y", "Y"], {"type": "string", "maxLength": 50}),
        (["2024-02-29"], {"type": DATE}),
        (["29/02/2024", "01/03/2024"], {"type": DATE, "format": "%d/%m/%Y"}),
        (["12/31/2024", "01/03/2024"], {"type": DATE, "format": "%m/%d/%Y"}),
        (["30/02/2024"], {"type": "string", "maxLength": 50}),
        (
            ["2024-02-29T12:00:00Z"],
            {"type": {"type": "long", "logicalType": "timestamp-micros"}},
        ),
        (["2024-02-29 12:00"], {"type": LOCAL}),
        (["29/02/2024 12:00:01"], {"type": LOCAL, "format": "%d/%m/%Y %H:%M:%S"}),
        (["x" * 30], {"type": "string", "maxLength": 100}),
        (["x" * 3_000], {"type": "string"}),
    ],
)
def test_a_type_takes_every_value_of_the_sample_exactly(new: New, values: list[str], expected: Avro) -> None:
    assert new.field("f", values) == {"name": "f", **expected}


def test_a_column_that_is_empty_now_and_then_may_be_null(new: New) -> None:
    assert new.field("f", ["1", "", "2"]) == {"name": "f", "type": ["null", "int"], "default": None}


def test_a_column_that_is_always_empty_is_marked(new: New) -> None:
    field = new.field("f", ["", ""])
    assert (field["type"], field["doc"]) == (["null", "string"], "review: no value was seen")


def test_a_date_whose_month_may_be_its_day_is_marked(new: New) -> None:
    assert new.field("f", ["01/02/2024", "03/04/2024"])["doc"] == f"review: {SWAPPED}"


def test_one_remark_on_a_date_hides_no_other(new: New) -> None:
    assert new.field("f", ["01/02/45", "03/04/52"])["doc"] == f"review: {SWAPPED}; {CENTURY}"
    assert new.field("g", ["13/02/45", "03/04/52"], name="other")["doc"] == f"review: {CENTURY}"


@pytest.mark.parametrize(
    ("name", "values", "form", "what"),
    [
        ("created_at", ["1683799200000"], "epoch-millis", MILLIS),
        ("ts", ["1683799200", "1683799300"], "epoch-seconds", SECONDS),
        ("ts", ["5", "1683799300"], None, None),
        ("total", ["1683799200"], None, None),
    ],
)
def test_numbers_of_the_size_of_moments_under_a_name_for_one(
    new: New, name: str, values: list[str], form: str | None, what: str | None
) -> None:
    field = new.field(name, values)
    assert (field.get("format"), field.get("doc")) == (form, what and f"review: {what}, by name and size")


def test_few_values_in_many_rows_are_marked_and_stay_text(new: New) -> None:
    field = new.field("f", WORDS * 300)
    assert (field["type"], field["doc"]) == (
        "string",
        "review: 5 different values: an enum, if there will be no others",
    )


# Names


def test_names_are_snake_case_all_different_and_say_where_they_come_from(new: New) -> None:
    header = "LinkURN,NumberOfPupils,Straße,2020 total,number_of_pupils,%,__a__b"
    fields = new.fields(f"{header}\n1,2,3,4,5,6,7\n")
    assert [(name, each.get("from")) for name, each in fields.items()] == [
        ("link_urn", "LinkURN"),
        ("number_of_pupils", "NumberOfPupils"),
        ("strae", "Straße"),
        ("column_2020_total", "2020 total"),
        ("number_of_pupils_2", "number_of_pupils"),
        ("column", "%"),
        ("a_b", "__a__b"),
    ]


def test_a_column_without_a_name_is_left_out_and_that_is_said(new: New) -> None:
    done = new.run("a,,b,\n1,x,2,y\n")
    assert "2 columns without a name left out" in done.err
    assert [each.name for each in load_entity(new.made).schema.fields] == ["a", "b"]
