"""What every SQL engine behind the warehouse port keeps of an entity with `history = true`."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from consumers_world import A, B
from evolutions import STEPS, Step
from history_world import (
    CATALOG_OF_PAST,
    EPOCH_2024,
    MOMENTS,
    PAST,
    PREFERRED,
    SECOND,
    Happened,
    at,
    at_random,
    frames_of,
    shown_versions,
    versions,
)
from mssql_server import ON_SQL_SERVER
from sqlalchemy import inspect
from test_warehouse_evolution_contract import named, written

from consumers.consume import Consumer
from consumers.facts import read_fact
from consumers.warehouse.mssql.values import EPOCH
from consumers.warehouse.port import Warehouse
from schemas.catalog.entity import Catalog, Entity
from schemas.event import encode_event
from schemas.evolution.rules import Category
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry

pytest_plugins = ("warehouse_engines",)

Connect = Callable[..., Any]
IN_PLACE = [step for step in STEPS if step.category < Category.REBUILD]


@pytest.fixture
def past(connect: Connect) -> Warehouse:
    made: Warehouse = connect([PAST])
    made.ensure()
    return made


def consume(warehouse: Warehouse, frames: Sequence[bytes], of: Entity = PAST) -> InMemoryLetters:
    letters = InMemoryLetters()
    Consumer(Catalog({of.name: of}, SchemaRegistry(of.versions)), warehouse, letters).consume(frames)
    return letters


def view_of(warehouse: Any, name: str = "past") -> str:
    return f"history{'.' if warehouse.engine.dialect.name == 'mssql' else '_'}{name}"


def shown(warehouse: Any) -> list[Any]:
    return shown_versions(warehouse.engine, view_of(warehouse))


def selected(warehouse: Any, statement: str) -> list[tuple[Any, ...]]:
    with warehouse.engine.connect() as connection:
        return sorted(map(tuple, connection.exec_driver_sql(statement).all()), key=str)


def batches(seed: int, events: int = 40) -> list[list[bytes]]:
    """Random events over few keys in four batches, some twice."""
    dice = random.Random(seed)
    frames = frames_of([at_random(dice) for _ in range(events)])
    frames += dice.sample(frames, 8)
    dice.shuffle(frames)
    return [frames[start : start + 12] for start in range(0, len(frames), 12)]


def tables_of(warehouse: Any) -> list[str]:
    """The tables of histories."""
    schema = "history" if warehouse.engine.dialect.name == "mssql" else None
    names = inspect(warehouse.engine).get_table_names(schema=schema)
    return sorted(name.removeprefix("history_") for name in names if schema or name.startswith("history_"))


@pytest.mark.parametrize("seed", range(4))
def test_inv2_versions_are_those_of_a_count_moment_by_moment_in_any_order_and_again(
    past: Warehouse, seed: int
) -> None:
    work = batches(seed)
    expected = versions(frame for batch in work for frame in batch)
    for batch in work:
        consume(past, batch)
    assert shown(past) == expected
    for batch in reversed(work):
        consume(past, batch)
    assert shown(past) == expected
    distinct = {
        f
        for batch in work
        for f in batch
        if read_fact(f, CATALOG_OF_PAST.registry).event.operation != "sweep"
    }
    assert selected(past, f"SELECT COUNT(*) FROM {view_of(past)}__r1") == [(len(distinct),)]


@pytest.mark.parametrize("seconds", [(4, 2), (2, 4)])
def test_inv2_a_sweep_that_is_told_again_with_another_moment_counts_from_the_earlier(
    past: Warehouse, seconds: tuple[int, int]
) -> None:
    """Two deployments may disagree about the clock, and not about the position."""
    work = [
        frames_of([Happened(operation, "k", A, number, second, 1, "")])
        for operation, number, second in (("upsert", 1, 1), *(("sweep", 2, each) for each in seconds))
    ]
    for batch in work:
        consume(past, batch)
    found = shown(past)
    assert found == versions(frame for batch in work for frame in batch)
    assert [each.valid_to for each in found] == [EPOCH_2024 + 2 * SECOND]


def test_a_condition_on_the_key_gives_that_keys_versions(past: Warehouse) -> None:
    for batch in batches(7):
        consume(past, batch)
    everything = shown(past)
    found = shown_versions(past.engine, view_of(past), "WHERE id = 'k'")  # type: ignore[attr-defined]
    spaced = {"k", "k "} if view_of(past).startswith("history.") else {"k"}  # `=` of SQL Server
    assert {each.id for each in found} <= spaced
    assert [each for each in everything if each.id == "k"] == [each for each in found if each.id == "k"]


@ON_SQL_SERVER
@pytest.mark.parametrize("of", [PAST, PREFERRED], ids=["all sources", "one preferred"])
def test_the_function_gives_what_the_staging_view_showed_at_a_moment(connect: Connect, of: Entity) -> None:
    warehouse = connect([of])
    warehouse.ensure()
    for batch in batches(11, 60):
        consume(warehouse, batch, of)
    every = shown(warehouse)
    for second in range(MOMENTS + 2):
        moment = EPOCH + timedelta(microseconds=EPOCH_2024 + second * SECOND)
        rows = selected(warehouse, f"SELECT * FROM history.past_at('{moment:%Y-%m-%dT%H:%M:%S}')")
        expected = at(every, second)
        if of is PREFERRED:
            best = {row[0] for row in expected if row[-1] == B}
            expected = [row for row in expected if row[-1] == B or row[0] not in best]
        assert rows == expected


def test_a_swap_shows_the_new_revisions_history_and_a_swap_back_the_old_ones(past: Warehouse) -> None:
    old, new = batches(1), batches(2)
    for batch in old:
        consume(past, batch)
    number = past.create_revision("past")
    assert tables_of(past) == ["past__r1", "past__r2"]
    with past.transaction(exclusive=["past"]) as transaction:
        transaction.swap("past", number)
    assert shown(past) == []
    for batch in new:
        consume(past, batch)
    assert shown(past) == versions(frame for batch in new for frame in batch)
    with past.transaction(exclusive=["past"]) as transaction:
        transaction.swap("past", 1)
    assert shown(past) == versions(frame for batch in old for frame in batch)
    past.drop_revision("past", number)
    assert tables_of(past) == ["past__r1"]


def test_history_that_is_wanted_later_is_not_there_until_a_rebuild(connect: Connect) -> None:
    without = connect([replace(PAST, history=False)])
    without.ensure()
    (first, *_), (second, *_) = batches(3), batches(4)
    consume(without, first, replace(PAST, history=False))
    warehouse = connect([PAST])
    warehouse.ensure()
    consume(warehouse, second)
    assert [each for each in warehouse.problems() if "past" in each] == [
        "entity past: it has no history yet: run `headwater replay rebuild past`"
    ]
    assert tables_of(warehouse) == []
    number = warehouse.create_revision("past")
    with warehouse.transaction(exclusive=["past"]) as transaction:
        transaction.swap("past", number)
    consume(warehouse, first)
    assert [each for each in warehouse.problems() if "past" in each] == []
    assert shown(warehouse) == versions(first)


def test_history_that_is_no_longer_wanted_goes_with_all_it_had(past: Warehouse, connect: Connect) -> None:
    for batch in batches(5):
        consume(past, batch)
    without = connect([replace(PAST, history=False)])
    assert any("past" in each for each in without.problems())
    without.ensure()
    assert tables_of(without) == []
    prefix = "headwater." if view_of(without).startswith("history.") else "headwater_"
    assert selected(without, f"SELECT COUNT(*) FROM {prefix}sweeps") == [(0,)]
    with pytest.raises(Exception, match="past"):
        shown(without)


@named(IN_PLACE)
def test_inv3_a_history_that_is_widened_in_place_is_the_one_made_under_the_newest_version(
    connect: Connect, step: Step
) -> None:
    older, newer = (replace(each, history=True) for each in step.entities())
    before, after = written(step, older, step.old_values), written(step, newer, step.new_values)
    lived = connect([older])
    lived.ensure()
    consume(lived, before, older)
    newest = connect([newer])
    newest.ensure()
    assert [each for each in newest.problems() if "thing" in each] == []
    consume(newest, after, newer)
    view = view_of(newest, "thing")
    widened = selected(newest, f"SELECT * FROM {view}")
    number = newest.create_revision("thing")
    with newest.transaction(exclusive=["thing"]) as transaction:
        transaction.swap("thing", number)
    consume(newest, [*after, *before], newer)
    assert selected(newest, f"SELECT * FROM {view}") == widened != []


@ON_SQL_SERVER
def test_inv4_a_fact_that_history_alone_would_have_kept_is_a_dead_letter_where_the_server_refuses_it(
    past: Warehouse,
) -> None:
    winner = Happened("upsert", "k", A, 2, 2, 1, "a").event()
    loser = Happened("upsert", "k", A, 1, 1, 1, "b").event()
    long = loser._replace(position=loser.position + "-" + "0" * 500)
    frames = [encode_event(each) for each in (winner, long)]
    letters = consume(past, frames)
    assert [each.payload for each in letters.letters] == frames[1:]
    assert shown(past) == versions(frames[:1])
