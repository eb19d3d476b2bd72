"""What `headwater schemas new` proposes loads, and the sample itself goes through the CSV producer whole."""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from csv_world import World
from hypothesis import assume, given
from hypothesis import strategies as st

from headwater.cli import main
from headwater.scaffold.candidate_keys import candidate_keys
from schemas.catalog.loader import load_entity

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBER = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.floats().map(repr),
    st.from_regex(r"-?0{0,2}\d{1,4}(\.\d{0,3})?", fullmatch=True),
)
OLDEST = datetime(1000, 1, 1)  # noqa: DTZ001 - strftime writes its year in four digits
FORMATS = ("%d-%m-%Y", "%m/%d/%Y", "%Y-%m-%d", "%d/%m/%y", "%d %b %Y", "%Y%m%d")
MOMENTS = ("%Y-%m-%dT%H:%M:%S", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%SZ", "%m/%d/%Y %H:%M:%S.%f")
COLUMNS = st.one_of(
    st.just(TEXT),
    st.just(NUMBER),
    st.just(st.integers(-99, 99).map(str)),
    st.just(st.sampled_from(["Y", "N"])),
    st.just(st.sampled_from(["true", "FALSE", "True"])),
    st.sampled_from(FORMATS).map(lambda each: st.dates(date(1000, 1, 1)).map(lambda day: day.strftime(each))),
    st.sampled_from(MOMENTS).map(lambda each: st.datetimes(OLDEST).map(lambda moment: moment.strftime(each))),
    st.just(st.one_of(st.just(""), st.emails(), TEXT)),
    st.just(st.sampled_from(["", "a@example.org", "020 7946 0958", "007", "1"])),
)
NAMES = st.one_of(
    TEXT, st.sampled_from(["URN", "E-mail", "Phone", "Name", "Post code", "DOB", "id", "_x__y"])
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """A header of different names and rows, each column of one kind with now and then an empty cell. One row
    at least has a value."""
    header = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True).filter(any))
    columns = [draw(COLUMNS) for _ in header]
    nullable = [draw(st.booleans()) for _ in header]
    cells = [
        st.one_of(column, st.just("")) if null else column
        for column, null in zip(columns, nullable, strict=True)
    ]
    rows = draw(st.lists(st.tuples(*cells).map(list), min_size=1, max_size=8))
    assume(filled_rows([header, *rows]))
    return [header, *rows]


def filled_rows(table: Sequence[Sequence[str]]) -> int:
    """How many rows hold a value. In a table of one column each is one."""
    header, *rows = table
    return sum(len(header) == 1 or any(map(str.strip, row)) for row in rows)


def written(table: Sequence[Sequence[str]], delimiter: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table)
    return out.getvalue()


def proposed(body: bytes, *words: str) -> World:
    """The whole CSV source of what is proposed for a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.csv"
        file.write_bytes(body)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            code = main(["schemas", "new", "links", "--from", str(file), "--out", folder, *words])
        assert code == 0, said.getvalue()
        return World(load_entity(Path(folder) / "entities" / "links"))


@given(table=tables(), delimiter=st.sampled_from(",;|\t"), encoding=st.sampled_from(["utf-8", "utf-16"]))
def test_the_sample_goes_through_the_producer_without_rejects(
    table: list[list[str]], delimiter: str, encoding: str
) -> None:
    body = written(table, delimiter).encode(encoding)
    world = proposed(body, "--delimiter", delimiter, "--header")
    world.drop(body)
    assert world.reasons() == []
    assert len(world.events()) == filled_rows(table)
    assert not [key for key in world.objects() if key.startswith("rejects/")]


def test_the_schools_register_goes_through_whole(shared_data: Path) -> None:
    body = (shared_data / "gias_links" / "links_20250422.csv").read_bytes()
    world = proposed(body, "--encoding", "cp1252")
    types = {each.name: each.kind for each in world.entity.schema.fields}
    assert types == {
        "urn": "int",
        "link_urn": "int",
        "link_name": "string",
        "link_type": "string",
        "link_established_date": "date",
    }
    assert world.entity.key[:2] == ("urn", "link_urn")
    world.drop(body)
    assert world.reasons() == []
    assert len({event.key for event in world.events()}) == body.count(b"\r\n") == len(world.events())


@given(rows=st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=12))
def test_a_candidate_key_tells_all_rows_apart_and_none_smaller_does(rows: list[tuple[int, ...]]) -> None:
    columns = list(zip(*rows, strict=True))
    found = candidate_keys(columns)
    for places in found:
        assert len({tuple(row[place] for place in places) for row in rows}) == len(rows)
    smallest = len(found[0]) if found else 4
    for place in range(4 if smallest > 1 else 0):
        assert len({row[place] for row in rows}) < len(rows)
