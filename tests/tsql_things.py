"""One entity with a column of each type, a few rows, and what reports make of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from consumers_world import NULL, A, entity, event, field, logical

from consumers.facts import read_fact
from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.rows import to_row
from consumers.warehouse.port import Batch, Warehouse
from schemas.catalog.entity import Catalog
from schemas.event import Operation, encode_event
from schemas.payload.codec import SchemaRegistry


def _nullable(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return field(name, [NULL, kind], default=None, **more)


THING = entity(
    "thing",
    [
        field("id", "int"),
        _nullable("day", logical("date", "int")),
        _nullable("at", logical("timestamp-micros", "long")),
        _nullable("ms", logical("local-timestamp-millis", "long")),
        _nullable("t", "string", maxLength=20),
        _nullable("price", logical("decimal", "bytes", precision=10, scale=2)),
        _nullable("n", "int"),
        _nullable("f", "double"),
        _nullable("uid", logical("uuid", "string")),
        _nullable("ok", "boolean"),
    ],
    ["id"],
)
CATALOG = Catalog({THING.name: THING}, SchemaRegistry([THING.schema]))
LOW, HIGH = UUID("ff9619ff-8b86-d011-b42d-00cf4fc964fe"), UUID("0f9619ff-8b86-d011-b42d-00cf4fc964ff")
"""By their last bytes, which SQL Server compares first."""
ROWS: list[dict[str, Any]] = [
    {
        "id": 1, "day": date(2020, 5, 1), "at": datetime(2026, 3, 1, 8, tzinfo=UTC),
        "ms": datetime.fromisoformat("2026-03-01T08:00:00.123"), "t": "a ", "price": Decimal("10.50"),
        "n": 7, "f": 1.5, "uid": HIGH, "ok": True,
    },
    {
        "id": 2, "day": date(2020, 5, 2), "at": datetime(2026, 3, 2, 8, tzinfo=UTC),
        "ms": datetime.fromisoformat("2026-03-01T08:00"), "t": "a", "price": Decimal("-3.25"),
        "n": -7, "f": 0.1, "uid": LOW, "ok": False,
    },
    {"id": 3, **dict.fromkeys(("day", "at", "ms", "t", "price", "n", "f", "uid", "ok"))},
    {
        "id": 4, "day": date(2021, 12, 31), "at": datetime(2026, 3, 2, 0, tzinfo=UTC),
        "ms": datetime.fromisoformat("2026-03-02"), "t": "B%", "price": Decimal("0.00"), "n": 0, "f": -2.5,
        "uid": HIGH, "ok": True,
    },
]  # fmt: skip


def fill(warehouse: Warehouse, rows: list[dict[str, Any]] = ROWS) -> None:
    frames = [encode_event(event(THING, each, 1, Operation.UPSERT, A)) for each in rows]
    made = [to_row(read_fact(frame, CATALOG.registry), THING) for frame in frames]
    batch = Batch({"thing": made})
    with warehouse.transaction(shared=["thing"]) as transaction:
        transaction.apply(batch)


def text(body: str) -> str:
    """Of a report's file."""
    return f'/* headwater\nkey = ["k"]\nrefresh = "full every 5 minutes"\n*/\n{body}'


def report(body: str) -> Report:
    return read_report("things", text(body), CATALOG)


def result(warehouse: Warehouse, body: str) -> list[tuple[Any, ...]]:
    """The rows of a SELECT. Raises NeedsSqlServerError."""
    engine = reports_in(warehouse)
    with engine.reading() as session:
        return session.rows(engine.dialect.to_sql(report(body).query))


def ids(warehouse: Warehouse, condition: str) -> list[int]:
    """The things for which a condition is true."""
    rows = result(warehouse, f"SELECT s.id AS k FROM staging.thing AS s WHERE {condition}")
    return sorted(number for (number,) in rows)
