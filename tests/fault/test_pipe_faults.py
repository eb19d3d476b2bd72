"""The traps that rules of the plan are there for, from the source to the live table and the rebuilt one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from pipe import Pipe, Table, notification, write_entity

from consumers.warehouse.port import Counts, Row
from producers.kinesis import Entry, Fault, InMemoryStream
from schemas.errors import TransientError
from schemas.event import decode_event, encode_event

LINKS = 'key = ["urn"]\n[[source]]\ncsv = "links"\nmode = "snapshot"\neffective = "%Y%m%d.csv"\n'
PEOPLE = 'key = ["id"]\n[[source]]\ndynamodb = "people"\nwhere = {{ kind = "{}*" }}\n'
URN = {"name": "urn", "type": "int"}
ID = {"name": "id", "type": "string"}
NAME = {"name": "name", "type": "string"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Files of links, and one table with two entities: whoever is staff is a person, too."""
    home = tmp_path / "home"
    write_entity(home, "link", LINKS, URN, NAME)
    write_entity(home, "person", PEOPLE.format("P"), ID, NAME)
    write_entity(home, "staff", PEOPLE.format("P#S"), ID, NAME)
    return home


@pytest.fixture
def pipe(home: Path, tmp_path: Path) -> Pipe:
    return installed(home, tmp_path / "pipe")


@pytest.fixture
def people() -> Table:
    return Table("people", "id")


def installed(home: Path, folder: Path, beside: Pipe | None = None) -> Pipe:
    """An installation with tables of its own; all else is that of the one beside it."""
    folder.mkdir()
    made = Pipe(home, folder, now=datetime(2026, 3, 20, tzinfo=UTC))
    if beside:
        made.stream, made.schema_log, made.bucket = beside.stream, beside.schema_log, beside.bucket
    return made


def drop(pipe: Pipe, key: str, *lines: str) -> None:
    pipe.now += timedelta(seconds=1)
    pipe.take(pipe.upload(key, "\n".join(lines)))


def person(name: str | None, kind: str = "P") -> dict[str, Any]:
    """An item; without a name it is none that fits."""
    return {"id": {"S": "1"}, "kind": {"S": kind}, "name": {"S": name} if name else {"N": "7"}}


def live(rows: Sequence[Row]) -> dict[object, object]:
    """Names by key, as readers see them."""
    return {row.values[0]: row.values[1] for row in rows if not row.deleted}


def rebuilt(pipe: Pipe, entity: str) -> list[Row]:
    """The live table, which a rebuild was found to equal."""
    before = pipe.rows(entity)
    assert pipe.rebuild(entity).swapped
    assert pipe.rows(entity) == before
    return before


def test_a_redeploy_between_two_attempts_ends_the_same_in_whatever_order_its_bytes_come(
    home: Path, tmp_path: Path, pipe: Pipe
) -> None:
    """The new release trims what the old one did not: one position, other bytes. Only the rank decides."""
    pipe.stream = InMemoryStream(1, [Fault(after=True)] * 2)  # all taken, but the producer is never told
    upload = pipe.upload("drop/links/20260301.csv", "urn,name\n1, Alpha\n2, Beta\n3, Gamma\n4,Delta\n")
    with pytest.raises(TransientError):
        pipe.csv_producer().take(notification(upload))
    write_entity(home, "link", f"{LINKS}trim = true\n", URN, NAME)
    redeployed = installed(home, tmp_path / "redeployed", pipe)
    redeployed.take(upload)
    events = {frame: decode_event(frame) for frame in redeployed.frames()}
    rows = [event.event_id for event in events.values() if event.operation == "upsert"]
    assert (len(rows), len({*rows})) == (7, 4)

    ends = []
    for number, payloads in enumerate([redeployed.payloads(), redeployed.payloads()[::-1]]):
        one = installed(home, tmp_path / f"order {number}", redeployed)
        for payload in payloads:
            one.consume([payload])
        ends.append(rebuilt(one, "link"))
    assert ends[0] == ends[1]
    assert len(live(ends[0])) == 4


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_sweep_beside_a_writer_with_an_older_row_buries_it_in_whatever_order(
    pipe: Pipe, order: Sequence[int]
) -> None:
    """One writer has the older file, which comes late; the other has the newer one."""
    drop(pipe, "drop/links/20260301.csv", "urn,name", "1,a", "2,b")
    drop(pipe, "drop/links/20260302.csv", "urn,name", "2,c")
    frames = {*pipe.frames()}
    older = {frame for frame in frames if decode_event(frame).position.startswith("20260301")}
    sweeps = {frame for frame in frames - older if decode_event(frame).operation == "sweep"}
    parts = [older, frames - older - sweeps, sweeps]
    writers = [pipe.warehouse, pipe.open_warehouse(), pipe.open_warehouse()]
    for number in order:
        pipe.consumer(writers[number]).consume([*parts[number]])
    assert live(rebuilt(pipe, "link")) == {2: "c"}
    assert live(pipe.as_of("link", datetime(2026, 3, 1, tzinfo=UTC))) == {1: "a", 2: "b"}
    for writer in writers:
        writer.close()


