"""What a consumer asks of the warehouse when it starts: that nothing is missing. It creates nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from consumers_world import CATALOG, ENTITIES, ITEM, event, item
from evolutions import STEPS
from history_world import PAST

from consumers.consume import Consumer
from consumers.warehouse.port import LIVE_READER, Checkpoint, Warehouse, padded
from schemas.errors import ConfigurationError
from schemas.event import encode_event
from schemas.evolution.rules import Category
from schemas.letters.letter import InMemoryLetters

pytest_plugins = ("warehouse_engines",)

Connect = Callable[..., Warehouse]
INIT = ".*Run `headwater warehouse init`"
WIDENED = next(step for step in STEPS if step.category < Category.REBUILD and step.old_values)
REBUILT = next(step for step in STEPS if step.category == Category.REBUILD)


def refused(warehouse: Warehouse, words: str) -> None:
    """Twice: the first attempt has made nothing."""
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=words):
            warehouse.require()


def test_a_warehouse_that_has_all_is_ready(connect: Connect) -> None:
    connect().ensure()
    connect().require()


def test_an_empty_database_is_refused_and_stays_empty(connect: Connect) -> None:
    refused(connect(), r"the table headwater[._]\w+ is missing" + INIT)


def test_a_new_entity_is_refused_by_name(connect: Connect) -> None:
    connect([ITEM]).ensure()
    refused(connect([ITEM, PAST]), "entity past: it has no table" + INIT)


def test_a_new_version_with_a_new_column_is_refused_until_init(connect: Connect) -> None:
    older, newer = WIDENED.entities()
    connect([older]).ensure()
    newest = connect([newer])
    refused(newest, "entity thing: revision 1 is of schema version 1, and this process has version 2" + INIT)
    newest.ensure()
    newest.require()
    with pytest.raises(ConfigurationError, match="created by schema version 2"):
        connect([older]).require()


def is_mssql(warehouse: Warehouse) -> bool:
    return "Mssql" in type(warehouse).__name__


def test_a_version_that_needs_a_rebuild_stops_only_what_is_written_to_it(connect: Connect) -> None:
    """The other entities go on."""
    older, newer = REBUILT.entities()
    connect([older]).ensure()
    connect([newer]).require()


def test_a_history_that_was_switched_off_is_refused_until_it_is_gone(connect: Connect) -> None:
    """Switched on again, it would have a gap."""
    connect([PAST]).ensure()
    without = connect([replace(PAST, history=False)])
    refused(without, "entity past: it has a history that it no longer keeps" + INIT)
    without.ensure()
    without.require()


def test_a_view_of_another_version_is_refused(connect: Connect) -> None:
    older, _ = WIDENED.entities()
    warehouse = connect([older])
    warehouse.ensure()
    view = "staging.thing" if is_mssql(warehouse) else "staging_thing"
    execute(warehouse, f"DROP VIEW {view}")
    refused(warehouse, f"the view .*thing is missing.*does not match{INIT}")


@pytest.mark.parametrize("table", ["headwater.revisions", "headwater.checkpoints", "staging.item__r1"])
def test_a_table_that_goes_missing_later_is_named_and_the_batch_stays(connect: Connect, table: str) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    name = table if is_mssql(warehouse) else table.replace(".", "_")
    if table.startswith("staging"):
        view = name.partition("__")[0]
        execute(warehouse, f"DROP VIEW {view}")
    execute(warehouse, f"DROP TABLE {name}")
    place = Checkpoint(LIVE_READER, "stream", "shard", padded("1"))
    frames = [encode_event(event(ITEM, item("x"), 1))]
    letters = InMemoryLetters()
    with pytest.raises(ConfigurationError, match=f"{name}.*headwater warehouse init"):
        Consumer(CATALOG, warehouse, letters).consume(frames, [place])
    assert letters.letters == []


def execute(warehouse: Warehouse, statement: str) -> None:
    with warehouse.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(statement)
