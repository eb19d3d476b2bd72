"""What `verify` finds in a table that somebody else changed, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from consumers_world import A
from reports_world import CATALOG, ENTITIES, PURCHASE, row, write

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import Batch, Warehouse
from schemas.event import Operation

pytest_plugins = ("warehouse_engines",)

REPORT = read_report(
    "sales",
    '/* headwater\nkey = ["id"]\n*/\nSELECT o.id, o.product, o.price, o.day FROM staging.purchase AS o',
    CATALOG,
)
GROUPED = read_report(
    "grouped",
    '/* headwater\nkey = ["product"]\n*/\nSELECT o.product, MAX(o.customer) AS customer, COUNT(*) AS n '
    "FROM staging.purchase AS o GROUP BY o.product",
    CATALOG,
)


def buys(warehouse: Warehouse, number: int, **products: str) -> None:
    more = {"customer": None, "amount": 1, "price": Decimal("1.00"), "day": None}
    values = [{"id": each, "product": product, **more} for each, product in products.items()]
    rows = [row(PURCHASE, each, number, Operation.UPSERT, A) for each in values]
    write(warehouse, PURCHASE, Batch({"purchase": rows}))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {table} SET price = 1.01 WHERE id = 'a'",
        "UPDATE {table} SET product = 'X' WHERE id = 'a'",
        "UPDATE {table} SET product = 'x ' WHERE id = 'a'",
        "UPDATE {table} SET product = NULL WHERE id = 'a'",
        "UPDATE {table} SET day = '2024-01-01' WHERE id = 'a'",
        "UPDATE {table} SET id = 'a ' WHERE id = 'a'",
        "DELETE FROM {table} WHERE id = 'a'",
        "INSERT INTO {table} (id, product, price) VALUES ('c', 'x', 1.00)",
    ],
)
def test_a_row_that_somebody_changed_is_found(connect: Callable[..., Warehouse], change: str) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    buys(warehouse, 1, a="x", b="x")
    engine = reports_in(warehouse)
    refresher = Refresher(engine)
    assert refresher.verify(REPORT) == []
    table = engine.dialect.to_sql(engine.dialect.report("sales", 1))
    with engine.holding("sales") as holder, holder.transaction() as session:
        session.run(change.format(table=table))
    assert refresher.verify(REPORT) != []
    refresher.refresh(REPORT, whole=True)
    assert refresher.verify(REPORT) == []


def test_of_texts_that_the_server_groups_either_may_be_shown(connect: Callable[..., Warehouse]) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    refresher = Refresher(reports_in(warehouse))
    for number, products in enumerate([{"a": "x "}, {"b": "x"}, {"a": "x"}, {"b": "x "}, {"a": "x "}], 1):
        buys(warehouse, number, **products)
        assert refresher.verify(GROUPED) == []
