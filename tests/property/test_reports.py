"""A report is at every moment what its SELECT would give: incremental = recomputed = Python's own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mssql_server import NOT_SET, VARIABLE, emptied, url_of
from random_reports import Made, reports
from reports_world import CATALOG, ENTITIES, Database, Writer, database, write
from stopping import Stopped, stopping_at

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Warehouse
from consumers.warehouse.retry import retry_lost_transaction
from schemas.errors import ConfigurationError

pytest_plugins = ("warehouse_engines",)


def _text(value: Any) -> str:
    """Alike on every engine: money to the cent, days in ISO 8601. To T-SQL texts are one that differ in
    blanks at the end, and of a group of them any may be shown."""
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    return str(value).rstrip(" ")


class World:
    """A warehouse, one report, and who keeps it right."""

    def __init__(self, warehouse: Warehouse, made: Made) -> None:
        self.warehouse = warehouse
        self.made = made
        self.report = read_report("sales", made.text, CATALOG)
        self.refresher = Refresher(reports_in(warehouse))

    def read(self, query: str) -> list[tuple[Any, ...]]:
        with reports_in(self.warehouse).reading() as session:
            return session.rows(query)

    def shown(self, rows: Iterable[Iterable[Any]]) -> Counter[tuple[str, ...]]:
        return Counter(tuple(_text(value) for value in each) for each in rows)

    def table(self) -> Counter[tuple[str, ...]]:
        dialect = reports_in(self.warehouse).dialect
        return self.shown(self.read(f"SELECT * FROM {dialect.to_sql(dialect.view('sales'))}"))

    def settle(self) -> None:
        """With nobody else at work: right, or refused for its key."""
        if _is_unique(self.made, self.database()):
            self.refresher.refresh(self.report)
            self.check()
        else:
            with pytest.raises(ConfigurationError, match="is not unique"):
                self.refresher.refresh(self.report)

    def check(self) -> None:
        """The key is unique in all of these: else the refresh itself says so."""
        dialect = reports_in(self.warehouse).dialect
        expected = self.shown(self.made.rows(self.database()))
        assert self.shown(self.read(dialect.to_sql(self.report.query))) == expected
        assert self.table() == expected

    def database(self) -> Database:
        return database(self.warehouse)


def play(url: str, made: Made, seed: int) -> None:
    with closing(open_warehouse(url, ENTITIES)) as warehouse:
        warehouse.ensure()
        world, random = World(warehouse, made), Random(seed)
        writer = Writer(random)
        for _ in range(random.randint(2, 25)):
            # Mostly one change at a time: a second one may hide what it missed.
            for _ in range(random.choice([0, 1, 1, 1, 2, 5])):
                write(warehouse, *writer.batch())
            world.settle()


def play_in_trouble(url: str, made: Made, seed: int, last_statement: int) -> None:
    """Two writers at once, and a refresher that is killed again and again meanwhile."""
    random = Random(seed)
    with ExitStack() as opened:
        warehouse, *others = [opened.enter_context(closing(open_warehouse(url, ENTITIES))) for _ in range(3)]
        warehouse.ensure()
        world, writers = World(warehouse, made), [Writer(Random(random.random())) for _ in others]
        world.refresher.wait_seconds = 30  # the server may not have noticed yet that the last one was killed
        for _ in range(random.randint(1, 4)):
            with ThreadPoolExecutor(len(others)) as pool:
                counts = [random.randint(1, 6) for _ in others]
                writing = [
                    pool.submit(write_some, *each) for each in zip(others, writers, counts, strict=True)
                ]
                for _ in range(random.randint(1, 3)):
                    # A key that is not unique now may be so when they are done.
                    with (
                        suppress(Stopped, ConfigurationError),
                        stopping_at(warehouse, random.randint(0, last_statement)),
                    ):
                        world.refresher.refresh(world.report)
            for each in writing:
                each.result()
            world.settle()


def write_some(warehouse: Warehouse, writer: Writer, count: int) -> None:
    for _ in range(count):
        retry_lost_transaction(partial(write, warehouse, *writer.batch()))


def _is_unique(made: Made, database: Database) -> bool:
    keys = [row[: len(made.key)] for row in made.rows(database)]
    return len(set(keys)) == len(keys)


@settings(max_examples=40, deadline=None)
@given(made=reports(), seed=st.integers(0, 2**32))
def test_a_report_is_what_its_select_gives_after_every_refresh(made: Made, seed: int) -> None:
    with TemporaryDirectory() as folder:
        play(f"sqlite:///{Path(folder) / 'w.db'}", made, seed)


@settings(max_examples=20, deadline=None)
@given(made=reports(), seed=st.integers(0, 2**32))
def test_a_report_is_right_after_two_writers_and_kills_of_its_refresher(made: Made, seed: int) -> None:
    with TemporaryDirectory() as folder:
        play_in_trouble(f"sqlite:///{Path(folder) / 'w.db'}", made, seed, last_statement=80)


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=NOT_SET)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=reports(has_apply=True), seed=st.integers(0, 2**32))
def test_a_report_on_sql_server_is_what_its_select_gives(mssql_database: str, made: Made, seed: int) -> None:
    emptied(mssql_database)
    play(url_of(mssql_database), made, seed)


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=NOT_SET)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=reports(has_apply=True), seed=st.integers(0, 2**32))
def test_a_report_on_sql_server_is_right_after_two_writers_and_kills_of_its_refresher(
    mssql_database: str, made: Made, seed: int
) -> None:
    emptied(mssql_database)
    play_in_trouble(url_of(mssql_database), made, seed, last_statement=50)
