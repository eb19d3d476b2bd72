"""Fields: exact values only, and errors that never tell the value (INV-7)."""

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from schemas.errors import PoisonEventError
from schemas.payload.fields import (
    ANY_SOURCE,
    NO_DEFAULT,
    Field,
    FieldType,
    canonical_json,
    canonical_json_of,
    plain_digits,
)


def field(kind: str, **more: Any) -> Field:
    return Field("price", FieldType(kind), **more)


def rule_broken_by(value: object, made: Field) -> str:
    with pytest.raises(PoisonEventError) as caught:
        made.check(value)
    assert caught.value.cause == "data"
    return str(caught.value)


DECIMAL_10_2 = {"precision": 10, "scale": 2}
PLAN = {"symbols": ("basic", "premium")}

WRONG_TYPES = [
    ("string", b"x", {}),
    ("string", StrEnum("Word", ["X"]).X, {}),  # type: ignore[attr-defined]
    ("string", 5, {}),
    ("int", True, {}),
    ("int", 1.0, {}),
    ("int", "5", {}),
    ("long", Decimal(5), {}),
    ("long", False, {}),
    ("double", 1, {}),
    ("double", Decimal(1), {}),
    ("float", True, {}),
    ("boolean", 1, {}),
    ("boolean", "true", {}),
    ("bytes", "x", {}),
    ("bytes", bytearray(b"x"), {}),
    ("enum", 0, PLAN),
    ("decimal", 5, DECIMAL_10_2),
    ("decimal", 5.0, DECIMAL_10_2),
    ("decimal", "5", DECIMAL_10_2),
    ("date", datetime(2024, 1, 1, tzinfo=UTC), {}),
    ("date", "2024-01-01", {}),
    ("date", 19723, {}),
    ("time-millis", 5, {}),
    ("timestamp-micros", date(2024, 1, 1), {}),
    ("timestamp-micros", 1704067200000000, {}),
    ("local-timestamp-millis", "2024-01-01T00:00:00", {}),
    ("uuid", "12345678-1234-1234-1234-123456789abc", {}),
    ("json", {"a": 1}, {}),
    ("string", None, {}),
]


@pytest.mark.parametrize(("kind", "value", "more"), WRONG_TYPES)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_type(
    kind: str, value: object, more: dict[str, Any]
) -> None:
    text = rule_broken_by(value, field(kind, **more))
    assert text.startswith("field price: takes ")
    assert text.endswith(f", got {type(value).__name__}")