def test_a_file_with_one_reject_sweeps_nothing_until_a_whole_one_comes(pipe: Pipe) -> None:
    drop(pipe, "drop/links/20260301.csv", "urn,name", "1,a", "2,b", "3,c")
    drop(pipe, "drop/links/20260302.csv", "urn,name", "1,A", "two,B")
    pipe.consume(pipe.payloads())
    assert live(rebuilt(pipe, "link")) == {1: "A", 2: "b", 3: "c"}

    (rejects,) = pipe.bucket.keys("rejects/links/")
    corrected = pipe.bucket.body(rejects).decode().replace(",two,", ",2,")
    drop(pipe, "corrections/links/right.csv", *corrected.splitlines())
    pipe.consume(pipe.payloads())
    assert live(rebuilt(pipe, "link")) == {1: "A", 2: "B", 3: "c"}

    drop(pipe, "drop/links/20260303.csv", "urn,name", "1,A")
    pipe.consume(pipe.payloads())
    assert live(rebuilt(pipe, "link")) == {1: "A"}
    assert live(pipe.as_of("link", datetime(2026, 3, 2, tzinfo=UTC))) == {1: "A", 2: "B", 3: "c"}


def test_a_bad_item_between_two_good_ones_of_its_key_takes_neither_with_it(pipe: Pipe, people: Table) -> None:
    for at, name in enumerate(["first", None, "last", None]):
        people.put(person(name), at)
    pipe.publish(people.stream)
    assert pipe.consume(pipe.payloads()) == Counts(applied=1, superseded=1)
    assert live(rebuilt(pipe, "person")) == {"1": "last"}
    assert len(pipe.source_letters.letters) == 2
    assert live(pipe.as_of("person", datetime.fromtimestamp(1, UTC))) == {"1": "first"}


@pytest.mark.parametrize("number", [1, 2], ids=["between two good ones", "above all good ones"])
@pytest.mark.parametrize("cause", ["schema", "data"])
def test_a_poison_event_takes_no_good_one_of_its_batch_with_it_and_a_rebuild_agrees(
    home: Path, tmp_path: Path, pipe: Pipe, people: Table, number: int, cause: str
) -> None:
    """One of three is by a producer that is ahead by a release, or has a bug."""
    for at, name in enumerate(["first", "second", "third"]):
        people.put(person(name), at)
    if cause == "schema":
        write_entity(home, "person", PEOPLE.format("P"), ID, {**NAME, "maxLength": 10})
        installed(home, tmp_path / "ahead", pipe).publish([people.stream[number]])
    else:
        other = installed(home, tmp_path / "with a bug")
        other.publish([people.stream[number]])
        (event,) = map(decode_event, other.frames())
        pipe.stream.put([Entry(encode_event(event._replace(after=b"")), "person/0", "0")])
    pipe.publish([record for record in people.stream if record is not people.stream[number]])
    assert pipe.consume(pipe.payloads()) == Counts(applied=1, superseded=1, dead=1)
    (letter,) = pipe.letters.letters
    assert (letter.cause, letter.payload in pipe.frames()) == (cause, True)
    assert live(rebuilt(pipe, "person")) == {"1": "second" if number == 2 else "third"}


def test_two_entities_with_one_key_in_one_table_have_a_row_each_and_lose_it_each(
    pipe: Pipe, people: Table
) -> None:
    ends = []
    for at, item in enumerate(
        [person("Ann", "P#S"), person("Anne", "P"), person("Anna", "P#S"), person("x", "Q")]
    ):
        people.put(item, at)
        pipe.publish(people.stream[-1:])
        pipe.consume(pipe.payloads())
        ends.append((live(rebuilt(pipe, "person")), live(rebuilt(pipe, "staff"))))
    ann, anne, anna = {"1": "Ann"}, {"1": "Anne"}, {"1": "Anna"}
    assert ends == [(ann, ann), (anne, {}), (anna, anna), ({}, {})]


def test_what_a_stream_that_was_switched_off_and_on_tells_is_later_than_all_it_told_before(
    pipe: Pipe, people: Table
) -> None:
    """Its sequence numbers begin again, and the last records of the old one may well come after it."""
    for at, name in enumerate(["old", "older still", "oldest"]):
        people.put(person(name), at)
    before = len(people.stream)
    people.switch_stream_on("2026-03-01T00:00:00.001")
    people.put(person("new"), 10)
    pipe.publish(people.stream[before:])
    pipe.publish(people.stream[:before])
    for payload in pipe.payloads():
        pipe.consume([payload])
    assert live(rebuilt(pipe, "person")) == {"1": "new"}
