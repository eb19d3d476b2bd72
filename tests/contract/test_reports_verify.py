"""What `verify` finds in a table that somebody else changed, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from consumers_world import A
from reports_world import CATALOG, ENTITIES, PURCHASE, row, write

from consumers.reporting.engines import reports_in
from consumers.reporting.refresher import Refresher
from consumers.reporting.report import read_report
from consumers.warehouse.port import Batch, Warehouse
from schemas.event import Operation

pytest_plugins = ("warehouse_engines",)

REPORT = read_report(
    "sales",
    '/* headwater\nkey = ["customer"]\n*/\nSELECT o.customer, MAX(o.product) AS product, '
    "SUM(o.price) AS price, MIN(o.day) AS day FROM staging.purchase AS o GROUP BY o.customer",
    CATALOG,
)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {table} SET price = 1.01 WHERE customer = 'a'",
        "UPDATE {table} SET product = 'X' WHERE customer = 'a'",
        "UPDATE {table} SET product = 'x ' WHERE customer = 'a'",
        "UPDATE {table} SET product = NULL WHERE customer = 'a'",
        "UPDATE {table} SET day = '2024-01-01' WHERE customer = 'a'",
        "UPDATE {table} SET customer = 'a ' WHERE customer = 'a'",
        "DELETE FROM {table} WHERE customer = 'a'",
        "INSERT INTO {table} (customer, product, price) VALUES ('c', 'x', 1.00)",
    ],
)
def test_a_row_that_somebody_changed_is_found(connect: Callable[..., Warehouse], change: str) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    more = {"product": "x", "amount": 1, "price": Decimal("1.00"), "day": None}
    rows = [row(PURCHASE, {"id": each, "customer": each, **more}, 1, Operation.UPSERT, A) for each in "ab"]
    write(warehouse, PURCHASE, Batch({"purchase": rows}))
    engine = reports_in(warehouse)
    refresher = Refresher(engine)
    assert refresher.verify(REPORT) == []
    table = engine.dialect.written(engine.dialect.report("sales", 1))
    with engine.holding("sales") as holder, holder.transaction() as session:
        session.run(change.format(table=table))
    assert refresher.verify(REPORT) != []
    refresher.refresh(REPORT, whole=True)
    assert refresher.verify(REPORT) == []
