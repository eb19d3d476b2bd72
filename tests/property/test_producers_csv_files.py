"""The CSV source for any text, any dialect, any order of files and any trouble with the stream."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from csv_world import World, entity, links, notification
from hypothesis import given
from hypothesis import strategies as st

from producers.csv.text import TextRows
from producers.kinesis import Fault, InMemoryStream
from schemas.errors import TransientError
from schemas.event import bucket_of, key_hash
from schemas.sources.csv import Mode

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def written(rows: Sequence[Sequence[str]], **dialect: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows(rows)
    return out.getvalue()


@given(
    table=st.lists(st.lists(TEXT, min_size=2, max_size=5), max_size=6),
    delimiter=st.sampled_from(",;|\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32"]),
    size=st.integers(1, 40),
)
def test_any_text_comes_back_whatever_the_dialect_and_the_chunks(
    table: list[list[str]], delimiter: str, end: str, encoding: str, size: int
) -> None:
    quoting = csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL  # else it leaves a lone \r unquoted
    rows = [["first", "line"], *table]
    text = written(rows, delimiter=delimiter, lineterminator=end, quoting=quoting)
    body = text.encode(encoding)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert list(TextRows(chunks, encoding, delimiter)) == rows


@given(body=st.binary(max_size=200), encoding=st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_any_bytes_are_a_file_taken_or_a_file_rejected_and_never_lost(body: bytes, encoding: str) -> None:
    world = World(links(encoding=encoding))
    world.drop(b"URN,Name,Since,Open\n" + body)
    copies = [key for key in world.objects() if "." not in key.rpartition("/")[2]]
    assert [world.bucket.body(key) for key in copies] == [b"URN,Name,Since,Open\n" + body]
    assert not world.events() or copies[0].startswith("archive/")


KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "t": ("string", TEXT),
    "i": ("int", st.integers(-(2**31), 2**31 - 1)),
    "d": ({"type": "int", "logicalType": "date"}, st.dates(date(1000, 1, 1))),
    "m": (
        {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 6},
        st.decimals(-(10**31), 10**31, places=6, allow_nan=False),
    ),
    "w": ({"type": "long", "logicalType": "local-timestamp-micros"}, st.datetimes(datetime(1000, 1, 1))),  # noqa: DTZ001
    "f": ("double", st.floats(allow_nan=False, allow_infinity=False)),
    "b": ("boolean", st.booleans()),
}
FIELDS = [
    {"name": name, "type": [*(["null"] if name != "t" else []), kind] if name != "t" else kind}
    for name, (kind, _) in KINDS.items()
]
ROWS = st.lists(
    st.fixed_dictionaries(
        {name: values if name == "t" else st.none() | values for name, (_, values) in KINDS.items()}
    ),
    min_size=1,
    max_size=5,
)


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value:f}"
        case bool():
            return str(value).lower()
        case float():
            return repr(value)
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


@given(rows=ROWS)
def test_typed_values_written_as_text_are_the_values_of_the_events(rows: list[dict[str, Any]]) -> None:
    world = World(entity(FIELDS))
    world.drop(written([list(KINDS), *([cell(row[name]) for name in KINDS] for row in rows)]))
    assert world.values() == [row for row in rows if any(map(cell, row.values()))]  # no value: no row


FAULTS = st.lists(
    st.builds(
        Fault,
        split=st.none() | st.integers(0, 3),
        refused=st.frozensets(st.integers(0, 5), max_size=3),
        before=st.booleans(),
        after=st.booleans(),
    ),
    max_size=12,
)


@given(faults=FAULTS, rows=st.integers(1, 40))
def test_inv1_inv5_whatever_befalls_the_stream_each_event_is_there_with_the_same_bytes(
    faults: list[Fault], rows: int
) -> None:
    body = "URN,Name,Since,Open\n" + "".join(f"{row},x,,Y\n" for row in range(rows))
    calm = World(links(mode=Mode.SNAPSHOT))
    calm.drop(body)
    world = World(links(mode=Mode.SNAPSHOT), stream=InMemoryStream(2, faults))
    upload = world.upload(body)
    while world.objects() == [upload.key]:
        try:
            world.producer().take(notification(upload))
        except TransientError:
            assert world.objects() == [upload.key]
    assert {repr(event) for event in world.events()} == {repr(event) for event in calm.events()}


def live(world: World) -> dict[int, str]:
    """Ten lines of what a consumer does: the greatest position of each key, unless a sweep is above it."""
    newest: dict[str, Any] = {}
    floors: dict[int, str] = {}
    for event in world.events():
        number = bucket_of(event, key_hash(event.source, event.key))
        if event.operation == "sweep":
            floors[number] = max(floors.get(number, ""), event.position)
        elif event.key not in newest or newest[event.key].position < event.position:
            newest[event.key] = event
    rows = [
        world.entity.schema.decode(event.after)
        for event in newest.values()
        if event.position > floors.get(bucket_of(event, key_hash(event.source, event.key)), "")
    ]
    return {row["urn"]: row["name"] for row in rows}  # type: ignore[misc]


SNAPSHOT = st.dictionaries(st.integers(1, 6), st.sampled_from("abc"), min_size=1)


@given(data=st.data(), files=st.lists(SNAPSHOT, min_size=1, max_size=4))
def test_inv2_the_table_is_the_newest_file_in_whatever_order_files_come_and_come_again(
    data: st.DataObject, files: list[dict[int, str]]
) -> None:
    world = World(links(mode=Mode.SNAPSHOT, effective="links_%Y%m%d.csv"))
    order = data.draw(st.permutations(range(len(files))))
    again = data.draw(st.lists(st.sampled_from(order), max_size=2))
    for number in [*order, *again]:
        body = "".join(f"{urn},{name},,Y\n" for urn, name in files[number].items())
        world.drop(f"URN,Name,Since,Open\n{body}", f"drop/links/links_2025040{number + 1}.csv")
    assert live(world) == files[-1]
