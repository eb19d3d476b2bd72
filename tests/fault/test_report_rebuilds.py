"""A refresher beside rebuilds of the tables that its report reads, while the live consumer goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from random import Random
from threading import Event as Signal
from time import sleep
from typing import Any

import pytest
import replay_world
from consumers_world import event
from kept_reports import shown
from replay_world import Pipe, oracle
from report_shop import SALES
from reports_world import CATALOG, CUSTOMER, ENTITIES, PURCHASE

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.mssql import warehouse as mssql
from consumers.warehouse.port import Warehouse
from replay.plan import Plan
from replay.ports import Ports
from replay.rebuild import plan_rebuild, plan_rollback
from replay.run import run
from schemas.catalog.entity import Entity
from schemas.event import Event, Operation

pytest_plugins = ("warehouse_engines",)

REPORT = read_report("sales", SALES, CATALOG)


@pytest.fixture
def pipe(tmp_path: Path, warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    if warehouse_url.startswith("mssql"):
        monkeypatch.setattr(replay_world, "open_warehouse", mssql.open_warehouse)
    monkeypatch.setattr(Pipe, "url", warehouse_url)
    made = Pipe(tmp_path, ENTITIES)
    yield made
    made.warehouse.close()


SWAPS: Sequence[tuple[Callable[[Ports, Entity], Plan], Entity]] = (
    (plan_rebuild, PURCHASE),
    (plan_rebuild, CUSTOMER),
    (plan_rollback, PURCHASE),
    (plan_rebuild, PURCHASE),
)


class Writer:
    """Random events, late ones and deletes too, published and consumed; `at_once` are one batch."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._random = Random(7)
        self._number = 0

    def write(self, at_once: int = 1) -> None:
        self._pipe.publish(*(self._event() for _ in range(at_once)))
        if self._random.random() < 0.2:
            self._pipe.flush()
        self._pipe.consume()

    def _event(self) -> Event:
        self._number += 1
        of = self._random.choice([CUSTOMER, PURCHASE, PURCHASE])
        number = max(1, self._number - self._random.choice([0, 0, 0, 5]))
        operation = self._random.choice([Operation.UPSERT, Operation.UPSERT, Operation.DELETE])
        return event(of, self._values(of.name), number, operation)

    def _values(self, of: str) -> dict[str, Any]:
        choice = self._random.choice
        if of == "customer":
            return {"id": choice("abcd"), "region": choice([None, "n", "x"]), "tier": 1}
        money = {"amount": 1, "price": Decimal(choice(["0.10", "1.05", "-7.77"])), "day": None}
        return {
            "id": str(choice(range(20))),
            "customer": choice([None, *"abcde"]),
            "product": choice("xy"),
            **money,
        }


def expected(pipe: Pipe) -> list[tuple[Any, ...]]:
    """From what was published."""
    live = {
        of.name: [values for *_, deleted, _source, values in oracle(of, pipe.published) if not deleted]
        for of in (CUSTOMER, PURCHASE)
    }
    regions = {values[0]: values[1] for values in live["customer"]}
    groups: dict[tuple[Any, ...], list[Decimal]] = {}
    for _id, customer, product, _amount, price, _day in live["purchase"]:
        groups.setdefault((regions.get(customer), product), []).append(price)
    return [(*key, len(prices), sum(prices)) for key, prices in groups.items()]


def table(warehouse: Warehouse) -> Counter[tuple[str, ...]]:
    dialect = reports_in(warehouse).dialect
    with reports_in(warehouse).reading() as session:
        return shown(session.rows(f"SELECT * FROM {dialect.to_sql(dialect.view('sales'))}"))


class Threads:
    """A writer and a refresher that go on until the end of the block; what goes wrong in one is raised."""

    def __init__(self, writer: Writer, warehouse: Warehouse) -> None:
        self._writer = writer
        self._refresher = Refresher(reports_in(warehouse))
        self._done = Signal()
        self.how: Counter[str] = Counter()

    def __enter__(self) -> Threads:
        self._pool = ThreadPoolExecutor(2)
        self._running = [
            self._pool.submit(self._until_done, each) for each in (self._writer.write, self._refresh)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._pool.shutdown()
        for each in self._running:
            each.result()

    def refreshed(self, how: str, since: int) -> None:
        """Waits for one more than there were of these."""
        while self.how[how] <= since and not any(each.done() for each in self._running):
            sleep(0.005)

    def _until_done(self, work: Callable[[], None]) -> None:
        while not self._done.is_set():
            work()

    def _refresh(self) -> None:
        self.how[self._refresher.refresh(REPORT).how] += 1
        sleep(0.05)  # SQLite gives a waiting writer no turn of its own accord


def test_a_report_follows_rebuilds_and_rollbacks_while_it_is_refreshed_and_written(
    pipe: Pipe, connect: Callable[..., Warehouse]
) -> None:
    """Each swap makes it anew, and from then on it goes by units again."""
    writer, ports = Writer(pipe), pipe.ports()
    writer.write(at_once=40)
    with Threads(writer, connect(ENTITIES)) as threads:
        for plan, of in SWAPS:
            threads.refreshed("units", since=threads.how["units"])
            whole = threads.how["whole"]
            assert run(plan(ports, of), ports).swapped
            threads.refreshed("whole", since=whole)
    pipe.consume()
    assert Refresher(reports_in(pipe.warehouse)).refresh(REPORT).how in ("units", "nothing")
    assert table(pipe.warehouse) == shown(expected(pipe))
    assert threads.how["whole"] >= 1 + len(SWAPS)
