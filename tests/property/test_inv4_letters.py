"""INV-4, counted at every stage, for random histories with every kind of damage; then all is repaired and
redriven, and equals the oracle.

Producers begin with a schema that is too narrow; consumers learn the wider one last. Bytes are damaged on
their way, events have payloads of another making, and the database refuses rows by a rule of its own.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from pipe import START, Pipe, Table, notification, write_entity

from consumers.consume import Consumer
from consumers.facts import frames_of
from consumers.redrive import ConsumerRedriver
from consumers.warehouse.port import Counts
from producers.csv.handler import Producer as CsvProducer
from producers.csv.redrive import CsvRedriver
from producers.dynamodb.handler import Producer as DynamoDbProducer
from producers.dynamodb.redrive import DynamoDbRedriver
from producers.kinesis import InMemoryStream
from schemas.catalog.loader import load_catalog
from schemas.errors import PoisonEventError
from schemas.event import decode_event, encode_event
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.letters.outcomes import InMemoryLedger
from schemas.letters.redriving import LetterFilter, RedriveCounts, list_letters, redrive
from schemas.log.frames import check_frame

THING = 'key = ["id"]\n[[source]]\ndynamodb = "things"\n'
USAGE = 'key = ["id"]\n[[source]]\ncsv = "usage"\nmode = "upsert"\n'
NARROW, WIDE = 3, 10
REFUSED = 6
"""The size that the database refuses until somebody drops the rule."""


class Item(NamedTuple):
    """A key's new state; size None: one that no schema takes. Without a note the item is deleted, a row's is
    empty."""

    key: str
    size: int | None
    note: str | None


class Bad(NamedTuple):
    """A file that lacks a column."""


File: TypeAlias = tuple[Item, ...]
Step: TypeAlias = Item | File | Bad

ITEMS = st.builds(
    Item,
    key=st.sampled_from("abc"),
    size=st.sampled_from([1, 2, 3, 4, REFUSED, None]),
    note=st.sampled_from(["", "x", "x", "too long", None]),
)
STEPS = st.one_of(ITEMS, ITEMS, ITEMS, st.lists(ITEMS, max_size=4).map(tuple), st.builds(Bad))
HISTORIES = st.lists(STEPS, min_size=2, max_size=16)
RANDOM = st.integers(0, 2**32 - 1).map(Random)


def fields(longest: int) -> list[dict[str, Any]]:
    note = {"name": "note", "type": ["null", "string"], "default": None, "maxLength": longest}
    return [{"name": "id", "type": "string"}, {"name": "size", "type": "int"}, note]


def oracle(history: Sequence[Step]) -> dict[str, dict[str, tuple[object, ...]]]:
    """What the sources hold once all that can be repaired is: an item or row that no schema takes changes
    nothing."""
    things: dict[str, tuple[object, ...]] = {}
    usage: dict[str, tuple[object, ...]] = {}
    for step in history:
        if isinstance(step, Item):
            if step.note is None:
                things.pop(step.key, None)
            elif step.size is not None:
                things[step.key] = (step.key, step.size, step.note)
        elif not isinstance(step, Bad):
            usage |= {row.key: (row.key, row.size, row.note or None) for row in step if row.size is not None}
    return {"thing": things, "usage": usage}


class CountedLedger(InMemoryLedger):
    """Counts what is put, however often."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[DeadLetter] = []

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.puts += letters
        super().put(letters)


