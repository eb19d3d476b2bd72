"""Any history of the sources, published and delivered in any way: tables, rebuilt ones and those as of any
moment are what a short oracle makes of that history."""

from __future__ import annotations

import csv
import gzip
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from pipe import START, Fates, Killed, Pipe, Record, Table, until_done, write_entity

from consumers.facts import frames_of
from consumers.warehouse.port import Row
from producers.csv.uploads import Upload
from producers.kinesis import Fault, InMemoryStream
from schemas.errors import TransientError
from schemas.event import decode_event

KINDS = {"person": ("PERSON", "PERSON#STAFF"), "staff": ("PERSON#STAFF",), "place": ("PLACE",)}
"""Which items of the one table are which entity: a key may be two of them at once, and become a third."""
FEEDS = {"places": "place", "usage": "usage"}
ENTITIES = (*KINDS, "usage")
KEYS = ("p1/a", "p1/b", "p2/a")
HUSH = "hush-hush"
"""What stands in every item and in every row, under names that no schema has."""

FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "pk", "type": "string"},
    {"name": "sk", "type": "string"},
    {"name": "size", "type": "int"},
    {
        "name": "price",
        "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}],
        "default": None,
    },
    {"name": "tags", "type": ["null", "string"], "default": None, "headwater.json": True},
)
THINGS = 'key = ["pk", "sk"]\n[[source]]\ndynamodb = "things"\nwhere = {{ kind = "{}" }}\n'
PLACES = '[[source]]\ncsv = "places"\nmode = "snapshot"\neffective = "places_%Y%m%d.csv"\n'
USAGE = 'key = ["pk", "sk"]\n[[source]]\ncsv = "usage"\nmode = "upsert"\n'


class Change(NamedTuple):
    """An item is written or, without a kind, deleted. Its size may be one that no field takes: None."""

    at: datetime
    key: str
    kind: str | None
    size: int | None


class Switch(NamedTuple):
    """The table's stream is switched off and on."""

    at: datetime


class File(NamedTuple):
    """A file is dropped: keys and sizes. `at` is what its name says, or the time of its upload."""

    at: datetime
    feed: str
    rows: tuple[tuple[str, int | None], ...]


Step: TypeAlias = Change | Switch | File
Rows: TypeAlias = dict[tuple[str, str], tuple[object, ...]]
"""Live rows of an entity by source and key."""


def columns(key: str, size: int) -> tuple[object, ...]:
    """The row of a key and a size."""
    price = Decimal(size).scaleb(-1).quantize(Decimal("0.01")) if size else None
    return (*key.split("/"), size, price, '["x","y"]' if size else None)


def oracle(history: Sequence[Step], entity: str, until: datetime) -> Rows:
    """What the sources hold at that moment, from their history alone."""
    rows: Rows = {}
    for step in sorted((step for step in history if step.at <= until), key=lambda step: step.at):
        if isinstance(step, Change) and entity in KINDS:
            if step.kind not in KINDS[entity]:
                rows.pop(("dynamodb:things", step.key), None)
            elif step.size is not None:  # a bad item is a dead letter: the row stays as it was
                rows["dynamodb:things", step.key] = columns(step.key, step.size)
        elif isinstance(step, File) and FEEDS[step.feed] == entity:
            source, sizes = f"csv:{step.feed}", [size for _, size in step.rows]
            if step.feed == "places" and sizes and None not in sizes:
                rows = {where: row for where, row in rows.items() if where[0] != source}
            rows |= {(source, key): columns(key, size) for key, size in step.rows if size is not None}
    return rows


def live(rows: Sequence[Row]) -> Rows:
    """A table as the oracle has it."""
    return {(row.source, f"{row.values[0]}/{row.values[1]}"): row.values for row in rows if not row.deleted}


# What happens at the sources

