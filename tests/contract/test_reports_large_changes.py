"""A change that touches much of a report, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from consumers_world import A
from reports_world import CATALOG, CUSTOMER, ENTITIES, PURCHASE, row, write

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh import transaction as refresh
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import Batch, Warehouse
from schemas.event import Operation

pytest_plugins = ("warehouse_engines",)

REPORT = read_report(
    "sales",
    '/* headwater\nkey = ["id"]\n*/\nSELECT o.id, c.region FROM staging.purchase AS o '
    "INNER JOIN staging.customer AS c ON c.id = o.customer",
    CATALOG,
)


def lives_in(warehouse: Warehouse, region: str, number: int) -> None:
    made = row(CUSTOMER, {"id": "a", "region": region, "tier": 0}, number, Operation.UPSERT, A)
    write(warehouse, CUSTOMER, Batch({"customer": [made]}))


def buys(warehouse: Warehouse, customer: str, *purchases: int) -> None:
    more = {"customer": customer, "product": "x", "amount": 1, "price": Decimal(1), "day": None}
    rows = [row(PURCHASE, {"id": f"{n}", **more}, 1, Operation.UPSERT, A) for n in purchases]
    write(warehouse, PURCHASE, Batch({"purchase": rows}))


@pytest.mark.parametrize(("units", "how"), [(6, "whole"), (5, "units")])
def test_a_dimension_row_of_more_than_half_the_report_makes_it_anew(
    connect: Callable[..., Warehouse], monkeypatch: pytest.MonkeyPatch, units: int, how: str
) -> None:
    monkeypatch.setattr(refresh, "MIN_UNITS", 0)
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    refresher = Refresher(reports_in(warehouse))
    lives_in(warehouse, "n", 1)
    buys(warehouse, "a", *range(units))
    other = row(CUSTOMER, {"id": "b", "region": "s", "tier": 0}, 1, Operation.UPSERT, A)
    write(warehouse, CUSTOMER, Batch({"customer": [other]}))
    buys(warehouse, "b", *range(units, 10))
    refresher.refresh(REPORT)
    lives_in(warehouse, "w", 2)
    done = refresher.refresh(REPORT)
    assert (done.how, done.rows) == (how, 10)
    assert refresher.verify(REPORT) == []
    assert refresher.refresh(REPORT).how == "nothing"
