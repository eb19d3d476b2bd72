"""A warehouse of customers, purchases and products, reports over it, and what readers see of them."""

from __future__ import annotations

from collections.abc import Callable

from reports_world import CATALOG, ENTITIES

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.warehouse.port import Warehouse

SALES = """/* headwater
key = ["region", "product"]
*/
SELECT c.region, o.product, COUNT(*) AS purchases, SUM(o.price) AS price
FROM staging.purchase AS o LEFT JOIN staging.customer AS c ON c.id = o.customer
GROUP BY c.region, o.product
"""
"""A join whose groups meet, with sums of money."""
REGIONS = "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"


def open_shop(connect: Callable[..., Warehouse]) -> Warehouse:
    made = connect(ENTITIES)
    made.ensure()
    return made


def sales(body: str, key: str = '["region"]', more: str = "") -> Report:
    return read_report("sales", f"/* headwater\nkey = {key}\n{more}\n*/\n{body}", CATALOG)


def shown(warehouse: Warehouse, report: str) -> list[tuple[object, ...]]:
    dialect = reports_in(warehouse).dialect
    with reports_in(warehouse).reading() as session:
        return sorted(session.rows(f"SELECT * FROM {dialect.to_sql(dialect.view(report))}"), key=repr)
