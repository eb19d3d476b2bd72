"""Replay over SQL Server: rebuilt, compared, as of a moment, rolled back, beside the live table."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import replay_world
from consumers_world import ITEM, OTHER, event, item, sweep
from history_world import PAST, at, at_random, shown_versions, versions
from mssql_server import bare, emptied, url_of
from replay_world import Pipe, business, oracle

from consumers.warehouse.mssql import warehouse as mssql
from replay.as_of import plan_as_of
from replay.compare import compare
from replay.rebuild import plan_rollback
from replay.revisions import expired, kept_revisions
from replay.run import run
from schemas.event import Operation

pytest_plugins = ("warehouse_engines",)


@pytest.fixture
def pipe(tmp_path: Path, mssql_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    emptied(mssql_database)
    monkeypatch.setattr(replay_world, "open_warehouse", mssql.open_warehouse)
    monkeypatch.setattr(Pipe, "url", url_of(mssql_database))
    made = Pipe(tmp_path, [ITEM, OTHER])
    made.publish(*(event(ITEM, item(f"k{n % 7}", n), n) for n in range(1, 41)), sweep(ITEM, 7, 41))
    made.publish(event(OTHER, {"id": "k1"}, 42), event(ITEM, {"id": "k3"}, 43, Operation.DELETE))
    made.flush()
    made.publish(event(ITEM, item("not flushed"), 44))
    made.consume()
    yield made
    made.warehouse.close()


def test_inv3_a_rebuilt_table_is_swapped_in_and_equals_the_live_one_and_the_oracle(pipe: Pipe) -> None:
    before = business(pipe.table())
    outcome = pipe.rebuild()
    assert (outcome.swapped, outcome.differences) == (True, ())
    assert pipe.live() == 2
    assert business(pipe.table()) == before == oracle(ITEM, pipe.published)
    pipe.publish(event(ITEM, item("after"), 50))
    pipe.consume()
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_an_as_of_table_expires(pipe: Pipe) -> None:
    for day in (1, 5):
        ports = pipe.ports()
        moment = datetime(2024, 1, day, tzinfo=UTC)
        assert run(plan_as_of(ports, ITEM, moment, keep=timedelta(days=2)), ports).view
        pipe.clock.pass_by(hours=49)
    assert [each.as_of for each in pipe.warehouse.revisions("item") if each.as_of] == ["20240105T000000Z"]
    ((number, name),) = (
        (each.number, each.as_of) for each in expired(kept_revisions(pipe.warehouse, "item"), pipe.clock())
    )
    pipe.warehouse.drop_revision("item", number)
    assert name == "20240105T000000Z"
    assert [each.state for each in pipe.warehouse.revisions("item")] == ["live"]


def test_a_rollback_brings_the_retired_table_up_to_now(pipe: Pipe) -> None:
    pipe.rebuild()
    pipe.publish(event(ITEM, item("after"), 50))
    pipe.consume()
    ports = pipe.ports()
    assert run(plan_rollback(ports, ITEM), ports).swapped
    assert pipe.live() == 1
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_row_that_differs_is_named_and_stops_the_swap(pipe: Pipe, mssql_database: str) -> None:
    with bare(mssql_database) as connection:
        connection.cursor().execute("UPDATE staging.item__r1 SET size = 99 WHERE id = N'k1'")
    assert [each.key for each in compare(pipe.ports(), ITEM)] == ['["k1"]']
    outcome = pipe.rebuild()
    assert not outcome.swapped
    assert [each.key for each in outcome.differences] == ['["k1"]']


def test_as_of_a_moment_is_a_view_of_its_own(pipe: Pipe) -> None:
    ports = pipe.ports()
    outcome = run(plan_as_of(ports, ITEM, datetime(2024, 1, 1, 0, 0, 20, tzinfo=UTC)), ports)
    assert outcome.view == "staging.item__as_of_20240101T000020Z"
    _, rows = pipe.warehouse.select("item", as_of="20240101T000020Z")
    assert sorted(each[0] for each in rows) == [f"k{n}" for n in range(7)]
    assert max(each[1] for each in rows) == 20


def test_inv3_a_rebuilt_history_is_the_live_one_and_its_function_goes_with_it(
    tmp_path: Path, mssql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied(mssql_database)
    monkeypatch.setattr(replay_world, "open_warehouse", mssql.open_warehouse)
    monkeypatch.setattr(Pipe, "url", url_of(mssql_database))
    pipe, dice = Pipe(tmp_path, [PAST]), random.Random(1)
    pipe.publish(*(at_random(dice).event() for _ in range(60)))
    pipe.flush()
    pipe.consume()
    lived = shown_versions(pipe.warehouse.engine, "history.past")
    assert lived == versions(pipe.published)
    assert pipe.rebuild(PAST).swapped
    assert shown_versions(pipe.warehouse.engine, "history.past") == lived
    pipe.warehouse.drop_revision("past", 1)
    with pipe.warehouse.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM history.past_at('2024-01-01T00:00:03')").all()
    assert sorted(map(tuple, rows), key=str) == at(lived, 3) != []
    pipe.warehouse.close()