class World:
    """One installation under two schemas, and what it was given."""

    def __init__(self, pipe: Pipe, random: Random) -> None:
        self.pipe, self.random = pipe, random
        self.things = Table("things", "id")
        self.source, self.letters = CountedLedger(), CountedLedger()
        self.rows = self.corrected = self.files = 0
        self.known = {entity.schema.fingerprint for entity in pipe.catalog.entities.values()}
        self._consumed: dict[str, int] = {}

    def dynamodb(self, store: LetterStore) -> DynamoDbProducer:
        return DynamoDbProducer(self.pipe.catalog, self.pipe.publisher(), store)

    def csv(self, store: LetterStore) -> CsvProducer:
        publisher, bucket = self.pipe.publisher(), self.pipe.bucket
        return CsvProducer(self.pipe.catalog, publisher, store, lambda _name: bucket)

    def consumer(self, store: LetterStore) -> Consumer:
        return Consumer(self.pipe.catalog, self.pipe.warehouse, store)

    def happens(self, number: int, step: Step) -> None:
        """At the source and through its producer."""
        self.pipe.now = START + timedelta(seconds=number)
        if isinstance(step, Item):
            before = len(self.things.stream)
            self._change(number, step)
            self.dynamodb(self.source).publish(self.things.stream[before:])
        else:
            self.files += isinstance(step, Bad)
            self.rows += 0 if isinstance(step, Bad) else len(step)
            self._drop(f"drop/usage/{number}.csv", content(step))

    def _change(self, number: int, step: Item) -> None:
        if step.note is None:
            self.things.delete({"id": {"S": step.key}}, number)
        else:
            size = {"S": "many"} if step.size is None else {"N": str(step.size)}
            self.things.put({"id": {"S": step.key}, "size": size, "note": {"S": step.note}}, number)

    def _drop(self, key: str, text: bytes | str) -> None:
        self.csv(self.source).take(notification(self.pipe.upload(key, text)))

    def rejects(self) -> list[bytes]:
        keys = [key for key in self.pipe.bucket.keys("rejects/usage/") if key.endswith(".csv")]
        return [self.pipe.bucket.body(key) for key in keys]

    def correct(self) -> None:
        """The rows are right as they are: it was the schema that was wrong."""
        for number, rejects in enumerate(self.rejects()):
            self.pipe.now += timedelta(seconds=1)
            self.corrected += rows_of(rejects)
            self._drop(f"corrections/usage/{number}.csv", rejects)

    def new_units(self) -> Iterator[bytes]:
        """What came to Kinesis since the last time, as aggregates or cut into frames."""
        for shard, entries in self.pipe.stream.taken.items():
            for entry in entries[self._consumed.get(shard, 0) :]:
                yield from frames_of(entry.payload) if self.random.random() < 0.4 else [entry.payload]
            self._consumed[shard] = len(entries)

    def deliver(self, consumer: Consumer) -> None:
        """In any order and cut, with bad things beside the good: each is counted once, and each that is dead
        is a letter with its payload (INV-4)."""
        units = list(self.new_units())
        bad = [worse(unit, self.random) for unit in units if self.random.random() < 0.4]
        given = [*units, *bad]
        self.random.shuffle(given)
        known = len(self.letters.puts)
        total = Counts()
        while given:
            batch = [given.pop() for _ in range(min(len(given), self.random.randint(1, 6)))]
            counts = consumer.consume(batch)
            assert counts.accepted == sum(map(accepted, batch))
            total += counts
        dead = self.letters.puts[known:]
        assert total.dead == len(dead)
        by_server = [letter for letter in dead if "the warehouse refuses the row" in letter.reason]
        unknown = [letter for letter in dead if letter.cause == "schema"]
        assert len(dead) == len(by_server) + len(unknown) + sum(is_dead(unit, self) for unit in bad)


def is_dead(unit: bytes, world: World) -> bool:
    """Whether a bad unit is refused for what it is itself: one of a schema that is not known is so before."""
    try:
        return check_frame(unit) is not None or decode_event(unit).schema_fingerprint in world.known
    except PoisonEventError:  # a delete with a payload
        return True


def accepted(unit: bytes) -> int:
    try:
        return len(frames_of(unit))
    except PoisonEventError:
        return 1


def worse(unit: bytes, random: Random) -> bytes:
    """Cut, flipped, or an event whose payload is of another making."""
    kind = random.choice(["cut", "flip", "poison"])
    if kind == "poison":
        event = decode_event(random.choice(frames_of(unit)))
        return encode_event(event._replace(after=b""))
    if kind == "cut":
        return unit[: random.randrange(len(unit))]
    at = random.randrange(len(unit))
    return unit[:at] + bytes([unit[at] ^ (1 << random.randrange(8))]) + unit[at + 1 :]


def content(step: File | Bad) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if isinstance(step, Bad):
        writer.writerow(["id", "note"])
    else:
        writer.writerow(["id", "size", "note"])
        for row in step:
            writer.writerow([row.key, "many" if row.size is None else row.size, row.note or ""])
    return text.getvalue()


def rows_of(rejects: bytes) -> int:
    return rejects.count(b"\n") - 1


