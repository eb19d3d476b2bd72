"""Ways to bring rows into SQL Server over pymssql: which are right, by type, and how fast each is.

The server is that of HEADWATER_TEST_MSSQL; without it there is nothing to measure. Each way loads the same
rows into a heap of 8 columns, of many types and of numbers alone, all in one run; the share is that of the
fastest way that is right for them. Below: the guarded apply by the engine itself, of rows that are all new,
and of rows half new and half changed.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pymssql

from benchmarks.bench_consume import ENTITY
from consumers.warehouse.columns import converted
from consumers.warehouse.mssql.load import JSON_TEXT_ROWS, json_text, loads
from consumers.warehouse.mssql.sql import listed, quoted
from consumers.warehouse.mssql.values import storage_of
from consumers.warehouse.mssql.warehouse import MssqlWarehouse, open_warehouse
from consumers.warehouse.port import Batch, Counts, Row
from consumers.warehouse.tables import StagingTable
from schemas.event import key_hash

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from babelfish import close_kept
from mssql_server import VARIABLE, bare, new_database, url_of

ROWS = 20_000
SLOW_ROWS = 3_000
APPLIED = 30_000
BATCH = 5_000

Value = Any
Load = Callable[[pymssql.Cursor, Sequence[tuple[Value, ...]]], None]

TYPES = {
    "NVARCHAR(60)": ["", " blank ", "it's", "😀 e\u0301", "x" * 60],
    "NVARCHAR(MAX)": ["", "y" * 4_001],
    "INT": [-(2**31), 2**31 - 1],
    "BIGINT": [-(2**63), 2**63 - 1],
    "BIT": [True, False],
    "FLOAT(53)": [0.1, 1 / 3, 1e308, -2.5e-300],
    "DECIMAL(38,10)": [Decimal("-9999999999999999999999999999.9999999999"), Decimal("0.0000000001")],
    "DATE": [date(1, 1, 1), date(9999, 12, 31)],
    "TIME(6)": [clock_time(23, 59, 59, 999_999)],
    "DATETIME2(6)": [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)],  # noqa: DTZ001
    "UNIQUEIDENTIFIER": [uuid.UUID(int=2**128 - 2)],
    "VARBINARY(MAX)": [b"", b"ascii", bytes(range(256))],
}
WIDE = ["NVARCHAR(60)", "INT", "NVARCHAR(60)", "DECIMAL(38,10)", "INT", "BIT", "DATE", "DATETIME2(6)"]


Figure = tuple[str, float, float, str]
"""Name, value, share of what it is measured by, unit."""


def run() -> Iterator[Figure]:
    """Shares of the fastest right way."""
    return on_a_new_warehouse(measured)


def on_a_new_warehouse(measure: Callable[[MssqlWarehouse], Iterator[Figure]]) -> Iterator[Figure]:
    """Figures from a database of their own, which is dropped whatever happens; none without a server."""
    if not os.environ.get(VARIABLE):
        print(f"   ({VARIABLE} is not set: no SQL Server to measure)")
        return
    with new_database() as name:
        warehouse = open_warehouse(url_of(name), [ENTITY])
        try:
            warehouse.ensure()
            yield from measure(warehouse)
        finally:
            warehouse.close()
            close_kept()


def measured(warehouse: MssqlWarehouse) -> Iterator[Figure]:
    """The ways, what they are wrong for, and the engine."""
    name = str(warehouse.engine.url.database)
    wrong = {way: wrong_types(name, load) for way, load in WAYS.items()}
    for shape, rows in SHAPES.items():
        rates = {way: rate(name, way, rows) for way in WAYS if not wrong[way].intersection(rows.types)}
        for way, figure in rates.items():
            yield f"{shape}: {way}", figure, figure / max(rates.values()), "rows/s"
    for way, types in wrong.items():
        print(f"   {way} is wrong for: {', '.join(sorted(types)) or 'nothing'}")
    yield from applied(warehouse)


# The ways.


def as_json(value: Value) -> object:
    match value:
        case datetime() | date() | clock_time():
            return value.isoformat()
        case Decimal() | uuid.UUID():
            return str(value)
        case bytes():
            return value.hex()
    return value


def openjson(size: int, objects: bool) -> Load:
    def load(cursor: pymssql.Cursor, rows: Sequence[tuple[Value, ...]]) -> None:
        types = column_types(cursor)
        place = (lambda n: f"$.c{n}") if objects else (lambda n: f"$[{n}]")
        shape = ", ".join(f"c{n} {kind} '{place(n)}'" for n, kind in enumerate(types))
        if "VARBINARY(MAX)" in types:  # drops the connection of the test server, and is base64 elsewhere
            raise ValueError("no binary in JSON")
        for some in cut(rows, size):
            ready: list[Any] = [list(map(as_json, row)) for row in some]
            if objects:
                ready = [{f"c{n}": value for n, value in enumerate(row)} for row in ready]
            text = json.dumps(ready, ensure_ascii=False, separators=(",", ":"))
            cursor.execute(f"INSERT INTO target SELECT * FROM OPENJSON(%s) WITH ({shape})", (text,))

    return load


def literal(value: Value) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(int(value))
        case float():
            return repr(value) if "e" in repr(value) else f"{value!r}e0"
        case int():
            return str(value)
        case bytes():
            return f"0x{value.hex()}"
    shown = (
        value if isinstance(value, str) else value.isoformat() if hasattr(value, "isoformat") else str(value)
    )
    return "N'" + shown.replace("'", "''") + "'"


def values(size: int) -> Load:
    def load(cursor: pymssql.Cursor, rows: Sequence[tuple[Value, ...]]) -> None:
        for some in cut(rows, size):
            shown = ", ".join(f"({', '.join(map(literal, row))})" for row in some)
            cursor.execute(f"INSERT INTO target VALUES {shown}")

    return load


def executemany(batch_size: int) -> Load:
    def load(cursor: pymssql.Cursor, rows: Sequence[tuple[Value, ...]]) -> None:
        places = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"INSERT INTO target VALUES ({places})", list(rows), batch_size=batch_size)

    return load


def bulk_copy(cursor: pymssql.Cursor, rows: Sequence[tuple[Value, ...]]) -> None:
    """It takes no dates: they go as text."""
    ready = [tuple(map(as_bulk, row)) for row in rows]
    cursor.connection.bulk_copy("target", ready, batch_size=5_000)


def as_bulk(value: Value) -> object:
    return value if isinstance(value, bytes) else as_json(value)


WAYS: dict[str, Load] = {
    "OPENJSON, arrays, 1,000 rows": openjson(1_000, objects=False),
    "OPENJSON, arrays, 5,000 rows": openjson(5_000, objects=False),
    "OPENJSON, objects, 5,000 rows": openjson(5_000, objects=True),
    "VALUES, 100 rows": values(100),
    "VALUES, 1,000 rows": values(1_000),
    "executemany": executemany(1),
    "executemany, 500 statements a trip": executemany(500),
    "bulk copy": bulk_copy,
}
SLOW = {"executemany", "executemany, 500 statements a trip"}


# Measuring.


def wrong_types(database: str, load: Load) -> set[str]:
    """The types of which a value does not come back as it was sent, by text where it was sent as text."""
    wrong = set()
    for kind, samples in TYPES.items():
        sent = list(enumerate([None, *samples]))
        try:
            with bare(database) as connection:
                cursor = connection.cursor()
                make_target(cursor, ["INT", kind])
                load(cursor, sent)
                cursor.execute("SELECT c0, c1 FROM target ORDER BY c0")
                right = cursor.fetchall() == sent
        except Exception:  # noqa: BLE001 - whatever it is, this way is not for this type
            right = False
        if not right:
            wrong.add(kind)
    return wrong


def rate(database: str, way: str, shape: Shape) -> float:
    rows, load = list(shape.rows(SLOW_ROWS if way in SLOW else ROWS)), WAYS[way]
    with bare(database) as connection:
        cursor = connection.cursor()
        make_target(cursor, shape.types)
        load(cursor, rows[:100])  # what is first is slow
        start = time.perf_counter()
        cursor.execute("BEGIN TRANSACTION")
        load(cursor, rows)
        cursor.execute("COMMIT TRANSACTION")
        return len(rows) / (time.perf_counter() - start)


def numbers(count: int) -> Iterator[tuple[Value, ...]]:
    for n in range(count):
        yield (n, n + 1, n * 10**9, n + 2, n + 3, n * 10**10, n + 4, n + 5)


def wide_rows(count: int) -> Iterator[tuple[Value, ...]]:
    for n in range(count):
        moment = datetime(2024, 5, 1) + timedelta(milliseconds=n)  # noqa: DTZ001
        day = date(2024, 1, 1) + timedelta(days=n % 700)
        yield (
            f"subscription-{n:08}",
            100_000 + n,
            "premium",
            Decimal(n) / 100,
            n % 500,
            n % 3 == 0,
            day,
            moment,
        )


class Shape(NamedTuple):
    """Types of 8 columns, and rows of them."""

    types: list[str]
    rows: Callable[[int], Iterator[tuple[Value, ...]]]


SHAPES = {
    "8 types": Shape(WIDE, wide_rows),
    "8 numbers": Shape(["INT", "INT", "BIGINT", "INT", "INT", "BIGINT", "INT", "INT"], numbers),
}


def make_target(cursor: pymssql.Cursor, types: Sequence[str]) -> None:
    cursor.execute("IF OBJECT_ID(N'target') IS NOT NULL DROP TABLE target")
    columns = ", ".join(f"c{n} {kind} NULL" for n, kind in enumerate(types))
    cursor.execute(f"CREATE TABLE target ({columns})")
    _types[:] = types


_types: list[str] = []


def column_types(_cursor: pymssql.Cursor) -> list[str]:
    return list(_types)


def cut(rows: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def applied(warehouse: MssqlWarehouse) -> Iterator[Figure]:
    """The engine in transactions of 5,000 rows, in turn with the bare load of the same rows, all 16 columns,
    into an empty heap."""
    spent = {"bare": 0.0, "new": 0.0, "half new, half changed": 0.0}
    for number in range(APPLIED // BATCH + 1):  # what is first is slow
        rows = [staged(n, 1) for n in range(number * BATCH * 2, number * BATCH * 2 + BATCH)]
        mixed = [
            staged(n, 2) for n in range(number * BATCH * 2 + BATCH // 2, number * BATCH * 2 + BATCH * 3 // 2)
        ]
        for words, work in (
            ("bare", lambda: bare_load(warehouse, rows)),  # noqa: B023
            ("new", lambda: apply(warehouse, rows)),  # noqa: B023
            ("half new, half changed", lambda: apply(warehouse, mixed)),  # noqa: B023
        ):
            begun = time.perf_counter()
            work()
            spent[words] += (time.perf_counter() - begun) * (number > 0)
    yield "the same rows bare, all 16 columns, into an empty heap", APPLIED / spent["bare"], 1.0, "rows/s"
    for words in ("new", "half new, half changed"):
        yield f"guarded apply, rows {words}", APPLIED / spent[words], spent["bare"] / spent[words], "rows/s"


def apply(warehouse: MssqlWarehouse, rows: Sequence[Row], revision: int = 1) -> Counts:
    with warehouse.transaction(shared=[ENTITY.name]) as transaction:
        return transaction.apply(Batch({ENTITY.name: rows}), {ENTITY.name: revision})


def bare_load(warehouse: MssqlWarehouse, rows: Sequence[Row]) -> None:
    with warehouse.engine.connect() as connection:
        for load in loads(StagingTable(ENTITY, "staging."), rows):
            statement = f"DECLARE @loaded INT; BEGIN TRANSACTION; {load.statement} DROP TABLE #rows; COMMIT"
            connection.exec_driver_sql(statement, load.parameters)


def business_load(warehouse: MssqlWarehouse, rows: Sequence[Row]) -> None:
    """The columns of the entity alone, by the same path: no key hash, no rank, nothing of ours."""
    fields = ENTITY.schema.fields
    columns = [
        converted(column, storage_of(field).write)
        for field, column in zip(fields, zip(*(row.values for row in rows), strict=True), strict=True)
    ]
    names = listed(field.name for field in fields)
    shape = ", ".join(
        f"{quoted(field.name)} {storage_of(field).sql_type} '$[{place}]'"
        for place, field in enumerate(fields)
    )
    texts = tuple(map(json_text, cut(list(zip(*columns, strict=True)), JSON_TEXT_ROWS)))
    made = [f"SELECT {names} INTO #rows", *[f"INSERT INTO #rows SELECT {names}"] * (len(texts) - 1)]
    read = "".join(f"SET @json = %s; {each} FROM OPENJSON(@json) WITH ({shape}); " for each in made)
    statement = f"DECLARE @json NVARCHAR(MAX); BEGIN TRANSACTION; {read}DROP TABLE #rows; COMMIT"
    with warehouse.engine.connect() as connection:
        connection.exec_driver_sql(statement, texts)


def staged(n: int, version: int) -> Row:
    values = next(wide_rows(1))
    key = f"subscription-{n:08}"
    return Row(
        key_hash("dynamodb:subscriptions", key),
        f"2024-05-01T10:00:00.000000-{version:040} 0001 0123456789abcdef",
        uuid.uuid4().bytes,
        False,
        "dynamodb:subscriptions",
        1_714_550_400_000_000 + n,
        1,
        (key, *values[1:7], values[7].replace(tzinfo=UTC)),
    )
