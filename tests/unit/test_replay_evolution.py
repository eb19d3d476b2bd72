"""A rebuild under a newer version of the schema: beside the older one's table, and equal to it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from consumers_world import event, sweep
from evolutions import STEPS, Step
from replay_world import Pipe, business

from consumers.consume import Consumer
from replay.as_of import plan_as_of
from replay.compare import compare
from replay.fold import EventFilter, checked_facts, surviving_facts
from replay.log.in_memory import InMemoryLog
from replay.log.log_schemas import entity_of_log, refuse_newer_versions
from replay.rebuild import plan_rollback
from replay.run import run
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import ConfigurationError
from schemas.event import Event, Operation, encode_event
from schemas.evolution.rules import Category
from schemas.payload.codec import SchemaRegistry

by_name = pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])


def thing(step: Step, of: Entity, number: int, operation: Operation = Operation.UPSERT) -> Event:
    some = step.new_values if of.schema.version == 2 else step.old_values
    values = {"id": f"k{number % 3}", "note": f"n{number}"}
    values |= {f.name: some[number % len(some)] for f in of.schema.fields if f.name not in values}
    return event(of, values, number, operation)


def world(step: Step, folder: Path) -> tuple[Pipe, Pipe]:
    """Two installations on one stream, log and warehouse: of the older version and of the newer."""
    before, after = (Pipe(folder, [of]) for of in step.entities())
    after.stream, after.published = before.stream, before.published
    before.log = after.log
    return before, after


@by_name
def test_inv3_a_rebuild_under_the_newer_version_equals_the_table_of_the_older(
    step: Step, tmp_path: Path
) -> None:
    before, after = world(step, tmp_path)
    older, newer = step.entities()
    before.publish(*(thing(step, older, n) for n in range(1, 8)), thing(step, older, 8, Operation.DELETE))
    before.flush()
    if step.category < Category.REBUILD:
        after.consume()
    else:
        with pytest.raises(ConfigurationError, match="replay rebuild thing"):
            after.consume()
        assert before.consume().applied == 3
    expected = business(after.table(newer))
    assert len(expected) == 3
    assert list(compare(after.ports(), newer)) == []

    outcome = after.rebuild(newer)

    assert (outcome.swapped, outcome.differences) == (True, ())
    assert business(after.table(newer)) == expected
    after.publish(*(thing(step, newer, n) for n in range(9, 12)))
    after.consume()
    assert after.rebuild(newer).differences == ()


@by_name
def test_inv6_s3_alone_is_enough_to_read_a_log_of_two_versions(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with nothing in it, no entity known: the table is the one of whoever has both versions."""
    _, after = world(step, tmp_path)
    older, newer = step.entities()
    after.publish(
        *(thing(step, older, n) for n in range(1, 5)), *(thing(step, newer, n) for n in range(5, 7))
    )
    after.publish(thing(step, older, 7, Operation.DELETE), thing(step, older, 3))
    after.flush()
    assert after.rebuild(newer, accept_differences=True).swapped

    empty = tmp_path / "ten years later"
    empty.mkdir()
    monkeypatch.chdir(empty)
    of = entity_of_log(after.log, newer.name)
    assert (of.versions, of.columns) == (newer.versions, newer.columns)
    alone = Pipe(empty, [of])
    alone.catalog, alone.log = Catalog({}, SchemaRegistry()), after.log
    assert alone.rebuild(of, accept_differences=True).swapped
    assert business(alone.table(of)) == business(after.table(newer))
    assert len(business(alone.table(of))) == 3


REBUILT = next(step for step in STEPS if step.name == "a number that becomes text")


def test_there_is_no_way_back_to_a_table_that_only_a_rebuild_makes_new(tmp_path: Path) -> None:
    before, after = world(REBUILT, tmp_path)
    older, newer = REBUILT.entities()
    before.publish(thing(REBUILT, older, 1))
    before.consume()
    before.flush()
    assert after.rebuild(newer).swapped
    with pytest.raises(ConfigurationError, match=r"revision 1 is of schema version 1.*replay rebuild thing"):
        run(plan_rollback(after.ports(), newer), after.ports())
    assert after.live(newer) == 2


def test_a_rebuild_that_was_broken_off_under_the_older_version_is_not_gone_on_with(tmp_path: Path) -> None:
    before, after = world(REBUILT, tmp_path)
    older, newer = REBUILT.entities()
    before.publish(thing(REBUILT, older, 1))
    before.consume()
    before.flush()
    before.warehouse.create_revision("thing")
    outcome = after.rebuild(newer)
    assert (outcome.revision, outcome.swapped) == (3, True)
    assert [(each.number, each.state) for each in after.warehouse.revisions("thing")] == [
        (1, "retired"),
        (3, "live"),
    ]


def test_a_table_as_of_a_moment_is_of_the_newest_version(tmp_path: Path) -> None:
    before, after = world(REBUILT, tmp_path)
    older, newer = REBUILT.entities()
    first = thing(REBUILT, older, 1)
    before.publish(first, thing(REBUILT, older, 4), thing(REBUILT, newer, 7))
    before.flush()
    moment = datetime.fromtimestamp(first.occurred_at / 1_000_000, UTC)
    outcome = run(plan_as_of(after.ports(), newer, moment), after.ports())
    assert [row.values for row in after.table(newer, outcome.revision)] == [("k1", "2475512", "n1")]


