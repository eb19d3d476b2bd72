"""Random reports over the same rows have the same table on SQLite and on SQL Server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
import random_tsql
import tsql_things
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_reports import KeptReports, Table
from mssql_server import WHERE_SET, emptied, url_of
from random_reports import Made, reports
from replay_world import quick_folder
from reports_world import CATALOG, ENTITIES, Writer, write
from tsql_things import THING, fill

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.reporting.sqlite.translation import NeedsSqlServerError
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Warehouse
from schemas.errors import ConfigurationError

pytest_plugins = ("warehouse_engines",)

Both: TypeAlias = tuple[Warehouse, Warehouse]
"""SQLite, SQL Server."""


@pytest.fixture(scope="module", params=[WHERE_SET])
def things(mssql_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both with the same rows."""
    emptied(mssql_database)
    made = random_tsql.rows(Random(1), 16)
    with ExitStack() as stack:
        sqlite, mssql = (
            stack.enter_context(closing(open_warehouse(url, [THING])))
            for url in (f"sqlite:///{tmp_path_factory.mktemp('things') / 'w.db'}", url_of(mssql_database))
        )
        for warehouse in (sqlite, mssql):
            warehouse.ensure()
            fill(warehouse, made)
        yield sqlite, mssql


def table(warehouse: Warehouse, body: str, kinds: Sequence[str]) -> Counter[tuple[str | None, ...]] | None:
    """What the report's table holds; None where it can't be made, on SQL Server either."""
    report = read_report("things", tsql_things.text(body), tsql_things.CATALOG)
    engine = reports_in(warehouse)
    try:
        Refresher(engine).refresh(report, whole=True)
    except NeedsSqlServerError:
        pytest.skip("SQLite refuses it")
    except ConfigurationError:
        return None
    with engine.reading() as session:
        rows = session.rows(f"SELECT * FROM {engine.dialect.to_sql(engine.dialect.view('things'))}")
    return Counter(
        tuple(None if value is None else _SHOWN[kind](value) for kind, value in zip(kinds, row, strict=True))
        for row in rows
    )


def _moment(value: Any) -> str:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.replace(tzinfo=None).isoformat()


_SHOWN: dict[str, Callable[[Any], str]] = {
    # Of a group of texts that differ in blanks at the end any may be shown.
    "text": lambda value: str(value).rstrip(" "),
    "int": str,
    "decimal": lambda value: f"{Decimal(str(value)):.6f}",
    "float": lambda value: f"{float(value):.10g}",
    "date": lambda value: str(value)[:10],
    "moment": _moment,
    "uuid": lambda value: str(value).lower(),
    "bit": lambda value: str(int(value)),
}


@pytest.mark.parametrize("seed", range(24))
def test_a_random_select_makes_the_same_table_on_sqlite_and_on_sql_server(things: Both, seed: int) -> None:
    body, kinds = random_tsql.query(Random(seed))
    sqlite, mssql = (table(warehouse, body, kinds) for warehouse in things)
    assert sqlite == mssql, body


@pytest.mark.parametrize("warehouse_url", [WHERE_SET], indirect=True)
@settings(max_examples=6, deadline=None)
@given(made=reports(), seed=st.integers(0, 2**32))
def test_a_random_report_has_the_same_table_on_both_after_every_refresh(
    warehouse_url: str, mssql_database: str, made: Made, seed: int
) -> None:
    emptied(mssql_database)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(quick_folder()))
        both = [
            stack.enter_context(closing(open_warehouse(url, ENTITIES)))
            for url in (f"sqlite:///{folder / 'w.db'}", warehouse_url)
        ]
        for each in both:
            each.ensure()
        kept = [KeptReports(each, CATALOG, {"sales": made.text}) for each in both]
        writer = Writer(Random(seed))
        for _ in range(6):
            batches = [writer.batch() for _ in range(3)]
            for each in both:
                for batch in batches:
                    write(each, *batch)
            sqlite, mssql = map(_refreshed, kept)
            assert sqlite == mssql


def _refreshed(kept: KeptReports) -> Table | None:
    """None where the key is not unique now."""
    try:
        kept.refresh()
    except ConfigurationError:
        return None
    return Counter(
        {tuple(value.rstrip(" ") for value in row): count for row, count in kept.table("sales").items()}
    )
