"""Reports: a refresh as staging grows, beside the same groups by a plain SELECT, and what pending rows cost.

Purchases of customers, ten for each, and a report of each customer's purchases beside her region: two tables,
four aggregates. A purchase each of 1,000 customers changes, or of more, and the report is refreshed. SQLite
always; SQL Server where HEADWATER_TEST_MSSQL names one. HEADWATER_BENCH_ROWS is the size of the largest table
(default 100000). The tables have the indexes that the report asks for. Shares: of the smallest table's
refresh; of the plain SELECT into a heap; of the apply without a report.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from hashlib import md5
from pathlib import Path
from statistics import median

from benchmarks.bench_mssql_load import VARIABLE, Figure, close_kept, new_database, url_of
from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Batch, Row, Warehouse
from schemas.catalog.entity import Catalog, Entity
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.sources.dynamodb import DynamoDbSource

SIZES = [10**4, 10**5, 10**6, 10**7]
LARGEST = "HEADWATER_BENCH_ROWS"
FEW, MANY = 1_000, 10_000
"""Groups that change."""
BATCH = 5_000
ROUNDS = 7


def _entity(name: str, *fields: tuple[str, object]) -> Entity:
    record = {
        "type": "record",
        "name": name.title(),
        "fields": [{"name": field, "type": kind} for field, kind in fields],
    }
    schema = make_schema(name, 1, ["id"], record)
    return Entity(name, ("id",), (DynamoDbSource(f"dynamodb:{name}", name),), schema)


CUSTOMER = _entity("customer", ("id", "long"), ("region", "int"))
PURCHASE = _entity("purchase", ("id", "long"), ("customer", "long"), ("amount", "int"), ("pages", "long"))
CATALOG = Catalog(
    {each.name: each for each in (CUSTOMER, PURCHASE)}, SchemaRegistry([CUSTOMER.schema, PURCHASE.schema])
)
SELECT = """SELECT o.customer, c.region, COUNT(*) AS purchases, SUM(o.amount) AS amount, MAX(o.pages) AS most,
SUM(o.pages) AS pages FROM staging.purchase AS o INNER JOIN staging.customer AS c ON c.id = o.customer
GROUP BY o.customer, c.region"""
REPORT = read_report("per_customer", f'/* headwater\nkey = ["customer"]\n*/\n{SELECT}', CATALOG)


def run() -> Iterator[Figure]:
    """SQLite's figures, then SQL Server's where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _figures("SQLite", f"sqlite:///{Path(folder) / 'w.db'}")
    if os.environ.get(VARIABLE):
        with new_database() as name:
            try:
                yield from _figures("SQL Server", url_of(name))
            finally:
                close_kept()


def _figures(engine: str, url: str) -> Iterator[Figure]:
    warehouse = open_warehouse(url, [CUSTOMER, PURCHASE])
    warehouse.ensure()
    yield from _applying(engine, warehouse)
    smallest = 0.0
    filled = 2 * BATCH  # what _applying left
    for size in [each for each in SIZES if each <= int(os.environ.get(LARGEST, "100000"))]:
        _fill(warehouse, filled, size)
        filled = max(filled, size)
        smallest = yield from _of_size(engine, warehouse, size, smallest)
    warehouse.close()