def crossed(step: Step, folder: Path) -> Pipe:
    """One who knows both versions and has read both: keys k1 and k2 of the older, k0 of the newer."""
    older, newer = step.entities()
    folder.mkdir()
    pipe = Pipe(folder, [newer])
    pipe.publish(*(thing(step, older, n) for n in (1, 2, 4, 5)))
    pipe.flush()
    pipe.publish(*(thing(step, newer, n) for n in (3, 6)), thing(step, newer, 9, Operation.DELETE))
    pipe.flush()
    pipe.consume()
    return pipe


def read_elsewhere(log: InMemoryLog, of: Entity, folder: Path) -> Pipe:
    """A machine that has the log and an entity, and no other schema."""
    folder.mkdir()
    pipe = Pipe(folder, [of])
    pipe.catalog = Catalog({}, SchemaRegistry())
    pipe.log = log
    return pipe


@by_name
def test_inv4_events_of_a_version_that_only_the_log_has_are_counted_and_the_others_are_read(
    step: Step, tmp_path: Path
) -> None:
    written, newer = crossed(step, tmp_path / "writer"), step.entities()[1]
    only_newest = replace(newer, older=())
    pipe = read_elsewhere(written.log, only_newest, tmp_path / "reader")
    outcome = pipe.rebuild(only_newest, accept_differences=True)

    assert (outcome.counts.dead, outcome.swapped) == (4, True)
    assert [row.event_id for row in pipe.table(only_newest)] == [
        row.event_id for row in written.table(newer) if row.schema_version == 2
    ]
    known = Catalog({"thing": only_newest}, SchemaRegistry([only_newest.schema]))
    counts = Consumer(known, pipe.warehouse, pipe.letters, written.log.document).consume(written.published)
    assert counts.dead == 4
    assert {letter.cause for letter in pipe.letters.letters} == {"schema"}
    assert {letter.reason.partition(": ")[2] for letter in pipe.letters.letters} == {
        f"written with schema {newer.versions[0].fingerprint.hex()}, which is none of the table's versions"
    }


def test_a_log_of_a_newer_version_stops_whoever_does_not_know_it(tmp_path: Path) -> None:
    before, _ = world(REBUILT, tmp_path)
    older, newer = REBUILT.entities()
    before.publish(thing(REBUILT, newer, 1))
    before.flush()
    with pytest.raises(ConfigurationError, match="received an event of schema version 2, and version 1"):
        before.rebuild(older)


Replay = Callable[[Pipe, Entity], object]
REPLAYS: dict[str, Replay] = {
    "rebuild": lambda pipe, of: pipe.rebuild(of),
    "accepting": lambda pipe, of: pipe.rebuild(of, accept_differences=True),
    "as of": lambda pipe, of: plan_as_of(pipe.ports(), of, datetime(2024, 1, 1, tzinfo=UTC)),
    "compare": lambda pipe, of: list(compare(pipe.ports(), of)),
}


@pytest.mark.parametrize("replay", REPLAYS.values(), ids=REPLAYS)
@pytest.mark.parametrize("history", [False, True])
def test_inv3_older_code_never_replays_events_of_a_newer_version_and_builds_nothing(
    history: bool, replay: Replay, tmp_path: Path
) -> None:
    """With a history every event is decoded: the newer ones were poison there, and the swap went through."""
    before, _ = world(REBUILT, tmp_path)
    older, newer = REBUILT.entities()
    kept = replace(older, history=history)
    pipe = Pipe(tmp_path, [kept])
    pipe.log, pipe.stream = before.log, before.stream
    pipe.publish(thing(REBUILT, older, 1))
    pipe.consume()
    pipe.publish(thing(REBUILT, newer, 4))
    pipe.flush()

    with pytest.raises(ConfigurationError, match="received an event of schema version 2, and version 1"):
        replay(pipe, kept)

    assert [each.state for each in pipe.warehouse.revisions("thing")] == ["live"]


@pytest.mark.parametrize("read", [surviving_facts, checked_facts])
@pytest.mark.parametrize("operation", [Operation.UPSERT, Operation.DELETE, Operation.SWEEP])
def test_a_fact_of_a_newer_version_stops_the_fold_whatever_its_operation(
    operation: Operation, read: Callable[..., object]
) -> None:
    older, newer = REBUILT.entities()
    made = sweep(newer, 3, 4) if operation == Operation.SWEEP else thing(REBUILT, newer, 4, operation)
    with pytest.raises(ConfigurationError, match="received an event of schema version 2"):
        read([encode_event(made)], EventFilter(older), SchemaRegistry([older.schema, newer.schema]))


def test_a_document_beside_the_schemas_that_is_none_stops_no_rebuild() -> None:
    log = InMemoryLog({"log/_schemas/notes.txt": b"a colleague's notes"})
    refuse_newer_versions(log, REBUILT.entities()[0])