SIZES = st.sampled_from([1, 2, 3, 4, 5, 6, 0, None])
CHANGES = st.tuples(
    st.sampled_from(KEYS[:2]), st.sampled_from(["PERSON", "PERSON#STAFF", "PLACE", "OTHER", None]), SIZES
)
ROWS = st.lists(st.tuples(st.sampled_from(KEYS), SIZES), max_size=3).map(tuple)
STEPS = st.one_of(
    *[st.tuples(st.just("change"), CHANGES)] * 4,
    *[st.tuples(st.integers(27, 28), ROWS)] * 2,
    st.tuples(st.just("usage"), ROWS),
    st.tuples(st.just("switch"), st.none()),
)
HISTORIES = st.lists(STEPS, min_size=5, max_size=20).map(
    lambda steps: [_step(number, *step) for number, step in enumerate(steps)]
)


def _step(number: int, kind: Any, what: Any) -> Step:
    at = uploaded_at(number)
    match kind:
        case "change":
            return Change(at.replace(second=at.second // 2), *what)  # two changes may share a second
        case "switch":
            return Switch(at)
        case "usage":
            return File(at, kind, what)
        case day:
            return File(datetime(2026, 2, day, tzinfo=UTC), "places", what)


def uploaded_at(number: int) -> datetime:
    return START + timedelta(seconds=number)


def image(change: Change) -> dict[str, dict[str, Any]]:
    pk, sk = change.key.split("/")
    item: dict[str, dict[str, Any]] = {"pk": {"S": pk}, "sk": {"S": sk}, "hush": {"S": HUSH}}
    if change.kind is None:
        return item
    item |= {"kind": {"S": change.kind}, "nested": {"M": {"deep": {"L": [{"S": HUSH}]}}}}
    if not change.size:
        return {**item, "size": {"S": "many"} if change.size is None else {"N": "0"}}
    price = {"N": str(columns(change.key, change.size)[3])}
    return {**item, "size": {"N": str(change.size)}, "price": price, "tags": {"SS": ["y", "x"]}}


def content(file: File) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["hush", "tags", "sk", "size", "pk", "price"])
    for key, size in file.rows:
        pk, sk, _, price, tags = columns(key, size or 0)
        writer.writerow([HUSH, tags, sk, "many" if size is None else size, pk, price])
    return text.getvalue()


Handed: TypeAlias = Sequence[Record] | Upload
"""What a source hands to a producer: a batch of one stream, or a file."""


def play(history: Sequence[Step], pipe: Pipe, random: Random) -> list[Handed]:
    """All of it happens at the sources."""
    table, uploads = Table("things", "pk", "sk"), list[Handed]()
    for number, step in enumerate(history):
        pipe.now = uploaded_at(number)
        match step:
            case Change(kind=None):
                table.delete(image(step), step.at.timestamp())
            case Change():
                table.put(image(step), step.at.timestamp())
            case Switch():
                table.switch_stream_on(f"2026-03-01T{number:02}:00:00.000")
            case File():
                name = f"places_{step.at:%Y%m%d}.csv" if step.feed == "places" else "usage.csv"
                uploads.append(pipe.upload(f"drop/{step.feed}/{name}", content(step)))
    streams = groupby(table.stream, key=lambda record: record["eventSourceARN"])
    return [*uploads, *(batch for _, records in streams for batch in cut(list(records), random))]


def cut(things: Sequence[Any], random: Random, most: int = 4) -> Iterator[list[Any]]:
    """In batches of any size."""
    places = sorted(random.choices(range(len(things) + 1), k=random.randint(0, most)))
    yield from (list(things[a:b]) for a, b in zip([0, *places], [*places, len(things)], strict=True) if a < b)


def in_any_order(things: Sequence[Any], random: Random, again: float = 0.3) -> list[Any]:
    """Each at least once."""
    made = [*things, *(thing for thing in things if random.random() < again)]
    random.shuffle(made)
    return made


@contextmanager
def installed(random: Random, kills: int = 0) -> Iterator[Pipe]:
    """An empty installation with a stream that has faults, and producers that are killed so often."""
    with TemporaryDirectory() as name:
        home = Path(name)
        for entity, kinds in KINDS.items():
            pattern = f"{kinds[0]}*" if len(kinds) > 1 else kinds[0]
            toml = THINGS.format(pattern) + (PLACES if entity == "place" else "")
            write_entity(home, entity, toml, *FIELDS)
        write_entity(home, "usage", USAGE, *FIELDS)
        faults = random.choices(FAULTS, k=2 * kills)
        pipe = Pipe(home, home, InMemoryStream(random.randint(1, 3), faults), killed(random, kills, 60))
        yield pipe
        pipe.close()


def killed(random: Random, times: int, moments: int) -> Fates:
    """At some of the first moments."""
    return Fates(random.randrange(moments) for _ in range(times))


@contextmanager
def every_log_line() -> Iterator[list[str]]:
    """What all of this process's code logs, with any error's traceback."""
    lines, formatter = list[str](), logging.Formatter()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


FAULTS = (
    Fault(split=1),
    Fault(refused=frozenset({0})),
    Fault(refused=frozenset({1, 2}), after=True),
    Fault(before=True),
    Fault(after=True),
)


def publish(handed: Sequence[Handed], pipe: Pipe, random: Random) -> None:
    """By producers that are killed, in any order, some of it twice."""
    for one in in_any_order(handed, random):
        if isinstance(one, Upload):
            pipe.take(one)
        else:
            pipe.publish(one)


def deliver(pipe: Pipe, random: Random, meanwhile: Callable[[], None] = lambda: None) -> None:
    """To two writers that are killed and come between each other's writes, in any order, some of it twice."""
    waiting = list(cut(in_any_order([*units(pipe, random)], random), random, most=8))
    writers = [pipe.open_warehouse(busy_seconds=0) for _ in range(2)]
    pipe.fates = killed(random, 3, 12)

    def consume(batch: list[bytes], writer: int, between: Callable[[], None]) -> None:
        try:
            counts = pipe.consumer(writers[writer], between).consume(batch)
        except (Killed, TransientError):
            waiting.insert(random.randint(0, len(waiting)), batch)
        else:
            assert counts.accepted == sum(len(frames_of(payload)) for payload in batch)  # INV-4
            assert counts.dead == 0

    def the_other() -> None:
        if waiting and random.random() < 0.3:
            consume(waiting.pop(), 1, pipe.fates.moment)
        pipe.fates.moment()

    while waiting:
        consume(waiting.pop(), 0, the_other)
        meanwhile()
    for writer in writers:
        writer.close()


def units(pipe: Pipe, random: Random) -> Iterator[bytes]:
    """What Kinesis took: as aggregates, and some of them split into frames."""
    for payload in pipe.payloads():
        yield from frames_of(payload) if random.random() < 0.3 else [payload]


RANDOM = st.integers(0, 2**32 - 1).map(Random)
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@given(HISTORIES, RANDOM)
def test_inv2_inv3_the_live_table_the_rebuilt_one_and_the_oracle_are_one(
    history: list[Step], random: Random
) -> None:
    with installed(random, kills=8) as pipe:
        publish(play(history, pipe, random), pipe, random)
        deliver(pipe, random)
        for entity in ENTITIES:
            before = pipe.rows(entity)
            assert live(before) == oracle(history, entity, NOW)
            outcome = pipe.rebuild(entity, pipe.caught_up(pipe.ports(random, random.random)))
            assert (outcome.swapped, outcome.differences) == (True, ())
            assert pipe.rows(entity) == before  # ranks and tombstones, too


@settings(max_examples=30)
@given(HISTORIES, RANDOM)
def test_inv2_a_rebuild_in_the_middle_of_the_delivery_changes_nothing_at_its_end(
    history: list[Step], random: Random
) -> None:
    with installed(random, kills=4) as pipe:
        publish(play(history, pipe, random), pipe, random)

        def meanwhile() -> None:
            if random.random() < 0.2:
                pipe.rebuild(random.choice(ENTITIES), accept_differences=True)  # the log is ahead

        deliver(pipe, random, meanwhile)
        for entity in ENTITIES:
            assert live(pipe.rows(entity)) == oracle(history, entity, NOW)


@settings(max_examples=30)
@given(HISTORIES, RANDOM, st.sampled_from(ENTITIES))
def test_inv3_the_table_as_of_every_moment_is_what_the_sources_held_then(
    history: list[Step], random: Random, entity: str
) -> None:
    with installed(random) as pipe:
        publish(play(history, pipe, random), pipe, random)
        ports = pipe.ports(random, random.random)
        for moment in sorted({step.at for step in history} | {datetime(2026, 1, 1, tzinfo=UTC)}):
            assert live(pipe.as_of(entity, moment, ports)) == oracle(history, entity, moment)


@given(HISTORIES, RANDOM)
def test_inv4_inv5_each_change_and_row_is_an_event_with_the_same_bytes_each_time_or_a_letter_or_a_reject(
    history: list[Step], random: Random
) -> None:
    with installed(random, kills=10) as pipe:
        publish(play(history, pipe, random), pipe, random)
        events = [decode_event(frame) for frame in {*pipe.frames()}]
        assert len({event.event_id for event in events}) == len(events)
        states = [event.source.partition(":")[0] for event in events if event.after]
        letters = {letter.id for letter in pipe.source_letters.letters if letter.stage == "dynamodb"}
        rejects = [pipe.bucket.body(key).count(b"\n") - 1 for key in pipe.bucket.keys("rejects/")]
        items = [step.kind for step in history if isinstance(step, Change)]
        claimed = [item for item in items for kinds in KINDS.values() if item in kinds]
        rows = [row for step in history if isinstance(step, File) for row in step.rows]
        assert states.count("dynamodb") + len(letters) == len(claimed)
        assert states.count("csv") + sum(rejects) == len(rows)
        assert list(pipe.bucket.keys("drop/")) == []


@settings(max_examples=20)
@given(HISTORIES, RANDOM)
def test_inv7_what_no_schema_names_is_nowhere_behind_the_source(history: list[Step], random: Random) -> None:
    with installed(random, kills=4) as pipe, every_log_line() as lines:
        publish(play(history, pipe, random), pipe, random)
        ports = pipe.ports(random)
        deliver(pipe, random)
        until_done(lambda: pipe.consume([b"no record of ours"]))  # a dead letter of the consumer
        for entity in ENTITIES:
            pipe.rebuild(entity, ports)
        objects = [b"".join(ports.log.parts(item)) for item in ports.log.objects()]
        log = [gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body for body in objects]
        tables = [file.read_bytes() for file in pipe.folder.glob("warehouse.db*")]
        told = [*lines, repr(pipe.letters), *(letter.reason for letter in pipe.source_letters.letters)]
        assert all(HUSH.encode() not in place for place in (*pipe.payloads(), *log, *tables))
        assert all(HUSH not in text for text in told)


@settings(max_examples=30)
@given(HISTORIES, RANDOM)
def test_inv8_a_reader_sees_each_batch_whole_or_not_at_all(history: list[Step], random: Random) -> None:
    """Looked at before each commit and after it: of all tables, what was committed last, nothing else."""
    with installed(random) as pipe:
        publish(play(history, pipe, random), pipe, random)
        reader, seen = pipe.open_warehouse(), list[Any]()

        def look() -> None:
            seen.append([sorted(reader.select(entity)[1], key=repr) for entity in ENTITIES])
            pipe.fates.moment()

        nothing: list[Any] = [[] for _ in ENTITIES]
        for number, batch in enumerate(cut(in_any_order([*units(pipe, random)], random), random), 1):
            before = seen[-1] if seen else nothing
            pipe.consumer(pipe.warehouse, look).consume(batch)
            assert len(seen) == 2 * number
            assert seen[-2] == before
        reader.close()
