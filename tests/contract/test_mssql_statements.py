"""Every statement that the SQL Server engine sends is listed, and reads as T-SQL.

tests/golden/mssql_statements.sql is the list; docs/tsql-reference.md says what each form was checked against.
A statement that changes is checked again.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from babelfish import close_kept
from consumers_world import CATALOG, CHOSEN, EVERY, ITEM, A, apply, floor, item, row, table
from evolutions import STEPS, Step
from history_world import CATALOG_OF_PAST, PAST, Happened, frames_of
from mssql_server import new_database, url_of
from mssql_statements import READ_BY_EYE, parsed, recorded, shape, unread
from sqlalchemy import event as engine_event

from consumers.consume import Consumer
from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.mssql.load import JSON_TEXT_ROWS
from consumers.warehouse.mssql.setup import (
    ALLOW_SNAPSHOTS,
    SNAPSHOT_IS_ON,
    SNAPSHOT_ON,
    SNAPSHOTS_ALLOWED,
)
from consumers.warehouse.mssql.warehouse import MssqlWarehouse, open_warehouse
from consumers.warehouse.port import LIVE_READER, Checkpoint, LetterCount, padded
from schemas.letters.letter import InMemoryLetters

pytest_plugins = ("warehouse_engines",)

GOLDEN = Path(__file__).parents[1] / "golden" / "mssql_statements.sql"


@pytest.fixture
def database() -> Iterator[str]:
    """Of its own: roles stay in it."""
    with new_database() as name:
        yield name
        close_kept()


@pytest.fixture
def other() -> Iterator[str]:
    with new_database() as name:
        yield name
        close_kept()


@pytest.fixture
def sent(database: str, other: str) -> list[str]:
    """One of everything."""
    with recorded() as statements:
        warehouse = open_warehouse(url_of(database), [ITEM, EVERY, CHOSEN, PAST])
        assert isinstance(warehouse, MssqlWarehouse)
        _sends_all(warehouse)
        _widens(url_of(database), next(step for step in STEPS if step.name == "added, with a default"))
        _widens(url_of(other), next(step for step in STEPS if step.name == "longer"))
        _reports(warehouse)
        warehouse.close()
        _stops_keeping(url_of(database))
    return sorted(statement for statement in statements if not statement.startswith("SELECT CAST(SERVERPROP"))


def _sends_all(warehouse: MssqlWarehouse) -> None:
    engine_event.listen(warehouse.engine, "before_cursor_execute", _readers_wait_here, retval=True)
    warehouse.problems()
    warehouse.init()
    warehouse.init()
    warehouse.problems()
    made = row(ITEM, item("x"), 1)
    apply(warehouse, ITEM, made, sweeps=[floor(made, 2)])
    others = [row(ITEM, item(f"{n}"), n) for n in range(JSON_TEXT_ROWS)]
    apply(warehouse, ITEM, made._replace(deleted=True, source="other", schema_version=0), *others)
    apply(warehouse, EVERY, row(EVERY, {"id": UUID(int=1), "some_bytes": b"x"}, 1))
    Consumer(CATALOG_OF_PAST, warehouse, InMemoryLetters()).consume(
        frames_of([Happened(each, "k", A, 1, 1, 1, "") for each in ("insert", "sweep")])
    )
    number = warehouse.create_revision("item")
    shown = warehouse.create_revision("item")
    warehouse.publish_as_of("item", shown, "then")
    with warehouse.transaction(exclusive=["item"]) as transaction:
        transaction.save_checkpoints([Checkpoint(LIVE_READER, "stream", "shard", padded("1"))])
        transaction.swap("item", number)
        transaction.checkpoints(LIVE_READER)
        transaction.rows_of("item", 1, [made.key_hash])
        transaction.live_revision("item")
    warehouse.drop_revision("item", shown)
    warehouse.select("item", 1)
    warehouse.select("item")
    warehouse.revisions("item")
    warehouse.status()
    warehouse.save_letter_counts([LetterCount("item", "consumer", "data", "open", 1, 0, 0)])
    warehouse.letter_counts()
    table(warehouse)
    with pytest.raises(KeyboardInterrupt), warehouse.transaction():
        raise KeyboardInterrupt


REPORT = """/* headwater
key = ["label", "day"]
*/
SELECT i.label, i.day, COUNT(*) AS items, SUM(c.size) AS size FROM staging.item AS i
LEFT JOIN staging.chosen AS c ON c.id = i.id GROUP BY i.label, i.day"""
OFTEN = REPORT.replace("*/", 'refresh = "full every 30 minutes"\n*/').replace(
    "COUNT(*)", "DAY(@as_of) + COUNT(*)"
)


def _reports(warehouse: MssqlWarehouse) -> None:
    refresher = Refresher(reports_in(warehouse))
    report = read_report("report", REPORT, CATALOG)
    refresher.refresh(report)
    for number, day in ((1, None), (2, date(2024, 1, 1))):
        apply(warehouse, ITEM, row(ITEM, item("y", day=day), number))
        apply(warehouse, CHOSEN, row(CHOSEN, {"id": "y", "size": number}, number))
        refresher.refresh(report)
    refresher.refresh(report)
    refresher.revisions()
    refresher.plan(report)
    refresher.compare(report)
    refresher.create_indexes(report)
    reports_in(warehouse).outputs(report)
    refresher.verify(report)
    refresher.refresh(read_report("often", OFTEN, CATALOG))
    refresher.drop("report")


def _stops_keeping(url: str) -> None:
    """The history of an entity is no longer wanted."""
    warehouse = open_warehouse(url, [replace(PAST, history=False)])
    warehouse.ensure()
    warehouse.close()


def _widens(url: str, step: Step) -> None:
    """The table of an older version, in place; an index for reports goes and comes with it."""
    for each in step.entities():
        of = replace(each, history=True)
        warehouse = open_warehouse(url, [of])
        warehouse.ensure()
        if "f" in warehouse.tables["thing"].business_columns:
            _index_f(warehouse)
        warehouse.close()


def _index_f(warehouse: MssqlWarehouse) -> None:
    with reports_in(warehouse).holding("thing") as holder, holder.transaction() as session:
        if ("f",) not in session.indexes("thing").values():
            session.create_index("thing", ("f",))


def _readers_wait_here(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """As in a database that has no snapshots of any kind; Babelfish knows nothing to set them."""
    away = dict.fromkeys((SNAPSHOT_IS_ON, SNAPSHOTS_ALLOWED), "SELECT 0")
    away |= dict.fromkeys((SNAPSHOT_ON, ALLOW_SNAPSHOTS), "SELECT 1")
    return away.get(statement, statement), parameters


def test_every_statement_is_in_the_list_that_was_checked(sent: list[str], tmp_path: Path) -> None:
    (tmp_path / GOLDEN.name).write_text("".join(f"{each};\n\n" for each in sent))
    listed = GOLDEN.read_text().removesuffix(";\n\n").split(";\n\n")
    assert sorted(set(sent) - set(listed)) == [], f"the new list is {tmp_path / GOLDEN.name}"
    assert sorted(set(listed) - set(sent)) == []


def test_every_statement_of_the_list_reads_as_t_sql() -> None:
    for statement in GOLDEN.read_text().removesuffix(";\n\n").split(";\n\n"):
        assert parsed(statement)


def test_what_sqlglot_does_not_read_is_what_was_read_by_eye() -> None:
    listed = GOLDEN.read_text().removesuffix(";\n\n").split(";\n\n")
    assert {part for statement in listed for part in unread(statement)} == READ_BY_EYE


def test_a_statement_that_only_another_server_knows_is_found() -> None:
    with pytest.raises(Exception, match=r"LIMIT|Expected|Invalid|parse"):
        parsed(shape("SELECT * FROM t WHERE a === 1 LIMIT"))


def test_a_part_that_sqlglot_leaves_out_is_found() -> None:
    for statement in (
        "IF 1 = 1 BEGIN RAISE 50003, N'?', 1; END; SELECT 1",
        "GRANT SELECT ON SCHEMA::[s] TO [r]",
    ):
        with pytest.raises(AssertionError):
            parsed(statement)
