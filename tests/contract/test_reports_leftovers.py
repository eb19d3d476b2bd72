"""Reports that fail, share a SELECT, or use names of the engine's own: nothing is left over or goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from report_shop import REGIONS, open_shop, sales, shown
from reports_world import CATALOG, Writer, write

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.freshness import ReportRevision
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import Warehouse
from schemas.errors import ConfigurationError, TransientError

pytest_plugins = ("warehouse_engines",)

ROWS = "SELECT c.region, c.id FROM staging.customer AS c"
NOT_UNIQUE = sales(f"{ROWS} UNION ALL {ROWS}")


@pytest.fixture
def shop(connect: Callable[..., Warehouse]) -> Warehouse:
    return open_shop(connect)


def some_batches(warehouse: Warehouse, seed: int, count: int = 12) -> None:
    writer = Writer(Random(seed))
    for _ in range(count):
        write(warehouse, *writer.batch())


def made_for_reports(warehouse: Warehouse) -> list[str]:
    """Names of tables and, where the engine lists them beside tables, triggers."""
    queries = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type IN ('table', 'trigger') "
        "AND (name LIKE 'reporting%' OR name LIKE 'headwater_pending%')",
        "tsql": "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_TYPE = 'BASE TABLE' "
        "AND (TABLE_SCHEMA = 'reporting' OR TABLE_NAME LIKE 'pending%')",
    }
    engine = reports_in(warehouse)
    with engine.reading() as session:
        return sorted(str(name) for (name,) in session.rows(queries[engine.dialect.sql]))


def standings(warehouse: Warehouse) -> list[ReportRevision]:
    with reports_in(warehouse).reading() as session:
        return session.registry.all()


def fails(warehouse: Warehouse, report: Report) -> None:
    with pytest.raises(ConfigurationError, match="is not unique"):
        Refresher(reports_in(warehouse)).refresh(report)


def test_a_report_that_can_not_be_built_leaves_nothing(shop: Warehouse) -> None:
    some_batches(shop, 1, 20)
    for _ in range(3):
        fails(shop, NOT_UNIQUE)
    assert made_for_reports(shop) == []
    ((name, state, problem),) = [(each.name, each.state, each.problem) for each in standings(shop)]
    assert (name, state) == ("sales", "building")
    assert problem is not None
    assert "is not unique" in problem


def test_a_changed_file_that_fails_leaves_the_table_of_before_and_no_other(shop: Warehouse) -> None:
    some_batches(shop, 1, 20)
    refresher = Refresher(reports_in(shop))
    refresher.refresh(sales(REGIONS))
    there, rows = made_for_reports(shop), shown(shop, "sales")
    for _ in range(3):
        fails(shop, NOT_UNIQUE)
    assert made_for_reports(shop) == there
    assert shown(shop, "sales") == rows
    assert refresher.refresh(sales(REGIONS)).how != "whole"
    assert [each.problem for each in standings(shop)] == [None]


def test_a_build_that_loses_its_connection_again_and_again_leaves_one_attempt(shop: Warehouse) -> None:
    """The next one drops it, also where the file has meanwhile gone back to what the table is made of."""
    some_batches(shop, 1)
    refresher = Refresher(reports_in(shop))
    refresher.refresh(sales(REGIONS))
    there = made_for_reports(shop)
    for _ in range(3):
        leave_unfinished(shop, NOT_UNIQUE)
    if reports_in(shop).dialect.sql == "tsql":  # in SQLite an attempt is one transaction
        assert len(made_for_reports(shop)) == len(there) + 2
    refresher.refresh(sales(REGIONS))
    assert len(made_for_reports(shop)) == len(there)
    assert [each.state for each in standings(shop)] == ["live"]


def leave_unfinished(warehouse: Warehouse, report: Report) -> None:
    engine = reports_in(warehouse)

    def lost(*_: object) -> None:
        raise TransientError("the connection is closed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("consumers.reporting.refresh.refresher.refresh_whole", lost)
        with pytest.raises(TransientError):
            Refresher(engine).refresh(report)


def test_two_reports_with_one_select_are_both_kept(shop: Warehouse) -> None:
    one = sales(REGIONS)
    other = read_report("twin", f'/* headwater\nkey = ["region"]\n*/\n{REGIONS}', CATALOG)
    other_key = read_report("wider", f'/* headwater\nkey = ["region", "n"]\n*/\n{REGIONS}', CATALOG)
    refresher = Refresher(reports_in(shop))  # one for all: it remembers statements
    for seed in range(4):
        some_batches(shop, seed)
        for report in (one, other, other_key):
            refresher.refresh(report)
        assert shown(shop, "sales") == shown(shop, "twin") == shown(shop, "wider")
        assert set(refresher.revisions()[1].values()) == {0}
    assert [refresher.verify(report) for report in (one, other, other_key)] == [[], [], []]


@pytest.mark.parametrize(
    "name", ["rowid", "ROWID", "oid", "rank", "units", "t", "q", "table", "select", "n0"]
)
def test_a_column_may_have_a_name_that_the_engine_uses(shop: Warehouse, name: str) -> None:
    """SQLite's number of a row goes by three names, and a column hides it under its own."""
    body = f"SELECT c.region, COUNT(*) AS [{name}] FROM staging.customer AS c GROUP BY c.region"
    keyed = f"SELECT c.region AS [{name}], COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"
    for report in (sales(body), sales(keyed, f'["{name}"]')):
        refresher = Refresher(reports_in(shop))
        refresher.refresh(report)
        for seed in range(3):
            some_batches(shop, seed, 5)
            refresher.refresh(report)
        assert refresher.verify(report) == []


@pytest.mark.parametrize("name", ["staging_customer", "reporting_sales", "sales", "report_units", "now"])
def test_a_cte_may_have_the_name_of_a_table(shop: Warehouse, name: str) -> None:
    body = (
        f"WITH [{name}] AS (SELECT c.region AS region, c.id AS id FROM staging.customer AS c) "
        f"SELECT x.region, COUNT(*) AS n FROM [{name}] AS x "
        "INNER JOIN staging.purchase AS o ON o.customer = x.id GROUP BY x.region"
    )
    refresher = Refresher(reports_in(shop))
    for seed in range(3):
        some_batches(shop, seed)
        refresher.refresh(sales(body))
    assert refresher.verify(sales(body)) == []
