"""A file that takes several attempts: each one goes on where rows were acknowledged, and it ends the same."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from csv_world import HEADER, LINK_FIELDS, World, entity, links, notification, source_of

from producers import publisher
from producers.csv import stages
from producers.csv.uploads import Upload
from producers.kinesis import InMemoryStream
from schemas.catalog.entity import Entity
from schemas.errors import TransientError
from schemas.payload.codec import make_schema
from schemas.sources.csv import Mode

ROWS = 40
BODY = "\n".join([HEADER, *(f"{'x' if n % 7 == 3 else n},Name {n},,Y" for n in range(1, ROWS + 1)), ""])
CLEAN = BODY.replace("x,", "999,")


class Killed(BaseException):
    """The process ends here: nothing catches it."""


@pytest.fixture(autouse=True)
def small_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STAGE_BYTES", 300)
    monkeypatch.setattr(stages, "LOOK_ROWS", 2)
    monkeypatch.setattr(publisher, "MAX_CALL_BYTES", 1_000)


class CountingStream(InMemoryStream):
    """Counts what it takes."""

    @property
    def bytes_taken(self) -> int:
        return sum(len(entry.payload) for taken in self.taken.values() for entry in taken)


def world(one: Entity | None = None) -> World:
    return World(one or links(mode=Mode.SNAPSHOT), stream=CountingStream(2))


def outcome(of: World) -> tuple[object, ...]:
    """What must not depend on how many attempts it took."""
    events = {repr(event) for event in of.events()}
    return events, {key: of.bucket.body(key) for key in of.objects()}, of.letters.letters


def on_each_write(of: World, happens: Callable[[], None]) -> None:
    """Something happens just before each durable write, and just after it."""

    def surrounded(write: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*arguments: Any) -> Any:
            happens()
            answer = write(*arguments)
            happens()
            return answer

        return replacement

    for port, names in ((of.bucket, ("put", "copy", "delete")), (of.stream, ("put",))):
        for name in names:
            setattr(port, name, surrounded(getattr(port, name)))


class KilledAt:
    """Kills the process at one moment out of all."""

    def __init__(self, moment: int) -> None:
        self.moment = moment
        self.passed = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            raise Killed


def moments(of: World) -> int:
    counted = KilledAt(-1)
    upload = of.upload(BODY)
    on_each_write(of, counted)
    of.producer().take(notification(upload))
    return counted.passed


@pytest.mark.parametrize("body", [BODY, CLEAN], ids=["with rejects", "clean"])
def test_inv1_inv5_killed_at_any_write_it_goes_on_and_ends_the_same(body: str) -> None:
    alone = world()
    alone.drop(body)
    count = moments(world())
    assert count > 30, "there were too few stages for a test"
    for moment in range(1, count + 1):
        one = world()
        upload = one.upload(body)
        on_each_write(one, KilledAt(moment))
        try:
            one.producer().take(notification(upload))
        except Killed:
            one.producer().take(notification(upload))
        events, objects, letters = outcome(one)
        left = {key for key in objects if key.startswith("progress/")}  # type: ignore[attr-defined]
        assert (events, {k: b for k, b in objects.items() if k not in left}, letters) == outcome(alone)  # type: ignore[attr-defined]


def test_inv5_killed_at_every_stage_nothing_is_published_much_more_than_once() -> None:
    alone = world()
    alone.drop(CLEAN)
    one = world()
    upload = one.upload(CLEAN)
    puts = one.bucket.put
    kills = 0

    def put(key: str, body: Any) -> None:
        nonlocal kills
        puts(key, body)
        if key.startswith("progress/") and not key.endswith(".keys"):
            kills += 1
            raise Killed

    one.bucket.put = put  # type: ignore[method-assign]
    for _ in range(200):
        try:
            one.producer().take(notification(upload))
            break
        except Killed:
            continue
    assert kills > 5
    assert outcome(one) == outcome(alone)
    assert one.stream.bytes_taken == alone.stream.bytes_taken  # type: ignore[attr-defined]


class Clock:
    """An invocation of Lambda in which each call to Kinesis takes a second."""

    def __init__(self, stream: InMemoryStream, seconds: int) -> None:
        self._stream = stream
        self._ends = len(stream.calls) + seconds

    def __call__(self) -> float:
        return self._ends - len(self._stream.calls)


def attempts(of: World, upload: Upload, seconds: int = 8) -> int:
    """The same SQS record until it is done."""
    record = {"messageId": "m", "eventSource": "aws:sqs", "body": notification(upload)}
    for attempt in range(1, 200):
        answer = of.producer().handle({"Records": [record]}, Clock(of.stream, seconds))
        if answer == {"batchItemFailures": []}:
            return attempt
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}
        assert upload.key in of.objects()
    raise AssertionError("it was never done")


@pytest.mark.parametrize("mode", [Mode.SNAPSHOT, Mode.UPSERT])
def test_a_file_that_is_too_long_for_one_invocation_gets_through_and_no_byte_goes_twice(mode: Mode) -> None:
    alone = world(links(mode=mode))
    alone.drop(BODY)
    one = world(links(mode=mode))
    assert attempts(one, one.upload(BODY)) > 2
    assert outcome(one) == outcome(alone)
    assert one.stream.bytes_taken <= 1.05 * alone.stream.bytes_taken  # type: ignore[attr-defined]


@pytest.mark.parametrize(("limit", "refused"), [(3, True), (20, False)])
def test_the_reject_limit_counts_the_rows_of_all_attempts(limit: int, refused: bool) -> None:
    one = world(links(mode=Mode.SNAPSHOT, reject_limit=limit))
    attempts(one, one.upload(BODY))
    assert (one.events() == []) is refused
    assert [key for key in one.objects() if key.startswith("progress/")] == []


def test_a_sweep_needs_all_rows_of_all_attempts() -> None:
    clean, bad = world(), world()
    assert attempts(clean, clean.upload(CLEAN)) > 2
    assert attempts(bad, bad.upload(BODY)) > 2
    assert len(clean.sweeps()) == 256
    assert bad.sweeps() == []
    assert bad.reasons() == [f"no sweep published: 6 of {ROWS} rows were rejected"]


def test_a_correction_goes_on_as_well() -> None:
    alone, one = world(), world()
    for each in (alone, one):
        each.drop(BODY)
        header, *rows = each.rejects()
        fixed = [
            ",".join([row, place, column, reason, "5", *cells[1:]])
            for row, place, column, reason, *cells in rows
        ]
        text = "\n".join([",".join(header), *fixed, "9,nowhere,,,1,a,,Y"])
        upload = each.upload(text, "corrections/links/fix.csv")
        if each is one:
            attempts(each, upload, seconds=4)
        else:
            each.producer().take(notification(upload))
    assert outcome(one) == outcome(alone)


def interrupted(one: World) -> Upload:
    """A file of which a part is published."""
    upload = one.upload(CLEAN)
    with pytest.raises(TransientError):
        one.producer().handle(_direct(upload), Clock(one.stream, 8))
    assert one.facts()
    return upload


def _direct(upload: Upload) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(notification(upload))
    return found


def other_version(of: World) -> Entity:
    fields = [{**each, "maxLength": 30} if each["name"] == "name" else each for each in LINK_FIELDS]
    schema = make_schema("links", 2, ("urn",), {"type": "record", "name": "Row", "fields": fields})
    return replace(of.entity, schema=schema, older=(of.entity.schema,))


def other_source(of: World) -> Entity:
    return replace(of.entity, sources=(replace(source_of(of.entity), trim=True),))


@pytest.mark.parametrize("changed", [other_version, other_source])
def test_after_a_change_of_the_catalog_a_file_begins_at_its_first_row_and_says_so(
    changed: Callable[[World], Entity], caplog: pytest.LogCaptureFixture
) -> None:
    one = world()
    upload = interrupted(one)
    one.entity = changed(one)
    one.producer().take(notification(upload))
    assert "from its first row" in caplog.text
    fingerprint = one.entity.schema.fingerprint
    rows = {event.metadata["row"] for event in one.facts() if event.schema_fingerprint == fingerprint}
    assert rows >= {str(number) for number in range(1, ROWS + 1)}
    assert [key for key in one.objects() if key.startswith("progress/")] == []


def test_a_second_record_of_the_batch_is_not_begun_when_the_time_is_nearly_up() -> None:
    one = world()
    uploads = [one.upload(CLEAN, f"drop/links/{name}.csv") for name in "ab"]
    records = [
        {"messageId": name, "eventSource": "aws:sqs", "body": notification(upload)}
        for name, upload in zip("ab", uploads, strict=True)
    ]
    answer = one.producer().handle({"Records": records}, Clock(one.stream, 8))
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["a", "b"]
    assert {fact.metadata["file"] for fact in one.facts()} == {"a.csv"}


def test_two_workers_on_one_file_leave_what_one_would() -> None:
    alone = world()
    alone.drop(BODY)
    for moment in range(1, 40, 3):
        one = world()
        upload = one.upload(BODY)
        other = one.producer()
        passed = 0

        def meanwhile(moment: int = moment, other: Any = other, upload: Upload = upload) -> None:
            nonlocal passed
            passed += 1
            if passed == moment:
                other.take(notification(upload))

        on_each_write(one, meanwhile)
        one.producer().take(notification(upload))
        assert outcome(one) == outcome(alone), f"the other came at moment {moment}"


def test_rows_without_a_key_go_on_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    alone, one = world(entity(LINK_FIELDS)), world(entity(LINK_FIELDS))
    alone.drop(BODY)
    assert attempts(one, one.upload(BODY)) > 2
    assert outcome(one) == outcome(alone)
    assert "goes on after row" in caplog.text


# A snapshot that is compared with the one before


def after_a_register(count: int) -> tuple[World, Upload]:
    """A register of 20 rows is there, and one of `count` comes."""
    one = World(links(mode=Mode.SNAPSHOT), stream=CountingStream(2))
    bodies = ["\n".join([HEADER, *(f"{n},Name,,Y" for n in range(rows)), ""]) for rows in (20, count)]
    one.drop(bodies[0])
    return one, one.upload(bodies[1])


@pytest.mark.parametrize("count", [2, 18], ids=["refused", "swept"])
def test_inv5_a_snapshot_killed_at_any_write_is_swept_or_refused_as_before(count: int) -> None:
    alone, upload = after_a_register(count)
    counted = KilledAt(-1)
    on_each_write(alone, counted)
    alone.producer().take(notification(upload))
    assert len({sweep.position for sweep in alone.sweeps()}) == (1 if count == 2 else 2)
    for moment in range(1, counted.passed + 1):
        one, upload = after_a_register(count)
        on_each_write(one, KilledAt(moment))
        with pytest.raises(Killed):
            one.producer().take(notification(upload))
        one.producer().take(notification(upload))
        events, objects, letters = outcome(one)
        done = {key: body for key, body in objects.items() if not key.startswith("progress/")}  # type: ignore[attr-defined]
        assert (events, done, letters) == outcome(alone), f"killed at moment {moment}"
