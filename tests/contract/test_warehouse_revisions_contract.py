"""What every SQL engine behind the warehouse port keeps: revisions, their swap and as-of views."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from consumers_world import (
    ITEM,
    apply,
    floor,
    item,
    other_schema,
    row,
    seen,
    table,
)

from consumers.warehouse.port import (
    LIVE_READER,
    Checkpoint,
    Warehouse,
    padded,
    revision_reader,
)
from schemas.errors import ConfigurationError, ConflictError

pytest_plugins = ("warehouse_engines",)

Open = Callable[..., Warehouse]


# Revisions.


def test_rows_go_to_the_live_revision_unless_another_is_named(warehouse: Warehouse) -> None:
    building = warehouse.create_revision("item")
    live_row, other = row(ITEM, item("x"), 1), row(ITEM, item("y"), 1)
    apply(warehouse, ITEM, live_row)
    apply(warehouse, ITEM, other, revision=building)
    assert table(warehouse, revision=1) == [live_row]
    assert table(warehouse, revision=building) == [other]
    assert len(seen(warehouse)) == 1


def test_each_revision_has_floors_of_its_own(warehouse: Warehouse) -> None:
    building = warehouse.create_revision("item")
    older = row(ITEM, item("x"), 1)
    apply(warehouse, ITEM, sweeps=[floor(older, 2)], revision=building)
    apply(warehouse, ITEM, older)
    apply(warehouse, ITEM, older, revision=building)
    assert [each.deleted for each in table(warehouse, revision=1)] == [False]
    assert [each.deleted for each in table(warehouse, revision=building)] == [True]


def test_a_revision_number_is_never_used_twice(warehouse: Warehouse) -> None:
    assert warehouse.create_revision("item") == 2
    warehouse.drop_revision("item", 2)
    assert warehouse.create_revision("item") == 3
    assert warehouse.create_revision("other") == 2
    assert [(each.number, each.state) for each in warehouse.revisions("item")] == [
        (1, "live"),
        (3, "building"),
    ]


def test_what_a_dropped_revision_knew_is_gone(warehouse: Warehouse) -> None:
    dropped = warehouse.create_revision("item")
    apply(warehouse, ITEM, row(ITEM, item("x"), 1), revision=dropped)
    place = Checkpoint(revision_reader("item", dropped), "stream", "shard", padded("7"))
    with warehouse.transaction() as transaction:
        transaction.save_checkpoints([place])
    warehouse.drop_revision("item", dropped)
    with pytest.raises(ConfigurationError, match="no revision 2"):
        list(warehouse.rows("item", dropped))
    with warehouse.transaction() as transaction:
        assert transaction.checkpoints(place.reader) == []


def test_a_swap_shows_the_new_table_to_readers_and_writers_in_other_processes(
    warehouse: Warehouse, connect: Open
) -> None:
    writer = connect()
    apply(writer, ITEM, row(ITEM, item("old"), 1))
    building = warehouse.create_revision("item")
    apply(warehouse, ITEM, row(ITEM, item("new"), 1), revision=building)
    with warehouse.transaction(exclusive=["item"]) as transaction:
        assert transaction.swap("item", building) == 1
        assert transaction.live_revision("item") == building
    apply(writer, ITEM, row(ITEM, item("newer"), 1))
    assert [each[0] for each in seen(writer)] == ["new", "newer"]
    assert [(each.number, each.state) for each in writer.revisions("item")] == [(1, "retired"), (2, "live")]


def test_inv8_a_swap_that_is_rolled_back_was_never_there(warehouse: Warehouse) -> None:
    apply(warehouse, ITEM, row(ITEM, item("old"), 1))
    building = warehouse.create_revision("item")
    with pytest.raises(KeyboardInterrupt), warehouse.transaction(exclusive=["item"]) as transaction:  # noqa: PT012
        transaction.swap("item", building)
        raise KeyboardInterrupt
    assert [each[0] for each in seen(warehouse)] == ["old"]
    assert [each.state for each in warehouse.revisions("item")] == ["live", "building"]


def test_the_retired_revision_keeps_the_live_checkpoints_of_the_swap_and_can_come_back(
    warehouse: Warehouse,
) -> None:
    c = Checkpoint(LIVE_READER, "stream", "shard-1", padded("40"))
    later = c._replace(sequence=padded("90"))
    old = row(ITEM, item("old"), 1)
    apply(warehouse, ITEM, old)
    building = warehouse.create_revision("item")
    own = Checkpoint(revision_reader("item", building), "stream", "shard-1", padded("33"))
    with warehouse.transaction(exclusive=["item"]) as transaction:
        transaction.save_checkpoints([c, own])
        transaction.swap("item", building)
        transaction.save_checkpoints([later])
    with warehouse.transaction(exclusive=["item"]) as transaction:
        assert transaction.checkpoints(revision_reader("item", 1)) == [c._replace(reader="item__r1")]
        assert transaction.checkpoints(own.reader) == []
        transaction.swap("item", 1)
        assert transaction.checkpoints(own.reader) == [later._replace(reader=own.reader)]
    assert table(warehouse) == [old]
    assert [each.state for each in warehouse.revisions("item")] == ["live", "retired"]


def test_only_a_building_or_a_retired_revision_goes_live(warehouse: Warehouse) -> None:
    shown = warehouse.create_revision("item")
    warehouse.publish_as_of("item", shown, "then")
    for number in (1, shown):
        with pytest.raises(ConflictError), warehouse.transaction(exclusive=["item"]) as transaction:
            transaction.swap("item", number)
    with pytest.raises(ConfigurationError), warehouse.transaction(exclusive=["item"]) as transaction:
        transaction.swap("item", 99)


def test_the_live_revision_is_not_dropped(warehouse: Warehouse) -> None:
    with pytest.raises(ConflictError):
        warehouse.drop_revision("item", 1)


def test_an_as_of_view_stands_beside_the_live_one_and_can_be_made_again(warehouse: Warehouse) -> None:
    for size in (1, 2):
        revision = warehouse.create_revision("item")
        apply(warehouse, ITEM, row(ITEM, item("x", size), 1), revision=revision)
        assert warehouse.publish_as_of("item", revision, "20240101").endswith("item__as_of_20240101")
        assert [each[1] for each in warehouse.select("item", as_of="20240101")[1]] == [size]
    assert [(each.number, each.as_of) for each in warehouse.revisions("item")] == [(1, None), (3, "20240101")]
    assert seen(warehouse) == []
    with pytest.raises(ConflictError):
        warehouse.publish_as_of("item", 1, "now")
    warehouse.drop_revision("item", 3)
    with pytest.raises(ConfigurationError):
        warehouse.select("item", as_of="20240101")


def test_a_process_with_an_older_or_a_newer_schema_than_the_table_writes_nothing(
    warehouse: Warehouse, connect: Open
) -> None:
    newer = connect([replace(ITEM, schema=other_schema(ITEM))])
    with pytest.raises(ConfigurationError, match=r"version 1.*has version 2"):
        newer.ensure()
    with pytest.raises(ConfigurationError, match=r"version 1.*has version 2"):
        apply(newer, ITEM, row(ITEM, item("x"), 1))
    assert seen(warehouse) == []
