"""Events and keys over all values: there and back exactly, and a retry writes the same bytes."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PoisonEventError
from schemas.event import (
    Event,
    Operation,
    decode_event,
    encode_event,
    key_hash,
    make_event,
    rank,
)
from schemas.keys import canonical_key, parse_key
from schemas.log.frames import check_frame
from schemas.payload.fields import Field, FieldType
from schemas.positions import csv_position, dynamodb_position

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
IMAGES = st.none() | st.binary(max_size=40)
MICROS = st.integers(-(2**63), 2**63 - 1)
METADATA = st.dictionaries(TEXT, TEXT, max_size=3)


@st.composite
def facts(draw: st.DrawFn) -> dict[str, Any]:
    operation = draw(st.sampled_from([each for each in Operation if each is not Operation.SWEEP]))
    return {
        "source": draw(TEXT),
        "entity": draw(TEXT),
        "operation": operation,
        "key": draw(st.lists(TEXT, max_size=3).map(canonical_key)),
        "position": draw(TEXT),
        "occurred_at": draw(MICROS),
        "schema_fingerprint": draw(st.binary(min_size=8, max_size=8)),
        "before": draw(IMAGES),
        "after": None if operation is Operation.DELETE else draw(st.binary(max_size=40)),
        "metadata": draw(METADATA),
    }


EVENTS = facts().map(lambda fact: make_event(**fact))


@given(EVENTS)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    frame = encode_event(event)
    assert check_frame(frame) is None
    assert decode_event(frame) == event


@given(facts())
def test_inv5_a_retry_writes_the_same_bytes(fact: dict[str, Any]) -> None:
    again = {**fact, "metadata": dict(reversed(fact["metadata"].items()))}
    assert encode_event(make_event(**fact)) == encode_event(make_event(**again))


@given(EVENTS)
def test_inv5_reading_and_writing_again_gives_the_same_bytes(event: Event) -> None:
    frame = encode_event(event)
    assert encode_event(decode_event(frame)) == frame


@given(facts(), facts())
def test_two_facts_share_an_id_only_if_they_are_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    identity = ("entity", "source", "key", "position")
    same = all(one[part] == other[part] for part in identity)
    assert (make_event(**one).event_id == make_event(**other).event_id) is same


@given(EVENTS, st.data())
def test_damaged_bytes_are_an_event_or_poison_and_nothing_else(event: Event, data: st.DataObject) -> None:
    frame = bytearray(encode_event(event))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(14, len(frame) - 5))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_event(bytes(frame[: data.draw(st.integers(14, len(frame)))]))
    except PoisonEventError:
        return
    assert isinstance(decoded, Event)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=2, max_size=2, unique=True))
def test_sources_do_not_share_rows(pairs: list[tuple[str, str]]) -> None:
    (one_source, one), (other_source, other) = ((source, canonical_key([key])) for source, key in pairs)
    if "\n" not in one_source + other_source:  # the name of a source is one line
        assert key_hash(one_source, one) != key_hash(other_source, other)


@given(st.integers(0, 10**40 - 1), st.integers(0, 10**40 - 1))
def test_dynamodb_positions_and_ranks_are_in_the_order_of_sequence_numbers(one: int, other: int) -> None:
    first, second = (dynamodb_position("2024-01-01T00:00:00.000000", str(number)) for number in (one, other))
    assert (first < second) is (one < other)
    if one != other:
        assert (rank(first, 9999, b"x") < rank(second, 1, b"y")) is (one < other)


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_csv_positions_are_in_the_order_of_rows(one: int, other: int) -> None:
    assert (csv_position("f", one) < csv_position("f", other)) is (one < other)


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=45))])
WIDE = Context(prec=40)
DIGITS = st.integers(-(10**38) + 1, 10**38 - 1)
KEY_FIELDS = [
    (Field("a", FieldType.STRING), TEXT),
    (Field("b", FieldType.LONG), st.integers(-(2**63), 2**63 - 1)),
    (Field("c", FieldType.BOOLEAN), st.booleans()),
    (Field("d", FieldType.BYTES), st.binary(max_size=20)),
    (Field("e", FieldType.DECIMAL, precision=38, scale=9), DIGITS.map(lambda n: Decimal(n).scaleb(-9, WIDE))),
    (Field("f", FieldType.DATE), st.dates()),
    (Field("g", FieldType.TIME_MICROS), st.times()),
    (
        Field("h", FieldType.TIMESTAMP_MICROS),
        st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES),  # noqa: DTZ001
    ),
    (Field("i", FieldType.LOCAL_TIMESTAMP_MICROS), st.datetimes()),
    (Field("j", FieldType.UUID), st.uuids()),
]


@given(st.tuples(*(values for _, values in KEY_FIELDS)))
def test_a_key_gives_its_typed_values_back(values: tuple[object, ...]) -> None:
    key = canonical_key(values)
    parsed = parse_key(key, [field for field, _ in KEY_FIELDS])
    assert parsed == values
    assert [type(value) for value in parsed] == [type(value) for value in values]
    assert canonical_key(parsed) == key


NUMBERS = ["1", "01", "-0", "+1", "1_0", "٣", "1.5", "1.50", "1e1", "NaN", "true", "x", "AP8=", "AP8", "AP9="]
DATES = ["2024-01-01", "20240101", "2024-W01-1", "2024-01-01T01:02:03Z", "2024-01-01 01:02:03Z"]
TIMES = ["01:02:03", "01:02", "24:00", "01:02:03.004000", "01:02:03+01:00", "2024-01-01T01:02:03.000000Z"]
UUIDS = ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000A", "0" * 32]
NEARLY_VALUES = st.sampled_from([*NUMBERS, *DATES, *TIMES, *UUIDS])


@pytest.mark.parametrize("kind", [kind for kind in FieldType if kind not in ("float", "double")])
@given(text=TEXT | NEARLY_VALUES)
def test_any_text_is_a_value_of_the_field_or_poison(kind: FieldType, text: str) -> None:
    field = Field("a", kind, precision=5, scale=2, symbols=("x",))
    key = canonical_key([text])
    try:
        (value,) = parse_key(key, [field])
    except PoisonEventError:
        return
    field.check(value)
    assert canonical_key([value]) == key


@given(st.dates(), st.dates())
def test_dates_sort_as_their_keys(one: date, other: date) -> None:
    assert (canonical_key([one]) < canonical_key([other])) is (one < other)
