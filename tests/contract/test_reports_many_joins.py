"""Reports of many joins: right whatever changed, and their refresh costs no power of two."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import pytest
from report_shop import open_shop
from reports_world import CATALOG, Writer, write

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh import unit_walk
from consumers.reporting.refresh.changes import Changes
from consumers.reporting.refresh.refresher import Refresher
from consumers.reporting.sqlite.dialect import SqliteDialect
from consumers.warehouse.port import Warehouse
from consumers.warehouse.tables import StagingTables
from schemas.errors import ConfigurationError

pytest_plugins = ("warehouse_engines",)


def report(body: str, *key: str) -> Report:
    return read_report("sales", f"/* headwater\nkey = {json.dumps(key)}\n*/\n{body}", CATALOG)


def chain(kind: str, joins: int) -> Report:
    """Each joined to the one before, and the last one in the key."""
    text = "".join(
        f" {kind} JOIN staging.purchase AS j{n} ON j{n}.id = {f'j{n - 1}' if n else 'o'}.product"
        for n in range(joins)
    )
    last = f"j{joins - 1}.amount"
    body = (
        f"SELECT o.id, {last} AS last, COUNT(*) AS n FROM staging.purchase AS o{text} GROUP BY o.id, {last}"
    )
    return report(body, "id", "last")


def star(kind: str, joins: int) -> Report:
    text = "".join(f" {kind} JOIN staging.customer AS j{n} ON j{n}.id = o.customer" for n in range(joins))
    last = f"j{joins - 1}.region"
    body = (
        f"SELECT o.id, {last} AS last, COUNT(*) AS n FROM staging.purchase AS o{text} GROUP BY o.id, {last}"
    )
    return report(body, "id", "last")


def ctes(kind: str, joins: int) -> Report:
    """Each CTE joins a table to the one before."""
    made = [
        "c0 AS (SELECT o.id AS id, o.customer AS x FROM staging.purchase AS o)",
        *(
            f"c{n} AS (SELECT b.id AS id, t.region AS x FROM c{n - 1} AS b "
            f"{kind} JOIN staging.customer AS t ON t.id = b.x)"
            for n in range(1, joins + 1)
        ),
    ]
    last = f"c{joins}"
    body = (
        f"WITH {', '.join(made)} SELECT a.id, a.x AS last, COUNT(*) AS n FROM {last} AS a GROUP BY a.id, a.x"
    )
    return report(body, "id", "last")


def nested(joins: int) -> Report:
    """Each left join has the next one within its right side."""
    inner = "staging.customer AS t0"
    for n in range(1, joins + 1):
        inner = (
            f"(SELECT a{n}.id AS id, b{n}.region AS region FROM staging.customer AS a{n} LEFT JOIN {inner} "
            f"ON b{n}.id = a{n}.region) AS t{n}"
        ).replace(f"AS t{n - 1}", f"AS b{n}")
    body = (
        f"SELECT o.id, t{joins}.region AS last, COUNT(*) AS n FROM staging.purchase AS o "
        f"LEFT JOIN {inner} ON t{joins}.id = o.customer GROUP BY o.id, t{joins}.region"
    )
    return report(body, "id", "last")


SHAPES: dict[str, Callable[[int], Report]] = {
    "chain": lambda joins: chain("INNER", joins),
    "left chain": lambda joins: chain("LEFT", joins),
    "star": lambda joins: star("INNER", joins),
    "left star": lambda joins: star("LEFT", joins),
    "ctes": lambda joins: ctes("INNER", joins),
    "left ctes": lambda joins: ctes("LEFT", joins),
    "nested": nested,
}


def statements(of: Report) -> int:
    """How many it takes to find the units of changes, where rows of every entity were replaced."""
    dialect = SqliteDialect(StagingTables(CATALOG.entities.values()))
    sources = dict.fromkeys(of.entities, (1, ""))
    return len(Changes(dialect, of, 1, sources).find_units(of.entities, of.entities))


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_joins_take_four_times_the_statements_at_most(shape: str) -> None:
    few, many = (statements(SHAPES[shape](joins)) for joins in (5, 10))
    assert many <= 4 * few + 10
    assert many <= 500


MIXED = {
    "both kinds": report(
        "SELECT c.region, p.family, COUNT(*) AS n FROM staging.purchase AS o "
        "LEFT JOIN staging.customer AS c ON c.id = o.customer "
        "LEFT JOIN staging.product AS p ON p.id = o.product "
        "INNER JOIN staging.purchase AS q ON q.product = o.product "
        "LEFT JOIN staging.customer AS d ON d.id = q.customer AND d.tier = c.tier "
        "WHERE d.region IS NULL OR c.region IS NOT NULL GROUP BY c.region, p.family",
        "region",
        "family",
    ),
    "by a default": report(
        "SELECT c.region, d.region AS other, COUNT(*) AS n FROM staging.purchase AS o "
        "LEFT JOIN staging.customer AS c ON c.id = o.customer "
        "LEFT JOIN staging.customer AS d ON d.id = COALESCE(c.region, 'a') GROUP BY c.region, d.region",
        "region",
        "other",
    ),
    "within": report(
        "SELECT r.region, r.family, COUNT(*) AS n FROM staging.purchase AS o LEFT JOIN (SELECT y.id AS id, "
        "y.region AS region, z.family AS family FROM staging.customer AS y LEFT JOIN staging.product AS z "
        "ON z.id = y.region INNER JOIN staging.purchase AS w ON w.customer = y.id) AS r ON r.id = o.customer "
        "AND r.family = o.product GROUP BY r.region, r.family",
        "region",
        "family",
    ),
    "exists": report(
        "SELECT c.region, COUNT(*) AS n FROM staging.purchase AS o LEFT JOIN staging.customer AS c "
        "ON c.id = o.customer WHERE NOT EXISTS (SELECT 1 FROM staging.product AS p LEFT JOIN "
        "staging.customer AS e ON e.id = p.family WHERE p.id = o.product AND e.tier = 1) GROUP BY c.region",
        "region",
    ),
}


@pytest.fixture
def shop(connect: Callable[..., Warehouse]) -> Warehouse:
    return open_shop(connect)


@pytest.mark.parametrize("most", [1, unit_walk.MAX_ARMS])
@pytest.mark.parametrize("name", [*SHAPES, *MIXED])
def test_inv3_a_report_of_many_joins_is_what_its_select_gives(
    shop: Warehouse, name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept step by step, also where a few alternatives would do without."""
    monkeypatch.setattr(unit_walk, "MAX_ARMS", most)
    of = MIXED[name] if name in MIXED else SHAPES[name](4)
    refresher, writer = Refresher(reports_in(shop)), Writer(Random(name))
    refresher.refresh(of)
    for _ in range(5):
        for _ in range(5):
            write(shop, *writer.batch())
        assert refresher.verify(of) == []


def test_left_joins_that_only_their_choices_tell_are_refused_where_they_are_many() -> None:
    """Each would cost twice as much as the one before."""
    joins = "".join(
        f" LEFT JOIN staging.purchase AS j{n} ON j{n}.id = COALESCE({f'j{n - 1}' if n else 'o'}.product, 'x')"
        for n in range(12)
    )
    body = f"SELECT o.id, j11.amount AS last FROM staging.purchase AS o{joins}"
    with pytest.raises(ConfigurationError, match=r"left joins.*full every"):
        report(body, "id", "last")


def test_more_tables_than_a_database_joins_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"tables.*full every"):
        star("INNER", 61)
