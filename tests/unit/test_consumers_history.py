"""History in SQLite: what is asked by key is found by index, and an entity without history pays nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from consumers_world import A, entity, event, field
from history_world import CATALOG_OF_PAST, PAST, Happened, frames_of
from sqlalchemy import event as engine_event

from consumers.consume import Consumer
from consumers.facts import read_fact
from consumers.history import history_of
from consumers.warehouse.history import history_table
from consumers.warehouse.mssql.history import indexed
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from consumers.warehouse.tables import StagingTable
from schemas.catalog.entity import Catalog, Entity
from schemas.event import encode_event
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry

FRAMES = frames_of(
    [
        Happened(kind, "k", A, number, number, 1, "")
        for number, kind in enumerate(("insert", "sweep", "delete"), 1)
    ]
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[SqliteWarehouse]:
    made = open_warehouse(f"sqlite:///{tmp_path / 'w.db'}", [PAST])
    made.ensure()
    yield made
    made.close()


def test_a_keys_versions_are_found_by_the_index_on_the_key(warehouse: SqliteWarehouse) -> None:
    with warehouse.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM history_past WHERE id = 'k'"
        ).all()
    read = [step[-1] for step in plan if "history_past__r1" in step[-1]]
    assert len(read) == 2
    assert all(
        "USING INDEX history_past__r1_key (id=?)" in step or "USING COVERING INDEX" in step for step in read
    )
    assert not [step for step in read if step.startswith("SCAN")]


def statements_of(tmp_path: Path, of: Entity) -> list[str]:
    warehouse, sent = open_warehouse(f"sqlite:///{tmp_path / 'other.db'}", [of]), list[str]()
    warehouse.ensure()

    def record(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine_event.listen(warehouse.engine, "before_cursor_execute", record)
    Consumer(Catalog({of.name: of}, SchemaRegistry([of.schema])), warehouse, InMemoryLetters()).consume(
        FRAMES
    )
    warehouse.close()
    return sent


def test_an_entity_without_history_sends_no_statement_for_it(tmp_path: Path) -> None:
    without = statements_of(tmp_path, replace(PAST, history=False))
    assert [each for each in without if "history" in each or "sweeps" in each] == []
    (tmp_path / "with").mkdir()
    kept = statements_of(tmp_path / "with", PAST)
    assert any("history_past__r1" in each for each in kept)


def test_all_facts_go_to_history_once_whatever_they_lose_to() -> None:
    facts = [read_fact(frame, CATALOG_OF_PAST.registry) for frame in [*FRAMES, *FRAMES]]
    kept = history_of(facts, CATALOG_OF_PAST)["past"]
    assert [row.operation for row in kept.rows] == ["insert", "delete"]
    assert [(sweep.source, sweep.position) for sweep in kept.sweeps] == [(A, "2024-000002")]


def test_a_key_is_indexed_as_far_as_an_index_of_sql_server_holds_it() -> None:
    table = history_table(StagingTable(PAST, "staging."))
    assert (table.view, table.physical(3), table.at) == (
        "history.past",
        "history.past__r3",
        "history.past_at",
    )
    assert indexed(table) == ("id",)


def test_a_field_may_have_any_name_but_those_of_the_view(tmp_path: Path) -> None:
    names = ["id", "gone", "before", "ends", "rank", "held", "facts", "position", "source", "order"]
    of = replace(entity("odd", [field(name, "string") for name in names], ["id"]), history=True)
    made = open_warehouse(f"sqlite:///{tmp_path / 'odd.db'}", [of])
    made.ensure()
    frame = encode_event(event(of, dict.fromkeys(names, "x"), 1))
    Consumer(Catalog({of.name: of}, SchemaRegistry([of.schema])), made, InMemoryLetters()).consume([frame])
    with made.engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM history_odd").all()
    assert row[6:-1] == ("x",) * len(names)
    made.close()
