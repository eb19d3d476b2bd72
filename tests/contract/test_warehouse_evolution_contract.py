"""Every engine widens a live table in place, and shows it as one that was made under the newest version."""

from collections.abc import Callable, Sequence

import pytest
from consumers_world import event
from evolutions import STEPS, Step, consume, rebuild_into

from consumers.warehouse.port import Row, Warehouse
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.event import Operation, encode_event
from schemas.evolution.rules import Category

pytest_plugins = ("warehouse_engines",)

Connect = Callable[..., Warehouse]

IN_PLACE = [step for step in STEPS if step.category < Category.REBUILD]
REBUILT = [step for step in STEPS if step.category == Category.REBUILD]


def named(steps: Sequence[Step]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("step", steps, ids=[step.name for step in steps])


def written(step: Step, of: Entity, some: Sequence[object]) -> list[bytes]:
    """An event for each of these values of the field, and a delete."""
    frames = []
    for number, value in enumerate(some or [None], 1):
        values = {"id": f"{of.schema.version}-{number}", "note": "n"}
        values |= {f.name: value for f in of.schema.fields if f.name not in values}
        frames.append(encode_event(event(of, values, number)))
    gone = {"id": f"{of.schema.version}-0"}
    return [*frames, encode_event(event(of, gone, 9, Operation.DELETE))]


def lacks(warehouse: Warehouse) -> list[str]:
    """What of the entity's table and view is missing; roles are not in question here."""
    return [each for each in warehouse.problems() if "thing" in each]


def table(warehouse: Warehouse, revision: int = 1) -> list[Row]:
    return list(warehouse.rows("thing", revision))


@named(IN_PLACE)
def test_a_live_table_is_widened_in_place(connect: Connect, step: Step) -> None:
    older, newer = step.entities()
    before, after = written(step, older, step.old_values), written(step, newer, step.new_values)
    lived = connect([older])
    lived.ensure()
    consume(lived, older, before)
    newest = connect([newer])
    assert lacks(newest) != []
    newest.ensure()
    assert lacks(newest) == []
    newest.ensure()
    consume(newest, newer, after)
    assert newest.select("thing")[0] == [*[column.field.name for column in newer.columns], "_source"]

    fresh = newest.create_revision("thing")
    rebuild_into(newest, newer, [*after, *before], fresh)
    assert table(newest) == table(newest, fresh)
    assert [each.schema_version for each in newest.revisions("thing")] == [2, 2]


@named(REBUILT)
def test_a_table_that_needs_a_rebuild_is_left_until_then(connect: Connect, step: Step) -> None:
    older, newer = step.entities()
    before, after = written(step, older, step.old_values), written(step, newer, step.new_values)
    lived, newest = connect([older]), connect([newer])
    lived.ensure()
    consume(lived, older, before)
    shown = lived.select("thing")
    newest.ensure()
    assert any("run `headwater replay rebuild thing`" in each for each in lacks(newest))
    with pytest.raises(ConfigurationError, match="run `headwater replay rebuild thing`"):
        consume(newest, newer, after)
    assert newest.select("thing") == shown
    consume(lived, older, before)  # the older consumers go on meanwhile

    revision = newest.create_revision("thing")
    as_if = table(newest)
    rebuild_into(newest, newer, before, revision)
    assert table(newest, revision) == as_if
    assert lacks(newest) == []
    consume(newest, newer, after)
    with pytest.raises(ConfigurationError, match="was created by schema version 2"):
        consume(lived, older, before)


def test_a_retired_revision_is_widened_too_and_can_be_gone_back_to(connect: Connect) -> None:
    step = STEPS[1]
    older, newer = step.entities()
    lived = connect([older])
    lived.ensure()
    second = lived.create_revision("thing")
    rebuild_into(lived, older, written(step, older, ()), second)
    newest = connect([newer])
    newest.ensure()
    rebuild_into(newest, newer, written(step, newer, step.new_values), 1)
    assert len(newest.select("thing")[1]) == 2


def test_a_view_of_a_renamed_key_is_read_by_its_new_name(connect: Connect) -> None:
    older, newer = next(step for step in STEPS if step.name == "renamed").entities()
    connect([older]).ensure()
    newest = connect([newer])
    newest.ensure()
    assert newest.select("thing")[0] == ["id", "g", "note", "_source"]
