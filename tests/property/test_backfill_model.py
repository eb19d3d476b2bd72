"""The rule of a backfill, checked against a model of a table, its streams and a scan.

A table changes in an old generation of its stream, then without a stream, then in a new generation in which a
scan reads it item by item, each item at any moment and perhaps again: other segments, a resumed scan or a
second backfill read in another order. The reader may publish by two schema versions. Events arrive in any
order. Where no item was rejected, sweeps follow. The rows must then be the items.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from dynamodb_world import catalog, entity, logical, nullable, order, record
from hypothesis import given
from hypothesis import strategies as st

from consumers.facts import Fact, read_fact
from consumers.fold import fold
from producers.dynamodb.item_records import item_record
from producers.dynamodb.records import RecordReader
from replay.fold import EventFilter, surviving_facts
from schemas.catalog.entity import Entity
from schemas.event import BUCKETS, bucket_of, encode_event, make_sweep
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.positions import BACKFILL_SEQUENCE, backfill_sweep_position, dynamodb_position
from schemas.sources.dynamodb import DynamoDbSource

OLD, NEW = "2026-01-01T00:00:00.000", "2026-03-01T00:00:00.000"
SOURCE = "dynamodb:orders"
KEYS = ("a", "b", "c")
FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "total", "type": logical("decimal", "bytes", precision=10, scale=2)},
]
FIRST = entity("order", FIELDS, ["id"])
_SECOND = make_schema(
    "order", 2, ["id"], {"type": "record", "name": "Item", "fields": [*FIELDS, nullable("note", "string")]}
)
SECOND = Entity("order", ("id",), (DynamoDbSource(SOURCE, "orders"),), _SECOND)
REGISTRY = SchemaRegistry([FIRST.schema, SECOND.schema])
READERS = [RecordReader(catalog(FIRST)), RecordReader(catalog(SECOND))]

Op = tuple[str, str, int]  # what happens, to which key, and which schema version the producers have by then


@dataclass
class World:
    """The table, and the frames of all that was published."""

    sequence: str = BACKFILL_SEQUENCE  # of the rows of the backfill: only a control has another one
    sweep_anyway: bool = False
    table: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    frames: list[bytes] = field(default_factory=list)
    swept: bool = True
    values: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def happen(self, op: Op, stream: str | None) -> None:
        """Do what `op` names; `stream` is the label of the stream that records it, if one does."""
        kind, key, version = op
        if kind == "read":
            self._read(key, version)
            return
        old = self.table.pop(key, None)
        if kind != "delete":
            self.table[key] = order(key, "not a number" if kind == "bad" else str(next(self.values)))
        new = self.table.get(key)
        if stream and (old or new):
            self._publish(record(next(self.values), old, new, label=stream), version)

    def _read(self, key: str, version: int) -> None:
        if key in self.table:
            arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/{NEW}"
            made = item_record(
                self.table[key], stream_arn=arn, key=["id"], method="scan", read_at=next(self.values)
            )
            made["dynamodb"]["SequenceNumber"] = self.sequence
            self.swept &= self._publish(made, version) or self.sweep_anyway

    def _publish(self, made: Mapping[str, Any], version: int) -> bool:
        reading = READERS[version].read(made)
        self.frames += [encode_event(event) for event, _ in reading.events]
        return not reading.letters

    def sweep(self) -> None:
        position = backfill_sweep_position(dynamodb_position(f"{NEW}000", BACKFILL_SEQUENCE))
        for bucket in range(BUCKETS) if self.swept else ():
            self.frames.append(
                encode_event(
                    make_sweep(
                        source=SOURCE,
                        entity="order",
                        bucket=bucket,
                        position=position,
                        occurred_at=0,
                        schema_fingerprint=FIRST.schema.fingerprint,
                    )
                )
            )


def rows(facts: Sequence[Fact]) -> dict[str, object]:
    """The table that facts lead to: the total of each key that is not deleted."""
    folded = fold(facts)
    floors = {
        bucket_of(sweep.event, sweep.key_hash): sweep.event.position for sweep in folded.sweeps.values()
    }
    return {
        fact.event.key: fact.schema.decode(fact.event.after)["total"]
        for fact in folded.rows.values()
        if fact.event.after is not None and fact.event.position >= floors.get(fact.key_hash[0], "")
    }


def live_and_rebuilt(frames: Sequence[bytes]) -> tuple[dict[str, object], dict[str, object]]:
    wanted = EventFilter(SECOND)
    live = rows([read_fact(frame, REGISTRY) for frame in frames])
    return live, rows(surviving_facts(frames, wanted, REGISTRY).facts)


def play(world: World, old: Sequence[Op], unrecorded: Sequence[Op], new: Sequence[Op]) -> None:
    for stream, ops in ((OLD, old), (None, unrecorded), (NEW, new)):
        for op in ops:
            world.happen(op, stream)
    world.sweep()


def wrong(world: World) -> list[str]:
    """The keys whose rows are not their items; items that are bad have no state to compare."""
    live, rebuilt = live_and_rebuilt(world.frames)
    assert live == rebuilt
    found = []
    for key in KEYS:
        row, item = live.get(f'["{key}"]'), world.table.get(key)
        if item is None:
            # Without sweeps a row of an older generation may stay.
            is_wrong = row is not None and world.swept
        else:
            is_wrong = str(row) != f"{item['total']['N']}.00" and item["total"]["N"] != "not a number"
        found += [key] if is_wrong else []
    return found


CHANGES = ("put", "put", "put", "delete", "bad")
GOOD = ("put", "put", "delete")


def ops(kinds: Sequence[str], most: int) -> st.SearchStrategy[list[Op]]:
    return st.lists(
        st.tuples(st.sampled_from(kinds), st.sampled_from(KEYS), st.integers(0, 1)), max_size=most
    )


@st.composite
def scanned(draw: st.DrawFn, kinds: Sequence[str]) -> list[Op]:
    """Changes with reads among them, in which every key is read at least once."""
    story = draw(ops([*kinds, "read", "read"], 14))
    for key in KEYS:
        if not any(op[:2] == ("read", key) for op in story):
            story.insert(draw(st.integers(0, len(story))), ("read", key, draw(st.integers(0, 1))))
    return story


@pytest.mark.parametrize("kinds", [GOOD, CHANGES], ids=["good items", "bad items too"])
@given(data=st.data())
def test_inv2_inv3_rows_are_items_whatever_happens_during_the_scan(
    kinds: Sequence[str], data: st.DataObject
) -> None:
    world = World()
    play(world, data.draw(ops(kinds, 6)), data.draw(ops(kinds, 6)), data.draw(scanned(kinds)))
    data.draw(st.randoms(use_true_random=False)).shuffle(world.frames)
    assert wrong(world) == []


def put(key: str) -> Op:
    return ("put", key, 0)


def delete(key: str) -> Op:
    return ("delete", key, 0)


def read(key: str) -> Op:
    return ("read", key, 0)


def reads() -> list[Op]:
    return [read(key) for key in KEYS]


@pytest.mark.parametrize("change", [put("a"), delete("a")], ids=["changed", "deleted"])
def test_control_a_scan_that_begins_before_the_stream_loses_a_change(change: Op) -> None:
    world = World()
    play(world, [put("a")], [*reads(), change], [])
    assert wrong(world) == ["a"]


@pytest.mark.parametrize("change", [put("a"), delete("a")], ids=["changed", "deleted"])
def test_control_a_backfill_with_a_position_above_the_stream_loses_a_change(change: Op) -> None:
    world = World(sequence="9" * 40)
    play(world, [put("a")], [], [*reads(), change])
    assert wrong(world) == ["a"]


def test_control_without_a_backfill_the_table_is_wrong() -> None:
    world = World(swept=False)
    play(world, [], [put("a")], [])
    assert wrong(world) == ["a"]


def test_control_a_sweep_after_a_rejected_item_deletes_a_row_that_exists() -> None:
    for anyway, expected in ((False, {'["a"]'}), (True, set())):
        world = World(sweep_anyway=anyway)
        play(world, [put("a")], [("bad", "a", 0)], reads())
        assert set(live_and_rebuilt(world.frames)[0]) == expected


def test_a_row_that_was_deleted_without_a_stream_is_swept() -> None:
    world = World()
    play(world, [put("a"), put("b")], [delete("a")], reads())
    assert world.swept
    assert set(live_and_rebuilt(world.frames)[0]) == {'["b"]'}
