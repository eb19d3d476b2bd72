"""What reports keep on every engine, beyond what random ones show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from consumers_world import A, entity, event, field
from evolutions import STEPS
from reports_world import CATALOG, CUSTOMER, ENTITIES, PURCHASE, Writer, row, write
from sqlalchemy import event as engine_event

from consumers.facts import read_fact
from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresher import Refresher
from consumers.reporting.to_sqlite import NeedsSqlServerError
from consumers.rows import to_row
from consumers.warehouse.port import Batch, Counts, Row, Warehouse
from schemas.codec import Registry
from schemas.entity import Catalog, Entity
from schemas.event import Operation, encode_event

pytest_plugins = ("warehouse_engines",)

WIDER = next(step for step in STEPS if step.rules == ("int to long",))


def thing(of: Entity, value: int, key: str, number: int) -> Row:
    made = event(of, {"id": key, "f": value, "note": None}, number)
    return to_row(read_fact(encode_event(made), Registry(list(of.versions))), of)


def report_of(of: Entity) -> Report:
    text = '/* headwater\nkey = ["f"]\n*/\nSELECT t.f, COUNT(*) AS n FROM staging.thing AS t GROUP BY t.f'
    return read_report("texts", text, Catalog({of.name: of}, Registry(list(of.versions))))


def apply(warehouse: Warehouse, row: Row) -> Counts:
    with warehouse.transaction(shared=["thing"]) as transaction:
        return transaction.apply(Batch({"thing": [row]}))


def shown(warehouse: Warehouse, report: str) -> list[tuple[object, ...]]:
    dialect = reports_in(warehouse).dialect
    with reports_in(warehouse).looking() as session:
        return sorted(session.rows(f"SELECT * FROM {dialect.written(dialect.view(report))}"), key=repr)


def test_a_column_that_is_widened_takes_wider_values_and_its_report_follows(
    connect: Callable[..., Warehouse],
) -> None:
    """What a trigger appends has the old type: it goes with the widening, and the report is made anew."""
    older, newer = WIDER.entities()
    before = connect([older])
    before.ensure()
    apply(before, thing(older, 1, "a", 1))
    Refresher(reports_in(before)).refresh(report_of(older))
    after = connect([newer])
    after.ensure()
    for number in (2, 3):  # the second change replaces a value that the old type has not
        assert apply(after, thing(newer, 2**40 + number, "a", number)) == Counts(applied=1)
    refresher = Refresher(reports_in(after))
    assert refresher.refresh(report_of(newer)).how == "whole"
    assert shown(after, "texts") == [(2**40 + 3, 1)]
    apply(after, thing(newer, 1, "b", 4))
    assert refresher.refresh(report_of(newer)).how == "units"
    assert shown(after, "texts") == [(1, 1), (2**40 + 3, 1)]


def sales(body: str, key: str = '["region"]', more: str = "") -> Report:
    return read_report("sales", f"/* headwater\nkey = {key}\n{more}\n*/\n{body}", CATALOG)


@pytest.fixture
def shop(connect: Callable[..., Warehouse]) -> Warehouse:
    made = connect(ENTITIES)
    made.ensure()
    return made


def some_batches(warehouse: Warehouse, seed: int, count: int) -> None:
    writer = Writer(Random(seed))
    for _ in range(count):
        write(warehouse, *writer.batch())


REGIONS = "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"


def test_a_cte_that_nothing_reads_is_no_source(shop: Warehouse) -> None:
    report = sales(f"WITH unused AS (SELECT p.id AS id FROM staging.product AS p) {REGIONS}")
    refresher = Refresher(reports_in(shop))
    some_batches(shop, 1, 10)
    assert refresher.refresh(report).how == "whole"
    some_batches(shop, 2, 10)
    assert refresher.refresh(report).how == "units"
    assert refresher.standings()[1] == {"sales": 0}
    assert refresher.verify(report) == []


def test_a_select_whose_cte_says_star_is_kept(shop: Warehouse) -> None:
    body = (
        "WITH c AS (SELECT a.region AS region FROM staging.customer AS a WHERE EXISTS "
        "(SELECT * FROM staging.purchase AS b WHERE b.customer = a.id)) "
        "SELECT c.region, COUNT(*) AS n FROM c GROUP BY c.region"
    )
    refresher = Refresher(reports_in(shop))
    for seed in (3, 4, 5):
        some_batches(shop, seed, 8)
        refresher.refresh(sales(body))
    assert refresher.verify(sales(body)) == []


def test_nothing_pending_makes_no_table(shop: Warehouse) -> None:
    """A report is looked at several times a second."""
    refresher = Refresher(reports_in(shop))
    refresher.refresh(sales(REGIONS))
    with recording(shop) as sent:
        assert refresher.refresh(sales(REGIONS)).how == "nothing"
    assert [each for each in sent if "INTO" in each or "CREATE" in each or "DROP" in each] == []


@contextmanager
def recording(warehouse: Any) -> Iterator[list[str]]:
    sent: list[str] = []

    def record(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine_event.listen(warehouse.engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        engine_event.remove(warehouse.engine, "before_cursor_execute", record)


def test_apply_is_followed_or_needs_sql_server(shop: Warehouse) -> None:
    body = (
        "SELECT c.id, c.region, best.amount, best.spent FROM staging.customer AS c OUTER APPLY ("
        "SELECT MAX(o.amount) AS amount, SUM(o.price) AS spent FROM staging.purchase AS o "
        "WHERE o.customer = c.id) AS best"
    )
    report, refresher = sales(body, '["id"]'), Refresher(reports_in(shop))
    if reports_in(shop).dialect.sql == "sqlite":
        with pytest.raises(NeedsSqlServerError):
            refresher.refresh(report)
        (standing,) = refresher.standings()[0]
        assert "needs SQL Server" in str(standing.problem)
        return
    for seed in range(6, 16):
        some_batches(shop, seed, 2)
        refresher.refresh(report)
        assert refresher.verify(report) == []


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("o.price = 1.5", 1),
        ("o.price > 1", 2),
        ("o.price IN (1.5, 3)", 1),
        ("ABS(o.price) = 1.5", 1),
        ("-o.price < -1.4", 2),
        ("NULLIF(o.price, 1.50) IS NULL", 1),
        ("CASE o.price WHEN 1.5 THEN 1 ELSE 0 END = 1", 1),
        ("o.price % 1 = 0.5", 1),
        ("o.price = CAST(1.5 AS DECIMAL(12, 4))", 1),
        ("o.price BETWEEN 1 AND 2", 1),
    ],
)
def test_money_is_compared_as_numbers_or_the_report_needs_sql_server(
    shop: Warehouse, condition: str, found: int
) -> None:
    """SQLite keeps it as text."""
    for number, price in enumerate(("1.50", "10.00", "0.99")):
        values = {"id": f"{number}", "customer": "a", "product": "x", "amount": 1, "day": None}
        made = row(PURCHASE, {**values, "price": Decimal(price)}, 1, Operation.UPSERT, A)
        write(shop, PURCHASE, Batch({"purchase": [made]}))
    body = (
        f"SELECT o.customer, COUNT(*) AS n FROM staging.purchase AS o WHERE {condition} GROUP BY o.customer"
    )
    try:
        Refresher(reports_in(shop)).refresh(sales(body, '["customer"]'))
    except NeedsSqlServerError:
        assert reports_in(shop).dialect.sql == "sqlite"
    else:
        assert shown(shop, "sales") == [("a", found)]


OWN = "staging.purchase AS o WHERE o.customer = c.id"
OF = "staging.customer AS c WHERE c.id = o.customer"
LISTED = "SELECT o.id, o._source AS src FROM staging.purchase AS o WHERE o.amount IN"
APPLIED = "SELECT c.id, c._source AS src, b.n FROM staging.customer AS c CROSS APPLY"


@pytest.mark.parametrize(
    "body",
    [
        f"{LISTED} (CASE WHEN EXISTS (SELECT c.tier FROM {OF}) THEN 1 ELSE 2 END)",
        f"{LISTED} ((SELECT TOP 1 c.tier FROM {OF} ORDER BY c.tier) + 1, 3)",
        f"{LISTED} (SELECT TOP 1 x.amount FROM staging.purchase AS x WHERE x.customer = o.customer "
        "ORDER BY x.product, x.id, x._source)",
        f"{APPLIED} (SELECT COUNT(*) AS n FROM {OWN}) AS b",
        f"{APPLIED} (SELECT d.n + 1 AS n FROM (SELECT VAR(o.amount) AS n FROM {OWN}) AS d) AS b",
    ],
    ids=["a query within IN's list", "a value of it", "TOP in IN", "CROSS APPLY of a count", "of a variance"],
)
def test_rows_that_hang_on_what_is_not_there_are_followed(shop: Warehouse, body: str) -> None:
    """Where these were followed by a value that a row had to have, or by rows that had to be there."""
    report, refresher = sales(body, '["id", "src"]'), Refresher(reports_in(shop))
    writer = Writer(Random(5))
    for _ in range(40):
        write(shop, *writer.batch())
        try:
            refresher.refresh(report)
        except NeedsSqlServerError:
            assert reports_in(shop).dialect.sql == "sqlite"
            return
        assert refresher.verify(report) == []


def test_two_rows_that_stood_together_and_both_go_take_their_unit_with_them(shop: Warehouse) -> None:
    """Neither leads to it by the other as it is."""
    values = {"id": "1", "customer": "a", "product": "x", "amount": 1, "price": Decimal(1), "day": None}
    there: list[tuple[Entity, dict[str, Any]]] = [
        (CUSTOMER, {"id": "a", "region": "n", "tier": 1}),
        (PURCHASE, values),
    ]
    body = (
        "SELECT c.region, o.product, COUNT(*) AS n FROM staging.customer AS c INNER JOIN "
        "staging.purchase AS o ON o.customer = c.id GROUP BY c.region, o.product"
    )
    report, refresher = sales(body, '["region", "product"]'), Refresher(reports_in(shop))
    for number, operation, rows in ((1, Operation.UPSERT, 1), (2, Operation.DELETE, 0)):
        for of, given in there:
            write(shop, of, Batch({of.name: [row(of, given, number, operation, A)]}))
        refresher.refresh(report)
        assert len(shown(shop, "sales")) == rows


WORTH = ["'here'", "COALESCE(c.region, 'none')", "CASE WHEN c.tier = 1 THEN 2 ELSE 3 END"]


@pytest.mark.parametrize("given", WORTH)
def test_what_a_left_join_does_not_find_is_null_whatever_its_select_says(shop: Warehouse, given: str) -> None:
    body = (
        f"SELECT q.g, o.product, COUNT(*) AS n FROM staging.purchase AS o LEFT JOIN (SELECT c.id AS id, "
        f"{given} AS g FROM staging.customer AS c) AS q ON q.id = o.customer GROUP BY q.g, o.product"
    )
    report, refresher = sales(body, '["g", "product"]'), Refresher(reports_in(shop))
    writer = Writer(Random(8))
    for _ in range(15):
        write(shop, *writer.batch())
        refresher.refresh(report)
        assert refresher.verify(report) == []


RESERVED = entity("group", [field("id", "string"), field("order", "string"), field("select", "int")], ["id"])


def test_names_that_are_words_of_sql_are_names(connect: Callable[..., Warehouse]) -> None:
    warehouse, catalog = connect([RESERVED]), Catalog({"group": RESERVED}, Registry([RESERVED.schema]))
    warehouse.ensure()
    body = (
        "SELECT g.[order], SUM(g.[select]) AS [select] FROM staging.[group] AS g LEFT JOIN staging.[group] "
        "AS h ON h.[order] = g.[order] AND h.[select] > g.[select] WHERE h.id IS NULL GROUP BY g.[order]"
    )
    report = read_report("having", f'/* headwater\nkey = ["order"]\n*/\n{body}', catalog)
    refresher = Refresher(reports_in(warehouse))
    for number, order in enumerate(("a", "b", "a"), 1):
        made = event(RESERVED, {"id": f"{number}", "order": order, "select": number}, number)
        kept = to_row(read_fact(encode_event(made), catalog.registry), RESERVED)
        with warehouse.transaction(shared=["group"]) as transaction:
            transaction.apply(Batch({"group": [kept]}))
        refresher.refresh(report)
    assert shown(warehouse, "having") == [("a", 3), ("b", 2)]


FORMS = (None, "", " ", "n", "N", "n ", "\u00f1")
"""Seven, a prime: steps of 1, of 2 ... of 6 from one to the next go through every pair, and end where they
began."""


def test_texts_that_look_alike_are_groups_of_their_own_and_a_key_goes_from_one_to_the_other(
    shop: Warehouse,
) -> None:
    """NULL, empty, another case, an accent, a space at the end; SQL Server's own `=` overlooks that space."""
    refresher, reports = Refresher(reports_in(shop)), [sales(REGIONS), BY_REGION]
    standing = {"0": "", "1": "n"}
    write_regions(shop, 1, standing)
    walk = [place * step % len(FORMS) for step in range(1, len(FORMS)) for place in range(len(FORMS))]
    for number, place in enumerate(walk, 2):
        write_regions(shop, number, {"2": FORMS[place]})
        expected = Counter(alike(shop, each) for each in (*standing.values(), FORMS[place]))
        for report in reports:
            assert refresher.refresh(report).how == ("whole" if number == 2 else "units")
            rows = shown(shop, report.name)
            assert Counter({alike(shop, region): count for region, count in rows}) == expected
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


def alike(shop: Warehouse, text: Any) -> Any:
    """What the engine itself takes for one text."""
    is_sqlite = reports_in(shop).dialect.sql == "sqlite"
    return text if text is None or is_sqlite else text.rstrip(" ")


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
