"""INV-3 through a change of schema: the table that lived through it is the table rebuilt after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from consumers_world import apply, event
from evolutions import STEPS, Step, consume, rebuild_into
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.facts import read_fact
from consumers.warehouse.port import Row, Warehouse
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.event import Operation, encode_event
from schemas.evolution.rules import Category
from schemas.payload.codec import SchemaRegistry

by_name = pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])


class Written(NamedTuple):
    """One event: which version wrote it, and which of its values; `number` orders those of a key."""

    newer: bool
    key: str
    number: int
    operation: Operation
    value: int

    def frame(self, step: Step) -> bytes:
        of = step.entities()[self.newer]
        return encode_event(event(of, values(step, of, self), self.number, self.operation))


def values(step: Step, of: Entity, written: Written) -> dict[str, object]:
    made: dict[str, object] = {"id": written.key, "note": f"note {written.number}"}
    some = step.new_values if written.newer else step.old_values
    for each in of.schema.fields:
        if each.name not in made:
            made[each.name] = some[written.value % len(some)]
    return made


HISTORY = st.lists(
    st.builds(
        Written,
        st.booleans(),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 9),
        st.sampled_from([Operation.UPSERT, Operation.UPSERT, Operation.DELETE]),
        st.integers(0, 3),
    ),
    max_size=8,
)


@contextmanager
def folder() -> Iterator[str]:
    with TemporaryDirectory() as name:
        yield f"sqlite:///{Path(name) / 'warehouse.db'}"


@contextmanager
def opened(url: str, of: Entity) -> Iterator[SqliteWarehouse]:
    warehouse = open_warehouse(url, [of])
    warehouse.ensure()
    yield warehouse
    warehouse.close()


def rows(warehouse: Warehouse, revision: int = 1) -> list[Row]:
    return list(warehouse.rows("thing", revision))


@by_name
@settings(max_examples=25)
@given(st.data())
def test_inv3_a_table_that_lives_through_a_change_is_the_one_made_after_it(
    step: Step, data: st.DataObject
) -> None:
    older, newer = step.entities()
    history = data.draw(HISTORY)
    before = data.draw(st.lists(st.sampled_from([e for e in history if not e.newer] or [None])))
    late = data.draw(st.permutations([*history, *history[:2]]))
    again = data.draw(st.permutations(history))
    with folder() as live, folder() as fresh:
        with opened(live, older) as warehouse:
            consume(warehouse, older, [each.frame(step) for each in before if each])
        with opened(live, newer) as lived, opened(fresh, newer) as made:
            consume(made, newer, [each.frame(step) for each in again])
            revision = 1
            if step.category == Category.REBUILD:
                with pytest.raises(ConfigurationError, match="run `headwater replay rebuild thing`"):
                    consume(lived, newer, [PROBE.frame(step)])
                revision = lived.create_revision("thing")
                as_newer = rows(lived)
                rebuild_into(lived, newer, [each.frame(step) for each in before if each], revision)
                assert rows(lived, revision) == as_newer
            consume(lived, newer, [each.frame(step) for each in late])
            assert rows(lived, revision) == rows(made)


PROBE = Written(newer=True, key="p", number=1, operation=Operation.DELETE, value=0)


@by_name
def test_what_an_older_version_wrote_is_read_as_the_newer_has_it(step: Step) -> None:
    older, newer = step.entities()
    if step.new is None and step.name != "dropped":
        with folder() as url, opened(url, newer) as warehouse:
            written = Written(newer=True, key="a", number=1, operation=Operation.UPSERT, value=0)
            consume(warehouse, newer, [written.frame(step)])
            assert step.absent in rows(warehouse)[0].values
    for place, value in enumerate(step.old_values or [None]):
        written = Written(newer=False, key="a", number=1, operation=Operation.UPSERT, value=place)
        fact = read_fact(written.frame(step), SchemaRegistry(newer.versions))
        with folder() as url, opened(url, newer) as warehouse:
            consume(warehouse, newer, [fact.frame])
            names, [shown] = [each.field.name for each in newer.columns], rows(warehouse)
        there = dict(zip(names, shown.values, strict=True))
        assert there.pop("id") == "a"
        assert there.pop("note") == "note 1"
        if step.name == "dropped":
            assert there == {}
        else:
            expected = step.absent if step.old is None else step.onto(value)
            assert list(there.values()) == [expected]
            assert list(map(type, there.values())) == [type(expected)]
    assert older.evolution.has(newer.versions[0].fingerprint)


@by_name
def test_a_change_has_its_rules_and_its_category(step: Step) -> None:
    _, newer = step.entities()
    changes = newer.evolution.changes(1, 2)
    assert {change.rule.name for change in changes} == set(step.rules)
    assert newer.evolution.cost(1, 2) == step.category


@by_name
def test_a_consumer_of_the_older_version_stops_at_the_newer_table(step: Step) -> None:
    older, newer = step.entities()
    refused = pytest.raises(ConfigurationError, match="was created by schema version 2")
    with folder() as url, opened(url, newer), opened_only(url, older) as behind, refused:
        apply(behind, older)


@contextmanager
def opened_only(url: str, of: Entity) -> Iterator[SqliteWarehouse]:
    warehouse = open_warehouse(url, [of])
    yield warehouse
    warehouse.close()
