"""Two source keys that are one typed key: refused from DynamoDB, where they are two items, told of CSV."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from csv_world import World
from csv_world import entity as feed
from dynamodb_world import catalog, entity, logical, record
from hypothesis import given
from hypothesis import strategies as st
from pipe import Pipe, Table, write_entity
from test_producers_drift import Kept

from producers.csv.rows import KeyTexts
from producers.drift_reporter import DriftReporter
from producers.dynamodb.records import Reading, RecordReader
from schemas.catalog.drift import KEY_TEXTS
from schemas.catalog.entity import Entity
from schemas.sources.dynamodb import DynamoDbSource

MOMENT = logical("timestamp-micros", "long")
LOCAL = logical("local-timestamp-micros", "long")
TIME = logical("time-micros", "long")
DATE = logical("date", "int")


def visit(kind: Any, **more: Any) -> Entity:
    fields = [{"name": "id", "type": "string"}, {"name": "at", "type": kind, **more}]
    made = entity("visit", fields, ["id", "at"], table="visits")
    [source] = made.sources
    assert isinstance(source, DynamoDbSource)
    return replace(made, sources=(replace(source, table_key=("id", "at")),))


def read(made: Entity, text: str, attribute: str = "S") -> Reading:
    item = {"id": {"S": "p1"}, "at": {attribute: text}}
    return RecordReader(catalog(made)).read(record(1, None, item, table="visits", key=("id", "at")))


ISO = "2023-05-11T10:00:00Z"
UPPER = "00112233-4455-6677-8899-AABBCCDDEEFF"


@pytest.mark.parametrize(
    ("kind", "form", "texts"),
    [
        (MOMENT, None, [ISO, "2023-05-11T10:00:00.120Z", "2023-05-11T10:00:00.000001Z"]),
        (LOCAL, None, ["2023-05-11T10:00:00", "2023-05-11T10:00:00.120"]),
        (TIME, None, ["10:00:00", "10:00:00.120"]),
        (DATE, None, ["2023-05-11"]),
        (DATE, "%d/%m/%Y", ["01/02/2023"]),
        (logical("uuid", "string"), None, [UPPER.lower()]),
        ("string", None, [UPPER, "2023-05-11T10:00:00.000Z"]),
    ],
)
def test_the_one_text_of_a_value_is_taken(kind: Any, form: str | None, texts: list[str]) -> None:
    made = visit(kind, **({"format": form} if form else {}))
    for text in texts:
        assert len(read(made, text).events) == 1


@pytest.mark.parametrize(
    ("kind", "form", "text"),
    [
        (MOMENT, None, "2023-05-11T10:00:00.000Z"),
        (MOMENT, None, "2023-05-11T11:00:00+01:00"),
        (MOMENT, None, "2023-05-11T10:00Z"),
        (MOMENT, None, "2023-05-11 10:00:00Z"),
        (MOMENT, None, "2023-05-11T10:00:00.120000Z"),
        (MOMENT, "%Y-%m-%dT%H:%M:%S%z", "2023-05-11T11:00:00+0100"),
        (LOCAL, None, "2023-05-11 10:00:00"),
        (TIME, None, "10:00"),
        (DATE, "%d/%m/%Y", "1/2/2023"),
        (logical("uuid", "string"), None, UPPER),
    ],
)
def test_another_text_of_a_table_key_is_a_dead_letter(kind: Any, form: str | None, text: str) -> None:
    reading = read(visit(kind, **({"format": form} if form else {})), text)
    assert reading.events == []
    [letter] = reading.letters
    assert letter.reason.startswith("field at: the table's own key is text, and this is not the one text")
    assert letter.cause == "schema"
    assert text not in letter.reason


@pytest.mark.parametrize(("form", "text"), [("epoch-seconds", "1714557600"), ("epoch-millis", "5")])
def test_a_number_of_dynamodb_has_one_form(form: str, text: str) -> None:
    assert len(read(visit(MOMENT, format=form), text, "N").events) == 1


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=-9, minutes=-30))])
WRITTEN = st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"])


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(2023, 1, 1), datetime(2023, 1, 2), timezones=ZONES),  # noqa: DTZ001
            WRITTEN,
            st.sampled_from(["T", " "]),
        ),
        max_size=20,
    )
)
def test_texts_that_are_taken_are_as_many_as_their_keys(moments: list[tuple[datetime, str, str]]) -> None:
    texts = {each.isoformat(sep, digits).replace("+00:00", "Z") for each, digits, sep in moments}
    made = visit(MOMENT)
    taken = [reading.events[0][0].key for each in texts if (reading := read(made, each)).events]
    assert len(set(taken)) == len(taken)


def test_items_with_keys_of_one_moment_never_become_one_row(tmp_path: Path) -> None:
    fields = {"name": "id", "type": "string"}, {"name": "at", "type": MOMENT}
    write_entity(tmp_path, "visit", 'key = ["id", "at"]\n[[source]]\ndynamodb = "visits"\n', *fields)
    pipe, table = Pipe(tmp_path, tmp_path), Table("visits", "id", "at")
    texts = (ISO, "2023-05-11T10:00:00.000Z", "2023-05-11T11:00:00+01:00")
    for second, text in enumerate(texts):
        table.put({"id": {"S": "p1"}, "at": {"S": text}}, 1_772_366_400 + second)
    table.delete({"id": {"S": "p1"}, "at": {"S": texts[2]}}, 1_772_366_500)
    pipe.publish(table.stream)
    pipe.consume(pipe.payloads())
    assert pipe.live("visit") == 1
    assert len({letter.payload for letter in pipe.source_letters.letters}) == 3


# CSV


def told(kind: Any, *texts: str, trim: bool = False, **more: Any) -> bool:
    made = feed([{"name": "id", "type": kind, **more}, {"name": "n", "type": "int"}], key=["id"], trim=trim)
    kept = Kept()
    world = World(made, drift=DriftReporter(kept))
    world.drop("id,n\n" + "".join(f"{text},{n}\n" for n, text in enumerate(texts)))
    assert len(world.facts()) == len(texts)
    return [name for each in kept.sightings for name in each.names] == [KEY_TEXTS]


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        ("int", ["1", "01"], True),
        ("int", ["1", "1", "2"], False),
        ("int", ["01", "02", "01"], False),
        (logical("decimal", "bytes", precision=9, scale=2), ["1.0", "1.00"], True),
        ("boolean", ["true", "TRUE"], True),
        (MOMENT, ["2023-10-29T01:30:00+01:00", "2023-10-29T00:30:00Z"], True),
        (MOMENT, ["2023-10-29T01:30:00+01:00", "2023-10-29T01:30:00+00:00"], False),
        (logical("uuid", "string"), [UPPER, UPPER.lower()], True),
        (DATE, ["2023-10-29", "2023-10-29"], False),
        ("string", ["1", "01", "a", "A"], False),
    ],
)
def test_rows_of_a_file_that_write_one_key_in_several_texts(
    kind: Any, texts: list[str], expected: bool
) -> None:
    assert told(kind, *texts) is expected


def test_blanks_that_are_trimmed_are_no_other_text() -> None:
    assert not told("int", "1", " 1", "1 ", trim=True)


def test_inv7_the_log_names_file_and_fields_and_no_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert told("int", "731905", "0731905")
    [line] = [each.getMessage() for each in caplog.records if "otherwise" in each.getMessage()]
    assert "drop/links/a.csv: 1 rows have the key of another row and write it otherwise (id)" in line
    assert "731905" not in line


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=30))
def test_a_text_that_differs_from_the_last_one_of_its_key_is_counted(rows: list[tuple[int, int]]) -> None:
    found, last, expected = KeyTexts(), {}, 0
    for number, zeros in rows:
        text = "0" * zeros + str(number)
        found.observe(str(number), text)
        expected += last.setdefault(number, text) != text
        last[number] = text
    assert found.rows == expected
