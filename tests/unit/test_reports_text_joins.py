"""Joins of text ignore blanks at the end, with and without an index, for any lengths of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import create_engine
from tsql_things import THING, fill, report, result

from consumers.reporting.definition.allowed import UNITS
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.statements import restricted_to_units
from consumers.reporting.sqlite.filters import exact, filters_lose_rows
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from schemas.errors import ConfigurationError

COLUMNS = ("day", "at", "ms", "price", "f", "uid", "ok")
ONE, OTHER = 1, 2
"""Values of `n`, by which the rows are two tables."""
Texts = Counter[str]


def _things(seed: int) -> list[dict[str, Any]]:
    """Of one side or the other few lengths occur, so that a filter of lengths is mostly empty."""
    random = Random(seed)
    blanks = {ONE: random.choice([(0,), (1,), (0, 3)]), OTHER: random.choice([(0,), (2,), (0, 1)])}
    made = []
    for number in range(400):
        side = random.choice([ONE, OTHER])
        text = "ab"[: random.randrange(3)] + "x" * (5 * random.randrange(4))
        text += " " * random.choice(blanks[side])
        nothing = random.randrange(20) == 0
        made.append({**dict.fromkeys(COLUMNS), "id": number, "n": side, "t": None if nothing else text})
    return made


def _model(rows: list[dict[str, Any]], side: int) -> Texts:
    return Counter(each["t"].rstrip(" ") for each in rows if each["n"] == side and each["t"] is not None)


def _pairs(one: Texts, other: Texts) -> int:
    return sum(count * other[text] for text, count in one.items())


def _found(one: Texts, other: Texts) -> int:
    return sum(count for text, count in one.items() if text in other)


def _missing(one: Texts, other: Texts) -> int:
    return one.total() - _found(one, other)


FROM = "FROM staging.thing AS x"
BOTH = "INNER JOIN staging.thing AS y"
JOINS: dict[str, Callable[[Texts, Texts], int]] = {
    f"{FROM} {BOTH} ON y.t = x.t WHERE x.n = 1 AND y.n = 2": _pairs,
    f"{FROM} {BOTH} ON y.t + '' = x.t WHERE x.n = 1 AND y.n = 2": _pairs,
    f"{FROM} LEFT JOIN staging.thing AS y ON y.t = x.t AND y.n = 2 "
    "WHERE x.n = 1 AND x.t IS NOT NULL AND y.id IS NULL": _missing,
    f"{FROM} INNER JOIN (SELECT DISTINCT s.t FROM staging.thing AS s WHERE s.n = 2) AS d ON d.t = x.t "
    "WHERE x.n = 1": _found,
    f"{FROM} INNER JOIN (SELECT s.t, COUNT(*) AS m FROM staging.thing AS s WHERE s.n = 2 GROUP BY s.t) AS d "
    "ON x.t = d.t WHERE x.n = 1": _found,
    f"{FROM} WHERE x.n = 1 AND EXISTS (SELECT 1 FROM staging.thing AS y WHERE y.n = 2 AND y.t = x.t)": _found,
    f"{FROM} WHERE x.n = 1 AND x.t IN (SELECT y.t FROM staging.thing AS y WHERE y.n = 2)": _found,
    f"{FROM} {BOTH} ON y.t = x.t WHERE x.n = 1 AND y.n = 2 AND y.t = 'xxxxx  '": (
        lambda one, other: one["xxxxx"] * other["xxxxx"]
    ),
}


@pytest.fixture(params=range(6))
def things(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[SqliteWarehouse, list[dict[str, Any]]]]:
    rows = _things(request.param)
    with closing(open_warehouse(f"sqlite:///{tmp_path}/w.db", [THING])) as warehouse:
        warehouse.ensure()
        fill(warehouse, rows)
        yield warehouse, rows


def test_joins_of_text_find_the_rows_that_a_model_finds(
    things: tuple[SqliteWarehouse, list[dict[str, Any]]],
) -> None:
    warehouse, rows = things
    one, other = _model(rows, ONE), _model(rows, OTHER)
    for indexed in (False, True):
        if indexed:
            _index_texts(warehouse)
        found = {join: result(warehouse, f"SELECT COUNT(*) AS k {join}") for join in JOINS}
        assert found == {join: [(expected(one, other),)] for join, expected in JOINS.items()}


def _index_texts(warehouse: Warehouse) -> None:
    with reports_in(warehouse).holding("things") as session:
        session.create_index("thing", ("t",))


def test_other_joins_still_get_automatic_indexes(
    things: tuple[SqliteWarehouse, list[dict[str, Any]]],
) -> None:
    warehouse, _ = things
    engine, join = reports_in(warehouse), f"SELECT COUNT(*) AS k {next(iter(JOINS))}"
    with engine.reading() as session:
        session.rows(engine.dialect.to_sql(report(join).query))
        assert session.rows("PRAGMA automatic_index") == [(1,)]


@pytest.mark.parametrize("blank", ["", " "])
def test_a_join_of_text_is_refused_where_statistics_bring_such_filters(blank: str) -> None:
    """Only where a text has blanks at its end."""
    if not filters_lose_rows():
        pytest.skip("this SQLite's Bloom filters know collations")
    join = "SELECT COUNT(*) FROM a JOIN b ON a.x COLLATE RTRIM = b.x WHERE b.p = 3 AND b.k > 0"
    with create_engine("sqlite://").connect() as connection:
        for table, end, rows in (("a", blank, 1000), ("b", "", 300)):
            connection.exec_driver_sql(f"CREATE TABLE {table} (k, x, p)")
            texts = [(number, "v" * (7 * (number % 100)) + end, number % 5) for number in range(rows)]
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES (?, ?, ?)", texts)
        connection.exec_driver_sql("CREATE INDEX of_text ON b (x COLLATE RTRIM)")
        connection.exec_driver_sql("ANALYZE")
        with pytest.raises(ConfigurationError, match="DROP TABLE sqlite_stat1") if blank else nullcontext():
            exact(connection, join)


def test_a_table_without_an_index_is_read_once_for_all_units() -> None:
    """Where automatic indexes are off, since texts end with blanks, the units are searched instead."""
    if not filters_lose_rows():
        pytest.skip("this SQLite's Bloom filters know collations")
    units = 'FROM "temp"."report_units" AS "units" CROSS JOIN "main"."things" AS "t"'
    statement = f'SELECT COUNT(*) {units} WHERE "t"."x" COLLATE RTRIM = "units"."x" AND "t"."n" = "units"."n"'
    with create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE things (x, n)")
        connection.exec_driver_sql('CREATE TABLE "temp"."report_units" (x, n)')
        things = [("v" * (number % 50) + " " * (number % 3), number % 2) for number in range(1_000)]
        connection.exec_driver_sql("INSERT INTO things VALUES (?, ?)", things)
        wanted = [("v" * number, 0) for number in range(0, 50, 5)]
        connection.exec_driver_sql('INSERT INTO "temp"."report_units" VALUES (?, ?)', wanted)
        for _ in range(2):  # the second time over the index of the first
            changed = exact(connection, statement)
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {changed}")]
            assert [step.split(" USING ")[0] for step in plan] == ["SCAN t", "SEARCH units"]
            expected = sum((x.rstrip(), n) in wanted for x, n in things)
            assert connection.exec_driver_sql(changed).scalar_one() == expected > 0


def test_the_statement_that_remakes_units_is_one_that_searches_them(tmp_path: Path) -> None:
    if not filters_lose_rows():
        pytest.skip("this SQLite's Bloom filters know collations")
    made = report("SELECT t.t, COUNT(*) AS k FROM staging.thing AS t GROUP BY t.t")
    with closing(open_warehouse(f"sqlite:///{tmp_path}/w.db", [THING])) as warehouse:
        warehouse.ensure()
        fill(warehouse, [{**dict.fromkeys(COLUMNS), "id": 1, "n": 1, "t": "a "}])
        dialect = reports_in(warehouse).dialect
        units = dialect.temporary(UNITS)
        statement = dialect.to_sql(restricted_to_units(made.query, ["t"], [], units))
        with warehouse.engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {units.sql('sqlite')} AS SELECT 'a' AS t")
            changed = exact(connection, statement)
            assert changed != statement
            assert [tuple(row) for row in connection.exec_driver_sql(changed)] == [("a ", 1)]
