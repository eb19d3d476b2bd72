"""Canonical keys: equal values have one text, whatever their source."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.errors import PoisonEventError
from schemas.keys import canonical_key, parse_key
from schemas.payload.fields import Field, FieldType

PARIS = timezone(timedelta(hours=1))

TEXT_OF = [
    ("abc", '["abc"]'),
    (" a ", '[" a "]'),
    ("", '[""]'),
    ("Zoë 😀", '["Zoë 😀"]'),
    ('"\\\n\x1f/', '["\\"\\\\\\n\\u001f/"]'),
    (5, '["5"]'),
    (-5, '["-5"]'),
    (0, '["0"]'),
    (Decimal("1.50"), '["1.5"]'),
    (Decimal("1E+3"), '["1000"]'),
    (Decimal("-0.00"), '["0"]'),
    (Decimal("12345678901234567890123456789012345678"), '["12345678901234567890123456789012345678"]'),
    (Decimal("0.00000000000000000000000000000000000001"), '["0.00000000000000000000000000000000000001"]'),
    (True, '["true"]'),
    (False, '["false"]'),
    (b"\x00\xff", '["AP8="]'),
    (date(2024, 2, 29), '["2024-02-29"]'),
    (time(1, 2, 3), '["01:02:03"]'),
    (time(1, 2, 3, 4000), '["01:02:03.004000"]'),
    (datetime(2024, 1, 1, 0, 30, tzinfo=PARIS), '["2023-12-31T23:30:00Z"]'),
    (datetime(2024, 1, 1, 0, 30, 0, 5), '["2024-01-01T00:30:00.000005"]'),  # noqa: DTZ001
    (UUID(int=1), '["00000000-0000-0000-0000-000000000001"]'),
]


@pytest.mark.parametrize(("value", "key"), TEXT_OF)
def test_a_value_has_one_text(value: object, key: str) -> None:
    assert canonical_key([value]) == key


def test_the_values_keep_their_order() -> None:
    assert canonical_key(["b", 1, "a"]) == '["b","1","a"]'


def test_equal_numbers_are_one_key_whatever_their_type_or_digits() -> None:
    numbers: list[object] = [5, Decimal(5), Decimal("5.00"), Decimal("0.5E1")]
    assert {canonical_key([number]) for number in numbers} == {'["5"]'}


def test_equal_moments_are_one_key_whatever_their_zone() -> None:
    moment = datetime(2024, 7, 1, 12, tzinfo=UTC)
    assert canonical_key([moment]) == canonical_key([moment.astimezone(PARIS)])


@pytest.mark.parametrize(
    "value", [None, 1.5, float("nan"), [1], {"a": 1}, {"a"}, timedelta(1), bytearray(b"x")]
)
def test_what_has_no_exact_text_is_no_key(value: object) -> None:
    with pytest.raises(PoisonEventError) as refused:
        canonical_key(["ok", value])
    assert refused.value.reason == f"key value 2: {type(value).__name__} cannot be part of a key"


@pytest.mark.parametrize("value", ["\ud800", Decimal("NaN"), Decimal("Infinity")])
def test_text_and_numbers_that_are_none_are_no_key(value: object) -> None:
    with pytest.raises(PoisonEventError):
        canonical_key([value])


def test_a_moment_that_utc_has_no_date_for_is_no_key() -> None:
    with pytest.raises(PoisonEventError, match="outside the years 1 to 9999"):
        canonical_key([datetime(1, 1, 1, tzinfo=PARIS)])


def field(kind: str, **more: Any) -> Field:
    return Field("tier", FieldType(kind), **more)


PARSED = [
    (field("string"), "Zoë"),
    (field("enum", symbols=("basic", "premium")), "premium"),
    (field("json"), '{"a":1}'),
    (field("int"), -5),
    (field("long"), 2**62),
    (field("boolean"), True),
    (field("boolean"), False),
    (field("bytes"), b"\x00\xff"),
    (field("date"), date(2024, 2, 29)),
    (field("time-millis"), time(1, 2, 3, 4000)),
    (field("time-micros"), time(1, 2, 3, 4)),
    (field("timestamp-millis"), datetime(2024, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)),
    (field("timestamp-micros"), datetime(2024, 1, 1, tzinfo=UTC)),
    (field("local-timestamp-millis"), datetime(2024, 1, 1, 1, 1)),  # noqa: DTZ001
    (field("local-timestamp-micros"), datetime(2024, 1, 1, 1, 1, 1, 1)),  # noqa: DTZ001
    (field("uuid"), UUID(int=7)),
]


@pytest.mark.parametrize(("made", "value"), PARSED)
def test_a_key_gives_its_typed_value_back(made: Field, value: object) -> None:
    (parsed,) = parse_key(canonical_key([value]), [made])
    assert (type(parsed), parsed) == (type(value), value)


@pytest.mark.parametrize("digits", ["5", "5.1", "-99999999.99", "12345678901234567890123456789012345.678"])
def test_a_decimal_comes_back_with_all_digits_of_its_scale(digits: str) -> None:
    value = Decimal(digits)
    scaled = field("decimal", precision=38, scale=3)
    (parsed,) = parse_key(canonical_key([value]), [scaled])
    assert isinstance(parsed, Decimal)
    assert (parsed, parsed.as_tuple().exponent) == (value, -3)


def test_several_fields_come_back_in_order() -> None:
    fields = [field("string"), field("int"), field("date")]
    assert parse_key('["a","1","2024-01-01"]', fields) == ("a", 1, date(2024, 1, 1))


REFUSED = [
    ('["a"', field("string"), "key: not JSON"),
    ('{"a":"b"}', field("string"), "key: not an array of strings"),
    ("[5]", field("int"), "key: not an array of strings"),
    ('["a","b"]', field("string"), "key: 2 values for 1 key fields"),
    ('[ "a" ]', field("string"), "key: not in its canonical form"),
    ('["\\u0061"]', field("string"), "key: not in its canonical form"),
    ('["05"]', field("int"), "key: not in its canonical form"),
    ('["1_0"]', field("int"), "key: not in its canonical form"),
    ('["1.0"]', field("decimal", precision=5, scale=2), "key: not in its canonical form"),
    ('["20240101"]', field("date"), "key: not in its canonical form"),
    ('["2024-01-01T00:00:00+01:00"]', field("timestamp-micros"), "key: not in its canonical form"),
    ('["x"]', field("int"), "key field tier: not the text of a int"),
    ('["1.234"]', field("decimal", precision=5, scale=2), "key field tier: not the text of a decimal"),
    ('["yes"]', field("boolean"), "key field tier: not the text of a boolean"),
    ('["!"]', field("bytes"), "key field tier: not the text of a bytes"),
    ('["2024-13-01"]', field("date"), "key field tier: not the text of a date"),
    ('["3000000000"]', field("int"), "field tier: int takes -2147483648 to 2147483647"),
    ('["gold"]', field("enum", symbols=("basic",)), "field tier: takes one of basic"),
]


@pytest.mark.parametrize(("key", "made", "reason"), REFUSED)
def test_a_key_that_is_none_of_its_fields_is_refused_without_its_value(
    key: str, made: Field, reason: str
) -> None:
    with pytest.raises(PoisonEventError) as refused:
        parse_key(key, [made])
    assert (refused.value.reason, refused.value.cause) == (reason, "data")


@pytest.mark.parametrize("kind", ["float", "double"])
def test_a_float_field_is_no_key_and_the_schema_is_to_blame(kind: str) -> None:
    with pytest.raises(PoisonEventError) as refused:
        parse_key('["1.5"]', [field(kind)])
    assert refused.value.cause == "schema"