@contextmanager
def installed(random: Random) -> Iterator[World]:
    with TemporaryDirectory() as name:
        home = Path(name)
        for entity, toml in (("thing", THING), ("usage", USAGE)):
            write_entity(home, entity, toml, *fields(NARROW))
        pipe = Pipe(home, home, InMemoryStream(random.randint(1, 2)))
        with pipe.warehouse.engine.begin() as connection:
            for table in ("thing", "usage"):
                for change in ("INSERT", "UPDATE"):
                    connection.exec_driver_sql(
                        f"CREATE TRIGGER no_{table}_{change} BEFORE {change} ON staging_{table}__r1 "
                        f"WHEN NEW.size = {REFUSED} BEGIN SELECT RAISE(ABORT, 'refused by a trigger'); END"
                    )
        yield World(pipe, random)
        pipe.close()


def widen(world: World) -> None:
    """The schema that should have been from the start. Who has loaded the old one goes on with it."""
    for entity in ("thing", "usage"):
        avro = {"type": "record", "name": entity.title(), "fields": fields(WIDE)}
        (world.pipe.home / "entities" / entity / "v2.avsc").write_text(json.dumps(avro))
    world.pipe.catalog = load_catalog(world.pipe.home)


def mend(world: World) -> None:
    """Consumers are deployed with the schema, and the rule of the database is gone."""
    world.pipe.warehouse.close()
    world.pipe.warehouse = world.pipe.open_warehouse()
    world.pipe.warehouse.ensure()
    with world.pipe.warehouse.engine.begin() as connection:
        for table in ("thing", "usage"):
            for change in ("INSERT", "UPDATE"):
                connection.exec_driver_sql(f"DROP TRIGGER no_{table}_{change}")


def tables(world: World) -> dict[str, dict[str, tuple[object, ...]]]:
    return {
        entity: {str(row.values[0]): row.values for row in world.pipe.rows(entity) if not row.deleted}
        for entity in ("thing", "usage")
    }


def redrive_sources(world: World) -> RedriveCounts:
    redrivers = {
        "dynamodb": DynamoDbRedriver(world.pipe.catalog, world.dynamodb),
        "csv": CsvRedriver(world.csv, world.source),
    }
    return redrive([world.source], redrivers, LetterFilter())


def check_producers(world: World) -> None:
    """Each record and each row is an event, or a letter, or a reject (INV-4)."""
    events = {frame: decode_event(frame) for frame in world.pipe.frames()}.values()
    facts = {event.event_id: event.source for event in events}
    letters = {letter.id for letter in world.source.puts if letter.stage == "dynamodb"}
    assert len(world.things.stream) == sum(s == "dynamodb:things" for s in facts.values()) + len(letters)
    rejected = sum(map(rows_of, world.rejects()))
    assert world.rows + world.corrected == sum(s == "csv:usage" for s in facts.values()) + rejected
    assert world.files == sum(letter.stage == "csv" for letter in world.source.puts)


@settings(max_examples=100)
@given(HISTORIES, RANDOM)
def test_inv4_each_fact_is_counted_once_at_every_stage_and_what_is_repaired_equals_the_oracle(
    history: list[Step], random: Random
) -> None:
    with installed(random) as world:
        old = world.consumer(world.letters)
        turn = random.randint(0, len(history))
        for number, step in enumerate(history[:turn]):
            world.happens(number, step)
        check_producers(world)
        world.deliver(old)

        widen(world)
        for number, step in enumerate(history[turn:], turn):
            world.happens(number, step)
        check_producers(world)
        world.pipe.now = START + timedelta(hours=1)
        world.correct()
        check_producers(world)
        done = redrive_sources(world)
        assert done.not_redrivable == world.files
        world.deliver(old)

        mend(world)
        redrivers = {"consumer": ConsumerRedriver(world.consumer)}
        redrive([world.letters], redrivers, LetterFilter())
        assert tables(world) == oracle(history)
        check_states(world)

        objects = dict(world.letters.objects), dict(world.source.objects)
        redrive([world.letters], redrivers, LetterFilter())
        redrive_sources(world)
        assert (world.letters.objects, world.source.objects) == objects
        assert tables(world) == oracle(history)


def check_states(world: World) -> None:
    """Every sound frame went through; what is damaged has failed again, and nothing is lost or left open."""
    sound = set(world.pipe.frames())
    states = {each.status.letter.name: each.status.state for each in list_letters([world.letters])}
    assert states.keys() == {letter.name for letter in world.letters.puts}
    for letter in world.letters.puts:
        assert states[letter.name] in ("redriven", "failed-again")
        if letter.payload in sound:
            assert states[letter.name] == "redriven"
