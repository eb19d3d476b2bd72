"""Any history, delivered in any way: the tables end as a short oracle says, row for row, in every column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from consumers_world import CATALOG, ITEM, OTHER, A, B, event, item, position, sweep
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event as engine_event

from consumers.consume import Consumer
from consumers.warehouse.port import Counts, Row
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from schemas.catalog.entity import Entity
from schemas.errors import TransientError
from schemas.event import Event, Operation, encode_event, key_hash, rank
from schemas.keys import canonical_key
from schemas.letters.letter import InMemoryLetters

ENTITIES = {"item": ITEM, "other": OTHER}


def shares_a_bucket(key: str) -> bool:
    """Whether both sources have this key in one bucket: then a sweep of one meets the row of the other."""
    return key_hash(A, canonical_key([key]))[0] == key_hash(B, canonical_key([key]))[0]


KEYS = ["k", *islice((key for key in map("k{}".format, count()) if shares_a_bucket(key)), 2)]
NUMBERS = st.integers(1, 6)
CHANGES = [Operation.INSERT, Operation.UPDATE, Operation.UPSERT, Operation.DELETE]


class Happened(NamedTuple):
    """What happened at a source. Sweeps are of the bucket that the key is in, so that they meet."""

    entity: str
    operation: str
    key: str
    source: str
    number: int
    size: int

    @property
    def of(self) -> Entity:
        return ENTITIES[self.entity]

    @property
    def values(self) -> dict[str, object]:
        return (
            item(self.key, self.size) if self.entity == "item" else {"id": self.key, "note": str(self.size)}
        )

    @property
    def key_hash(self) -> bytes:
        return key_hash(self.source, canonical_key([self.key]))

    def event(self) -> Event:
        if self.operation == "sweep":
            return sweep(self.of, self.key_hash[0], self.number, self.source)
        if self.operation == "poison":
            return event(self.of, self.values, self.number, source=self.source, after=b"\xff" * self.size)
        return event(self.of, self.values, self.number, Operation(self.operation), self.source)


HAPPENED = st.builds(
    Happened,
    st.sampled_from(sorted(ENTITIES)),
    st.sampled_from([*CHANGES, *CHANGES, "sweep", "sweep", "poison"]),
    st.sampled_from(KEYS),
    st.sampled_from([A, B]),
    NUMBERS,
    st.integers(1, 3),
)


def oracle(history: Sequence[Happened]) -> dict[tuple[str, bytes], tuple[object, ...]]:
    """Every column of every row but the time it was written."""
    floors: dict[tuple[str, str, int], str] = {}
    rows: dict[tuple[str, bytes], tuple[object, ...]] = {}
    for each in history:
        where, made = (each.entity, each.key_hash), each.event()
        if each.operation == "sweep":
            at = (each.entity, each.source, each.key_hash[0])
            floors[at] = max(floors.get(at, ""), position(each.number))
        elif each.operation != "poison":
            gone = each.operation == "delete"
            columns = blank(each) if gone else tuple(each.values.values())
            order = rank(made.position, 1, encode_event(made))
            rows[where] = max(rows.get(where, ("",)), (order, made.event_id, gone, each, columns))
    return {where: finished(where[0], row, floors) for where, row in rows.items()}


def blank(each: Happened) -> tuple[object, ...]:
    """The columns of a delete: its key, defaults, NULL."""
    return (
        (each.key, None, None, None, "new", None, None, None) if each.entity == "item" else (each.key, None)
    )


def finished(
    entity: str, row: tuple[object, ...], floors: dict[tuple[str, str, int], str]
) -> tuple[object, ...]:
    order, event_id, gone, each, columns = row
    assert isinstance(each, Happened)
    below = position(each.number) < floors.get((entity, each.source, each.key_hash[0]), "")
    occurred_at = each.event().occurred_at
    return (each.key_hash, order, event_id, gone or below, each.source, occurred_at, 1, columns)


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


@contextmanager
def killed_at(warehouse: SqliteWarehouse, statement: int | None) -> Iterator[None]:
    """Nothing runs from the n-th statement on, a commit being one."""
    left = [statement]

    def step(*_: object) -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    engine_event.listen(warehouse.engine, "before_cursor_execute", step)
    engine_event.listen(warehouse.engine, "commit", step)
    try:
        yield
    finally:
        engine_event.remove(warehouse.engine, "before_cursor_execute", step)
        engine_event.remove(warehouse.engine, "commit", step)


@contextmanager
def warehouses(number: int) -> Iterator[list[SqliteWarehouse]]:
    """So many Warehouse objects on one file, as so many processes would have."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'warehouse.db'}"
        made = [open_warehouse(url, ENTITIES.values(), busy_seconds=0) for _ in range(number)]
        for each in made:
            # What is durable is not in question here, and many examples are.
            engine_event.listen(each.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous = OFF"))
        made[0].ensure()
        yield made
        for each in made:
            each.close()


def consumers(warehouses: Sequence[SqliteWarehouse]) -> tuple[list[Consumer], InMemoryLetters]:
    letters = InMemoryLetters()
    return [Consumer(CATALOG, each, letters) for each in warehouses], letters


def rows_of(warehouse: SqliteWarehouse) -> dict[tuple[str, bytes], Row]:
    return {
        (entity, row.key_hash): row
        for entity in ENTITIES
        for row in warehouse.rows(entity, warehouse.revisions(entity)[0].number)
    }


def batches(draw: st.DrawFn, history: Sequence[Happened]) -> list[list[bytes]]:
    """Everything at least once, some of it again, in any order, cut anywhere."""
    again = draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    order = draw(st.permutations([*history, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=5)))
    frames = [encode_event(each.event()) for each in order]
    return [frames[a:b] for a, b in zip([0, *cuts], [*cuts, len(frames)], strict=True)]


@st.composite
def delivered(draw: st.DrawFn) -> tuple[list[Happened], list[list[bytes]]]:
    history = draw(st.lists(HAPPENED, max_size=14))
    return history, batches(draw, history)


@given(delivered(), st.data())
def test_inv2_inv4_any_history_in_any_batches_by_two_writers_killed_at_any_write_ends_as_the_oracle_says(
    story: tuple[list[Happened], list[list[bytes]]], data: st.DataObject
) -> None:
    history, todo = story
    with warehouses(2) as both:
        writers, letters = consumers(both)
        while todo:
            batch, writer = todo.pop(0), data.draw(st.integers(0, 1))
            kill = data.draw(st.none() | st.integers(0, 12))
            try:
                with killed_at(both[writer], kill):
                    counts = writers[writer].consume(batch)
            except Killed:
                todo.insert(data.draw(st.integers(0, len(todo))), batch)
            else:
                assert counts.accepted == len(batch)
        assert rows_of(both[0]) == oracle(history)
        assert {letter.payload for letter in letters.letters} == {
            encode_event(each.event()) for each in history if each.operation == "poison"
        }


@given(delivered(), st.data())
def test_inv2_writers_whose_transactions_overlap_end_as_the_oracle_says(
    story: tuple[list[Happened], list[list[bytes]]], data: st.DataObject
) -> None:
    """Each batch is interrupted by the next one's writer, at any statement."""
    history, todo = story
    with warehouses(2) as both:
        writers, _ = consumers(both)
        while todo:
            mine = todo.pop(0)
            theirs = todo.pop(0) if todo else []
            at = data.draw(st.integers(0, 8))

            def interrupt() -> None:
                try:
                    writers[1].consume(theirs)  # noqa: B023 - called within this round
                except TransientError:
                    todo.append(theirs)  # noqa: B023

            try:
                with interrupted_at(both[0], at, interrupt):
                    writers[0].consume(mine)
            except TransientError:
                todo.append(mine)
        assert rows_of(both[0]) == rows_of(both[1]) == oracle(history)


@contextmanager
def interrupted_at(warehouse: SqliteWarehouse, statement: int, interrupt: object) -> Iterator[None]:
    """Something else happens just before the n-th statement, or after all of them if there are fewer."""
    left = [statement]

    def step(*_: object) -> None:
        left[0] -= 1
        if left[0] == -1:
            assert callable(interrupt)
            interrupt()

    engine_event.listen(warehouse.engine, "before_cursor_execute", step)
    try:
        yield
    finally:
        engine_event.remove(warehouse.engine, "before_cursor_execute", step)
        if left[0] >= 0:
            left[0] = 0
            step()


@given(delivered())
def test_inv3_readers_see_the_live_rows_of_the_oracle(
    story: tuple[list[Happened], list[list[bytes]]],
) -> None:
    history, todo = story
    with warehouses(1) as (warehouse,):
        (consumer,), _ = consumers([warehouse])
        for batch in todo:
            consumer.consume(batch)
        expected = oracle(history)
        for entity in ENTITIES:
            live = [row for (name, _), row in expected.items() if name == entity and not row[3]]
            shown = warehouse.select(entity)[1]
            assert sorted((row[0], row[-1]) for row in shown) == sorted((row[-1][0], row[4]) for row in live)


@given(delivered(), st.data())
def test_inv4_the_counts_of_all_batches_add_up_to_the_events_and_say_how_many_rows_there_are(
    story: tuple[list[Happened], list[list[bytes]]], data: st.DataObject
) -> None:
    history, todo = story
    with warehouses(1) as (warehouse,):
        (consumer,), _ = consumers([warehouse])
        total = Counts()
        for batch in todo:
            total += consumer.consume(batch)
        assert total.accepted == sum(map(len, todo))
        assert total.dead == sum(
            frame == encode_event(each.event())
            for each in set(history)
            if each.operation == "poison"
            for batch in todo
            for frame in batch
        )
        assert total.applied >= len(oracle(history))
        again = sum((consumer.consume(batch) for batch in todo), Counts())
        assert again.applied == 0
