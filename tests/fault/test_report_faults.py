"""Reports while something goes wrong, or goes on at the same time: nothing is lost, nothing doubled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import pytest
from consumers_world import A
from mssql_server import WHERE_SET
from report_shop import SALES
from reports_world import CATALOG, CUSTOMER, ENTITIES, PURCHASE, Writer, row, write
from sqlalchemy import event as engine_event
from stopping import Stopped, stopping_at

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import HeldError, Refresher
from consumers.warehouse.port import Batch, Warehouse
from consumers.warehouse.retry import retry_lost_transaction
from schemas.catalog.entity import Entity
from schemas.event import Operation

pytest_plugins = ("warehouse_engines",)

REPORT = read_report("sales", SALES, CATALOG)
WIDER = read_report("sales", SALES.replace("COUNT(*) AS", "MAX(o.amount) AS most, COUNT(*) AS"), CATALOG)

Connect = Callable[..., Warehouse]


@pytest.fixture
def warehouse(connect: Connect) -> Warehouse:
    made = connect(ENTITIES)
    made.ensure()
    return made


def is_right(warehouse: Warehouse, report: Report = REPORT) -> bool:
    return Refresher(reports_in(warehouse)).verify(report) == []


def some_batches(warehouse: Warehouse, seed: int, count: int) -> None:
    writer = Writer(Random(seed))
    for _ in range(count):
        write(warehouse, *writer.batch())


@pytest.mark.parametrize("changed", [REPORT, WIDER], ids=["units", "whole"])
def test_a_refresher_killed_at_any_statement_leaves_all_to_the_next(
    warehouse: Warehouse, connect: Connect, changed: Report
) -> None:
    """Readers see the table of before or of after, and the next refresh brings what is missing."""
    refresher = Refresher(reports_in(warehouse))
    some_batches(warehouse, 1, 12)
    refresher.refresh(REPORT)
    step = 6 if reports_in(warehouse).dialect.sql == "tsql" else 1  # a new connection takes seconds there
    number, ended = 0, False
    while not ended:
        some_batches(warehouse, number + 2, 2)
        with stopping_at(warehouse, number):
            try:
                refresher.refresh(changed)
                ended = True
            except Stopped:
                number += step
        if number % 4 == 0 or ended:
            assert is_right(connect(ENTITIES), changed)
            if changed is WIDER and not ended:
                Refresher(reports_in(warehouse)).refresh(REPORT)
    assert number > 10


def test_of_two_refreshers_one_waits_for_nobody(warehouse: Warehouse, connect: Connect) -> None:
    Refresher(reports_in(warehouse)).refresh(REPORT)
    other = connect(ENTITIES)
    with reports_in(warehouse).holding("sales"):
        if reports_in(warehouse).dialect.sql == "tsql":
            with pytest.raises(HeldError):
                Refresher(reports_in(other)).refresh(REPORT)
            assert Refresher(reports_in(other)).refresh(read_report("others", SALES, CATALOG)).how == "whole"
    assert Refresher(reports_in(other)).refresh(REPORT).how == "nothing"


@pytest.mark.parametrize("command", ["verify", "compare"])
@pytest.mark.parametrize("warehouse_url", [WHERE_SET], indirect=True)
def test_verify_and_compare_wait_for_a_refresher_and_say_after_the_limit_that_there_is_one(
    warehouse: Warehouse, connect: Connect, command: str
) -> None:
    """On SQLite a refresher holds the whole file, and its own limit is tested there."""
    some_batches(warehouse, 1, 6)
    Refresher(reports_in(warehouse)).refresh(REPORT)
    other = connect(ENTITIES)
    with reports_in(warehouse).holding("sales"), pytest.raises(HeldError, match="waited 1 s for it"):
        getattr(Refresher(reports_in(other), wait_seconds=1), command)(REPORT)
    asked = threading.Event()

    def ask(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "headwater/report/sales" in statement and "sp_getapplock" in statement:
            asked.set()

    engine_event.listen(other.engine, "before_cursor_execute", ask)  # type: ignore[attr-defined]
    with ThreadPoolExecutor(1) as pool:
        with reports_in(warehouse).holding("sales"):
            waiting = pool.submit(getattr(Refresher(reports_in(other), wait_seconds=60), command), REPORT)
            assert asked.wait(60)
            time.sleep(0.5)
            assert not waiting.done()
        found = waiting.result()
    assert (found if command == "verify" else [*found.by_column, *found.hashes]) == []


VALUES: dict[str, Callable[[Random], dict[str, Any]]] = {
    "customer": lambda random: {
        "id": random.choice("abc"),
        "region": random.choice([None, "n", "x"]),
        "tier": 1,
    },
    "purchase": lambda random: {
        "id": random.choice("12345"),
        "customer": random.choice([None, "a", "b", "c"]),
        "product": random.choice("xy"),
        "amount": 1,
        "price": Decimal("1.05"),
        "day": None,
    },
}


def write_many(warehouse: Warehouse, of: Entity) -> None:
    random = Random(of.name)
    for number in range(1, 61):
        operation = random.choice([Operation.UPSERT, Operation.UPSERT, Operation.DELETE])
        made = row(of, VALUES[of.name](random), number, operation, A)
        retry_lost_transaction(partial(write, warehouse, of, Batch({of.name: [made]})))


def refresh_until(warehouse: Warehouse, done: threading.Event, most_held: int = 3) -> None:
    """Babelfish ends the whole server when one session has found a lock taken five times."""
    held, refresher = 0, Refresher(reports_in(warehouse))
    while not done.is_set() and held < most_held:
        try:
            refresher.refresh(REPORT)
        except HeldError:
            held += 1


def test_two_writers_and_two_refreshers_at_once(warehouse: Warehouse, connect: Connect) -> None:
    """The two halves of a joined pair come at the same time, again and again."""
    Refresher(reports_in(warehouse)).refresh(REPORT)
    done = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        refreshers = [pool.submit(refresh_until, connect(ENTITIES), done) for _ in range(2)]
        writers = [pool.submit(write_many, connect(ENTITIES), of) for of in (CUSTOMER, PURCHASE)]
        for writer in writers:
            writer.result()
        done.set()
        for refresher in refreshers:
            refresher.result()
    assert Refresher(reports_in(warehouse)).refresh(REPORT).how in ("units", "nothing")
    assert is_right(warehouse)


def test_a_report_follows_a_table_of_staging_that_is_swapped(warehouse: Warehouse) -> None:
    refresher = Refresher(reports_in(warehouse))
    some_batches(warehouse, 3, 15)
    refresher.refresh(REPORT)
    number = warehouse.create_revision("purchase")
    with warehouse.transaction(exclusive=["purchase"]) as transaction:
        transaction.swap("purchase", number)
    some_batches(warehouse, 4, 5)
    assert refresher.refresh(REPORT).how == "whole"
    some_batches(warehouse, 5, 5)
    assert refresher.refresh(REPORT).how == "units"
    assert is_right(warehouse)