def _of_size(engine: str, warehouse: Warehouse, size: int, smallest: float) -> Generator[Figure, None, float]:
    """Gives the seconds of the smallest table's refresh."""
    refresher = Refresher(reports_in(warehouse))
    refresher.refresh(REPORT)
    _count(warehouse)
    for changed in (FEW, *(each for each in (min(MANY, size // 20),) if each > FEW)):
        seconds, plain = _refreshing(refresher, warehouse, size, changed)
        smallest = smallest or seconds
        name = f"{engine}: refresh of {changed:,} groups, {size:,} purchases"
        yield name, seconds * 1_000, seconds / smallest, "ms"
        beside = "  groups/s, beside a plain SELECT of them into a heap"
        yield beside, changed / seconds, plain / seconds, "groups/s"
    begun = time.perf_counter()
    refresher.refresh(REPORT, whole=True)
    whole = time.perf_counter() - begun
    yield "  the whole table anew", whole * 1_000, whole / seconds, "ms"
    return smallest


def _applying(engine: str, warehouse: Warehouse) -> Iterator[Figure]:
    """Batches of half new and half changed rows, without a report and with one."""
    refresher, dice = Refresher(reports_in(warehouse)), random.Random(1)
    _fill(warehouse, 0, 2 * BATCH)
    refresher.create_indexes(REPORT)
    taken = {}
    for kept in (False, True):
        if kept:
            refresher.refresh(REPORT)
        seconds = []
        for number in range(ROUNDS):
            version = 2 + number + (ROUNDS if kept else 0)
            rows = [_purchase(dice.randrange(2 * BATCH), version) for _ in range(BATCH)]
            seconds.append(_timed(warehouse, PURCHASE, list({row.key_hash: row for row in rows}.values())))
        taken[kept] = median(seconds)
    without = BATCH / taken[False]
    yield (
        f"{engine}: rows/s applied while a report is kept",
        BATCH / taken[True],
        taken[False] / taken[True],
        "rows/s",
    )
    yield "  without a report", without, 1.0, "rows/s"
    refresher.refresh(REPORT)


def _refreshing(refresher: Refresher, warehouse: Warehouse, size: int, changed: int) -> tuple[float, float]:
    """Median seconds of a refresh, and of a plain SELECT of as many groups."""
    dice, refreshes, plains = random.Random(size), [], []
    for number in range(ROUNDS):
        groups = dice.sample(range(size // 10), changed)
        rows = [_purchase(group * 10, size + changed + number) for group in groups]
        for start in range(0, changed, BATCH):
            _apply(warehouse, PURCHASE, rows[start : start + BATCH])
        begun = time.perf_counter()
        done = refresher.refresh(REPORT)
        refreshes.append(time.perf_counter() - begun)
        if (done.how, done.units) != ("units", changed):
            raise AssertionError(f"not those groups: {done}")
        plains.append(_plain(warehouse, groups))
    return median(refreshes), median(plains)


def _plain(warehouse: Warehouse, groups: Sequence[int]) -> float:
    """Seconds of the same SELECT of these groups into a table without an index."""
    dialect = reports_in(warehouse).dialect
    is_server = dialect.sql == "tsql"
    wanted, heap = ("#wanted", "#heap") if is_server else ("temp.wanted", "temp.heap")
    text = dialect.to_sql(REPORT.query)
    head, _, tail = text.partition(" GROUP BY ")
    customer = "[o].[customer]" if is_server else "o.customer"
    joined = f"{head} INNER JOIN {wanted} AS w ON w.id = {customer} GROUP BY {tail}"
    with warehouse.engine.connect() as connection:  # type: ignore[attr-defined]
        run = connection.exec_driver_sql
        run(f"CREATE TABLE {wanted} (id BIGINT)")
        for start in range(0, len(groups), 500):
            run(
                f"INSERT INTO {wanted} VALUES "
                + ", ".join(f"({each})" for each in groups[start : start + 500])
            )
        begun = time.perf_counter()
        if is_server:
            run(joined.replace(" FROM ", f" INTO {heap} FROM ", 1))
        else:
            run(f"CREATE TABLE {heap} AS {joined}")
        seconds = time.perf_counter() - begun
        run(f"DROP TABLE {wanted}")
        run(f"DROP TABLE {heap}")
    return seconds


def _fill(warehouse: Warehouse, start: int, end: int) -> None:
    for first in range(start, end, BATCH):
        _apply(warehouse, PURCHASE, [_purchase(n, 1) for n in range(first, first + BATCH)])
        _apply(warehouse, CUSTOMER, [_customer(n) for n in range(first // 10, (first + BATCH) // 10)])


def _count(warehouse: Warehouse) -> None:
    """What the planner knows of tables: SQL Server sees by itself that one has grown."""
    with warehouse.engine.connect() as connection:  # type: ignore[attr-defined]
        is_server = reports_in(warehouse).dialect.sql == "tsql"
        connection.exec_driver_sql("EXEC sp_updatestats" if is_server else "ANALYZE")


def _apply(warehouse: Warehouse, of: Entity, rows: Sequence[Row]) -> None:
    with warehouse.transaction(shared=[of.name]) as transaction:
        transaction.apply(Batch({of.name: rows}))


def _timed(warehouse: Warehouse, of: Entity, rows: Sequence[Row]) -> float:
    begun = time.perf_counter()
    _apply(warehouse, of, rows)
    return time.perf_counter() - begun


def _purchase(number: int, version: int) -> Row:
    return _row("purchase", number, version, (number, number // 10, version, number % 97 + version))


def _customer(number: int) -> Row:
    return _row("customer", number, 1, (number, number % 50))


def _row(name: str, number: int, version: int, values: tuple[object, ...]) -> Row:
    key_hash = md5(f"{name}{number}".encode(), usedforsecurity=False).digest()
    return Row(
        key_hash,
        f"2026-{version:09d} 0001",
        key_hash,
        False,
        f"dynamodb:{name}",
        1_767_225_600_000_000,
        1,
        values,
    )
