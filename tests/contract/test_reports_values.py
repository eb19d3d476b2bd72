"""What reports make of values that look alike, of money, days and moments, on every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from consumers_world import A
from report_shop import REGIONS, open_shop, sales, shown
from reports_world import CATALOG, CUSTOMER, PURCHASE, row, write

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import Batch, Warehouse
from schemas.event import Operation

pytest_plugins = ("warehouse_engines",)


@pytest.fixture
def shop(connect: Callable[..., Warehouse]) -> Warehouse:
    return open_shop(connect)


FORMS = (None, "", " ", "n", "N", "n ", "\u00f1")
"""Seven, a prime: steps of 1, of 2 ... of 6 from one to the next go through every pair, and end where they
began."""


def test_texts_that_look_alike_are_groups_of_their_own_and_a_key_goes_from_one_to_the_other(
    shop: Warehouse,
) -> None:
    """NULL, empty, another case, an accent, a blank at the end, which T-SQL's `=` ignores."""
    refresher, reports = Refresher(reports_in(shop)), [sales(REGIONS), BY_REGION]
    standing = {"0": "", "1": "n"}
    write_regions(shop, 1, standing)
    walk = [place * step % len(FORMS) for step in range(1, len(FORMS)) for place in range(len(FORMS))]
    for number, place in enumerate(walk, 2):
        write_regions(shop, number, {"2": FORMS[place]})
        expected = Counter(alike(each) for each in (*standing.values(), FORMS[place]))
        for report in reports:
            assert refresher.refresh(report).how == ("whole" if number == 2 else "units")
            rows = shown(shop, report.name)
            assert Counter({alike(region): count for region, count in rows}) == expected
            assert len(rows) == len(expected)
    assert [refresher.verify(report) for report in reports] == [[], []]


BY_REGION = read_report(
    "by_region",
    '/* headwater\nkey = ["region"]\n*/\n'
    "SELECT c.region, COUNT(*) AS n FROM staging.purchase AS o "
    "INNER JOIN staging.customer AS c ON c.id = o.customer GROUP BY c.region",
    CATALOG,
)


def write_regions(warehouse: Warehouse, number: int, regions: Mapping[str, str | None]) -> None:
    """Each customer's region now; each has one purchase."""
    made = [
        row(CUSTOMER, {"id": id_, "region": region, "tier": 1}, number, Operation.UPSERT, A)
        for id_, region in regions.items()
    ]
    write(warehouse, CUSTOMER, Batch({"customer": made}))
    if number <= 2:
        write_prices(warehouse, number, {id_: (id_, "1.00") for id_ in regions})


def alike(text: Any) -> Any:
    """What T-SQL takes for one text."""
    return text if text is None else text.rstrip(" ")


def write_prices(warehouse: Warehouse, number: int, prices: Mapping[str, tuple[str, str]]) -> None:
    """Customer and price of purchases, by id."""
    made = [
        row(
            PURCHASE,
            {"id": id_, "customer": who, "product": "x", "amount": 1, "price": Decimal(price), "day": None},
            number,
            Operation.UPSERT,
            A,
        )
        for id_, (who, price) in prices.items()
    ]
    write(warehouse, PURCHASE, Batch({"purchase": made}))


def test_sums_of_money_are_exact_to_the_cent(shop: Warehouse) -> None:
    """Of fourteen digits, of many small ones, of debts, and of those that cancel each other."""
    body = (
        "SELECT o.customer, SUM(o.price) AS total, MIN(o.price) AS least, MAX(o.price) AS most "
        "FROM staging.purchase AS o GROUP BY o.customer"
    )
    report, refresher = sales(body, '["customer"]'), Refresher(reports_in(shop))
    prices = {
        **{f"large {n}": ("large", "9999999999.99") for n in range(1_001)},
        **{f"small {n}": ("small", ("0.01", "0.10", "0.20", "0.07")[n % 4]) for n in range(1_003)},
        **{f"debt {n}": ("debt", ("-9999999999.99", "0.01", "-0.02")[n % 3]) for n in range(100)},
        **{f"even {n}": ("even", ("0.10", "0.20", "-0.30")[n % 3]) for n in range(300)},
    }
    write_prices(shop, 1, prices)
    refresher.refresh(report)
    for number, changed in enumerate((one_cent_more(prices), {"large 0": ("even", "9999999999.98")}), 2):
        check_sums(shop, prices)
        write_prices(shop, number, changed)
        prices.update(changed)
        assert refresher.refresh(report).how == "units"
    check_sums(shop, prices)
    assert refresher.verify(report) == []


def one_cent_more(prices: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """For one purchase of each customer but the one whose prices are as great as may be."""
    return {
        f"{who} 1": (who, str(Decimal(prices[f"{who} 1"][1]) + Decimal("0.01")))
        for who in ("small", "debt", "even")
    }


def check_sums(warehouse: Warehouse, prices: Mapping[str, tuple[str, str]]) -> None:
    by_customer: dict[str, list[Decimal]] = {}
    for who, price in prices.values():
        by_customer.setdefault(who, []).append(Decimal(price))
    found = [(who, *map(Decimal, amounts)) for who, *amounts in shown(warehouse, "sales")]  # type: ignore[arg-type]
    assert found == sorted((who, sum(each), min(each), max(each)) for who, each in by_customer.items())


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("YEAR(o.day)", 2024),
        ("MONTH(o.day) * 100 + DAY(o.day)", 229),
        ("YEAR(DATEADD(YEAR, 1, o.day)) * 100 + DAY(DATEADD(YEAR, 1, o.day))", 202528),
        ("DAY(DATEADD(MONTH, 1, o.day))", 29),
        ("DAY(DATEADD(DAY, 1, o.day))", 1),
        ("DAY(EOMONTH(o.day, 0))", 29),
        ("DATEDIFF(DAY, o.day, CAST('2024-03-01' AS DATE))", 1),
        ("DATEDIFF(MONTH, o.day, CAST('2025-03-01' AS DATE))", 13),
        ("DATEDIFF(YEAR, o.day, CAST('2025-01-01' AS DATE))", 1),
        ("DATEDIFF(HOUR, o.day, CAST('2024-03-01T01:00:00' AS DATETIME2(3)))", 25),
        ("DATEDIFF(HOUR, CAST('2024-02-29T23:59:59' AS DATETIME2(3)), o.day)", -23),
        (
            "DATEDIFF(MINUTE, CAST('2024-02-29T23:59:59.999' AS DATETIME2(3)), "
            "CAST('2024-03-01T00:00:00' AS DATETIME2(3)))",
            1,
        ),
        (
            "DATEDIFF(SECOND, CAST('2024-02-29T23:59:58.999' AS DATETIME2(3)), "
            "CAST('2024-03-01T00:00:00' AS DATETIME2(3)))",
            2,
        ),
    ],
)
def test_days_and_moments_are_reckoned_alike_on_every_engine(
    shop: Warehouse, expression: str, found: int
) -> None:
    """DATEDIFF counts the ends of days or hours that lie between, not whole days or hours."""
    values = {"id": "1", "customer": "a", "product": "x", "amount": 1, "price": Decimal(1)}
    made = row(PURCHASE, {**values, "day": date(2024, 2, 29)}, 1, Operation.UPSERT, A)
    write(shop, PURCHASE, Batch({"purchase": [made]}))
    report = sales(f"SELECT o.id, {expression} AS n FROM staging.purchase AS o", '["id"]')
    Refresher(reports_in(shop)).refresh(report)
    assert shown(shop, "sales") == [("1", found)]