class ZoneWithoutOffset(tzinfo):
    """Python counts a datetime of such a zone as naive."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None


BROKEN_RULES = [
    ("int", 2**31, {}, "int takes -2147483648 to 2147483647"),
    ("int", -(2**31) - 1, {}, "int takes -2147483648 to 2147483647"),
    ("long", 2**63, {}, "long takes -9223372036854775808 to 9223372036854775807"),
    ("double", float("nan"), {}, "takes finite numbers"),
    ("double", float("-inf"), {}, "takes finite numbers"),
    ("float", 1e39, {}, "is too large for a float of 32 bits"),
    ("string", "caf\ud800", {}, "holds a lone surrogate, which UTF-8 does not have"),
    ("string", "abcd", {"max_length": 3}, "takes at most 3 characters, got 4"),
    ("bytes", b"abcd", {"max_length": 3}, "takes at most 3 bytes, got 4"),
    ("json", '"abcd"', {"max_length": 3}, "takes at most 3 characters, got 6"),
    ("enum", "gold", PLAN, "takes one of basic, premium"),
    ("decimal", Decimal("1.005"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("100000000"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("-1e8"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("1e999999"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("1e-999999"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("1." + "0" * 90 + "1"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("NaN"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("sNaN"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("decimal", Decimal("-Infinity"), DECIMAL_10_2, "does not fit decimal(10,2) exactly"),
    ("time-millis", time(1, 2, 3, 4_001), {}, "takes whole milliseconds"),
    ("time-micros", time(1, tzinfo=UTC), {}, "takes a time without a time zone"),
    ("timestamp-micros", datetime(2024, 1, 1), {}, "takes a datetime with a time zone"),  # noqa: DTZ001
    (
        "timestamp-micros",
        datetime(2024, 1, 1, tzinfo=ZoneWithoutOffset()),
        {},
        "takes a datetime with a time zone",
    ),
    ("timestamp-millis", datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC), {}, "takes whole milliseconds"),
    ("local-timestamp-micros", datetime(2024, 1, 1, tzinfo=UTC), {}, "takes a datetime without a time zone"),
    (
        "timestamp-micros",
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        {},
        "is outside the years 1 to 9999 in UTC",
    ),
    (
        "timestamp-millis",
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=14))),
        {},
        "is outside the years 1 to 9999 in UTC",
    ),
]


@pytest.mark.parametrize(("kind", "value", "more", "rule"), BROKEN_RULES)
def test_a_value_that_does_not_fit_exactly_is_refused_by_its_rule(
    kind: str, value: object, more: dict[str, Any], rule: str
) -> None:
    assert rule_broken_by(value, field(kind, **more)) == f"field price: {rule}"


SECRETS = [
    ("int", 987_987_987_987, {}),
    ("long", "s987", {}),
    ("float", 9.87e200, {}),
    ("string", "s987\ud800", {}),
    ("string", "s987", {"max_length": 3}),
    ("bytes", b"s987", {"max_length": 3}),
    ("enum", "s987", PLAN),
    ("decimal", Decimal("987.987"), DECIMAL_10_2),
    ("date", datetime(1987, 9, 8, tzinfo=UTC), {}),
    ("timestamp-micros", datetime(1987, 9, 8), {}),  # noqa: DTZ001
    ("time-millis", time(9, 8, 7, 987_987), {}),
    ("uuid", "s987", {}),
]


@pytest.mark.parametrize(("kind", "value", "more"), SECRETS)
def test_inv7_a_refusal_tells_no_value_nor_carries_one_in_its_cause(
    kind: str, value: object, more: dict[str, Any]
) -> None:
    with pytest.raises(PoisonEventError) as caught:
        field(kind, **more).check(value)
    assert "987" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


FITTING = [
    ("int", -(2**31), {}),
    ("int", 2**31 - 1, {}),
    ("long", 2**63 - 1, {}),
    ("float", 0.1, {}),
    ("double", -0.0, {}),
    ("string", "naïve 😀 \x00", {}),
    ("string", "😀😀😀", {"max_length": 3}),
    ("enum", "basic", PLAN),
    ("decimal", Decimal("99999999.99"), DECIMAL_10_2),
    ("decimal", Decimal("1E+7"), DECIMAL_10_2),
    ("decimal", Decimal("1.50000000000"), DECIMAL_10_2),
    ("decimal", Decimal("0E+999999"), DECIMAL_10_2),
    ("decimal", Decimal("-0"), DECIMAL_10_2),
    ("decimal", Decimal("9" * 38), {"precision": 38, "scale": 0}),
    ("date", date.min, {}),
    ("date", date.max, {}),
    ("time-millis", time(23, 59, 59, 999_000), {}),
    ("timestamp-micros", datetime.max.replace(tzinfo=UTC), {}),
    ("local-timestamp-micros", datetime.min, {}),  # noqa: DTZ901
    ("uuid", UUID(int=0), {}),
    ("json", '{"a":1}', {}),
]


@pytest.mark.parametrize(("kind", "value", "more"), FITTING)
def test_a_value_at_the_edge_of_its_kind_fits(kind: str, value: object, more: dict[str, Any]) -> None:
    field(kind, **more).check(value)


def test_null_fits_where_the_field_may_be_null_and_only_there() -> None:
    field("int", nullable=True).check(None)
    assert rule_broken_by(None, field("int")) == "field price: takes int, got NoneType"
    assert rule_broken_by("5", field("int", nullable=True)) == "field price: takes int, got str"


def test_every_kind_has_a_packer() -> None:
    for kind in FieldType:
        assert callable(field(kind, precision=5, symbols=("a",)).pack)


def test_a_field_has_the_name_that_its_source_gives_it() -> None:
    plain = field("int")
    everywhere = field("int", from_names={ANY_SOURCE: "Price"})
    by_source = field("int", from_names={"csv:prices": "PRICE", ANY_SOURCE: "Price"})
    assert plain.source_name("csv:prices") == "price"
    assert everywhere.source_name("csv:prices") == "Price"
    assert [by_source.source_name(source) for source in ("csv:prices", "dynamodb:p")] == ["PRICE", "Price"]


def test_no_default_is_not_null() -> None:
    assert field("int").default is NO_DEFAULT
    assert repr(NO_DEFAULT) == "NO_DEFAULT"
    assert field("int", nullable=True, default=None).default is None


# Canonical JSON


def test_inv5_equal_nested_values_have_one_text() -> None:
    value = {
        "b": [1, Decimal("2.50"), True, None, "é\n"],
        "a": {"z": {"y", "x"}, "k": frozenset({Decimal(10), Decimal("9.0")})},
        "bytes": b"\xff",
    }
    text = '{"a":{"k":[9,10],"z":["x","y"]},"b":[1,2.5,true,null,"é\\n"],"bytes":"/w=="}'
    assert canonical_json(value) == text
    assert canonical_json({name: value[name] for name in reversed(value)}) == text
    assert canonical_json_of(text) == text


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (1.5, "float has no exact form in JSON"),
        ({"a": [object()]}, "object has no exact form in JSON"),
        ({1: "a"}, "the names in a JSON object must be text"),
        ({"a", 1}, "a set of mixed types has no order, hence no exact form in JSON"),
        (Decimal("NaN"), "NaN and infinity have no digits"),
        (Decimal("1e400"), "a number takes at most 400 digits before and after its point"),
        (Decimal("1e-401"), "a number takes at most 400 digits before and after its point"),
        (10**4000, "a number takes at most 400 digits before and after its point"),
    ],
)
def test_what_json_cannot_hold_exactly_is_refused(value: object, rule: str) -> None:
    with pytest.raises(PoisonEventError, match=f"^{rule}$"):
        canonical_json(value)


def test_nesting_beyond_the_stack_is_refused() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(PoisonEventError, match="nested too deep"):
        canonical_json(value)
    while value:  # taken apart by hand, since freeing it recurses as well
        value = value.pop()  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a":', "is not JSON: Expecting value at character 6"),
        ("", "is not JSON: Expecting value at character 1"),
        ("NaN", "NaN and infinity are not JSON"),
        ("[-Infinity]", "NaN and infinity are not JSON"),
        ('{"a":1,"a":2}', "a JSON object has a duplicate member"),
        ("1e999999999", "a number takes at most 400 digits before and after its point"),
    ],
)
def test_text_that_is_no_exact_json_is_refused(text: str, rule: str) -> None:
    with pytest.raises(PoisonEventError, match=f"^{rule}$"):
        canonical_json_of(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "9" * 5000, "1e9999999999999999999", "[1.5E-9999999999999999999]"],
    ids=["deep", "long number", "great exponent", "small exponent"],
)
def test_json_text_too_large_or_too_deep_to_read_is_refused(text: str) -> None:
    with pytest.raises(PoisonEventError, match=r"^is JSON that is too large or too deep$"):
        canonical_json_of(text)


def test_json_from_elsewhere_keeps_every_digit_and_takes_its_canonical_form() -> None:
    assert canonical_json_of(' { "b" : 1.10, "a" : [1e2, -0.0, "\\u00e9"] } ') == '{"a":[100,0,"é"],"b":1.1}'
    digits = "0.1234567890123456789012345678901234567"
    assert canonical_json_of(digits) == digits


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (1000, "1000"),
        (Decimal("-0.00"), "0"),
        (Decimal("1.500"), "1.5"),
        (Decimal("1.0"), "1"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1e-3"), "0.001"),
    ],
)
def test_equal_numbers_have_one_text(number: int | Decimal, text: str) -> None:
    assert plain_digits(number) == text
