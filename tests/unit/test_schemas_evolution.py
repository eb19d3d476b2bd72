"""Rows of any version onto the newest: several versions one after the other."""

from typing import Any

import pytest
from evolutions import casts, f, private

from schemas.errors import PoisonEventError
from schemas.evolution.evolution import Evolution
from schemas.payload.codec import Schema, make_schema
from schemas.privacy import hasher, mask

Avro = dict[str, Any]
ID: Avro = {"name": "id", "type": "string"}


def versions(*fields: list[Avro]) -> list[Schema]:
    return [
        make_schema("thing", number, ["id"], {"type": "record", "name": "Thing", "fields": [ID, *each]})
        for number, each in enumerate(fields, 1)
    ]


def onto(made: list[Schema], version: int, **values: object) -> dict[str, object]:
    """A row of one version in the table of all of them, by the names that readers see."""
    evolution = Evolution(made)
    row = evolution.projection(made[version - 1].fingerprint)({"id": "a", **values})
    return dict(zip([column.field.name for column in evolution.columns], row, strict=True))


FOUR = versions(
    [f("int")],
    [f("int"), f("int", "g", default=7)],
    [f("long", "h", aliases=["f"]), f("int", "g", default=7)],
    [
        f("string", "h", aliases=["f"], **casts("long")),
        f("string", "g", default="7", **casts("int")),
        f(["null", "int"], "i", default=None),
    ],
)


def test_values_go_through_all_versions_between() -> None:
    assert onto(FOUR, 1, f=5) == {"id": "a", "h": "5", "g": "7", "i": None}
    assert onto(FOUR, 2, f=5, g=8) == {"id": "a", "h": "5", "g": "8", "i": None}
    assert onto(FOUR, 3, h=2**40, g=8) == {"id": "a", "h": str(2**40), "g": "8", "i": None}
    assert onto(FOUR, 4, h="x", g="y", i=1) == {"id": "a", "h": "x", "g": "y", "i": 1}


def test_a_default_goes_through_the_casts_too() -> None:
    changes = Evolution(FOUR).changes(3, 4)
    assert "default changed" not in {change.rule.name for change in changes}


def test_a_retired_field_stays_behind_the_newest_ones() -> None:
    made = versions([f("int"), f("int", "g")], [f("int", "g")], [f("int", "g"), f("int", "h", default=1)])
    columns = Evolution(made).columns
    assert [(column.name, column.is_retired) for column in columns] == [
        ("id", False),
        ("g", False),
        ("h", False),
        ("f", True),
    ]
    assert columns[3].field.nullable
    assert onto(made, 1, f=1, g=2) == {"id": "a", "g": 2, "h": 1, "f": 1}
    assert onto(made, 3, g=2, h=3) == {"id": "a", "g": 2, "h": 3, "f": None}


def test_what_was_dropped_for_privacy_stays_dropped() -> None:
    made = versions([f("string")], [f("string", **private("drop"))], [f("int", "g", default=1)])
    assert onto(made, 1, f="ada") == {"id": "a", "g": 1}
    assert made[1].dropped == {"f": "f"}
    assert "ada" not in str(made[1].avro["fields"])


def test_a_table_of_fewer_versions_becomes_one_of_more() -> None:
    older, newer = Evolution(FOUR[:2]), Evolution(FOUR)
    assert older.onto(newer)({"id": "a", "f": 5, "g": 8}) == ("a", "5", "8", None)
    assert older.onto(newer)({"id": "a", "f": None, "g": None}) == ("a", None, None, None)


def test_a_schema_that_is_none_of_the_versions_is_poison_of_cause_schema() -> None:
    with pytest.raises(PoisonEventError) as refused:
        Evolution(FOUR[:2]).projection(FOUR[3].fingerprint)
    assert refused.value.cause == "schema"


# Privacy


def test_a_mask_that_is_put_on_later_fits_its_column() -> None:
    made = versions([f("string", maxLength=13)], [f("string", maxLength=13, **private("mask"))])
    assert onto(made, 1, f="a@example.org")["f"] == "*****"
    assert onto(made, 1, f="abc@xampl.org")["f"] == "***@xampl.org"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("a", "***"),
        ("12345678", "***"),
        ("123456789", "*****"),
        ("x" * 33, "*******"),
        ("ada@example.org", "***@example.org"),
        ("ada.lovelace@example.org", "*****@example.org"),
        ("@handle", "***"),
        ("meet me @ five.ish or so", "*****"),
        ("07700 900123", "*****"),
        (f"{'a' * 308}@example.org", "*******@example.org"),  # 320 characters: the longest address
        (f"{'a' * 309}@example.org", "*******"),
    ],
)
def test_a_mask_keeps_the_class_of_length_and_the_domain(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_hash_is_hmac_sha_256_and_names_its_key() -> None:
    # RFC 4231, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hasher("k1", b"Jefe")("what do ya want for nothing?") == f"k1:{expected}"
