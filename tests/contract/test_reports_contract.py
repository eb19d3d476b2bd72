"""What reports keep on every engine, beyond what random ones show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from consumers_world import A, entity, event, field
from evolutions import STEPS
from report_shop import REGIONS, open_shop, sales, shown
from reports_world import CUSTOMER, PURCHASE, Writer, row, write
from sqlalchemy import event as engine_event

from consumers.facts import read_fact
from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.reporting.sqlite.translation import NeedsSqlServerError
from consumers.rows import to_row
from consumers.warehouse.port import Batch, Counts, Row, Warehouse
from schemas.catalog.entity import Catalog, Entity
from schemas.event import Operation, encode_event
from schemas.payload.codec import SchemaRegistry

pytest_plugins = ("warehouse_engines",)


@pytest.fixture
def shop(connect: Callable[..., Warehouse]) -> Warehouse:
    return open_shop(connect)


WIDER = next(step for step in STEPS if step.rules == ("int to long",))


def thing(of: Entity, value: int, key: str, number: int) -> Row:
    made = event(of, {"id": key, "f": value, "note": None}, number)
    return to_row(read_fact(encode_event(made), SchemaRegistry(list(of.versions))), of)


def report_of(of: Entity) -> Report:
    text = '/* headwater\nkey = ["f"]\n*/\nSELECT t.f, COUNT(*) AS n FROM staging.thing AS t GROUP BY t.f'
    return read_report("texts", text, Catalog({of.name: of}, SchemaRegistry(list(of.versions))))


def apply(warehouse: Warehouse, row: Row) -> Counts:
    with warehouse.transaction(shared=["thing"]) as transaction:
        return transaction.apply(Batch({"thing": [row]}))


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


def some_batches(warehouse: Warehouse, seed: int, count: int) -> None:
    writer = Writer(Random(seed))
    for _ in range(count):
        write(warehouse, *writer.batch())


def test_a_cte_that_nothing_reads_is_no_source(shop: Warehouse) -> None:
    report = sales(f"WITH unused AS (SELECT p.id AS id FROM staging.product AS p) {REGIONS}")
    refresher = Refresher(reports_in(shop))
    some_batches(shop, 1, 10)
    assert refresher.refresh(report).how == "whole"
    some_batches(shop, 2, 10)
    assert refresher.refresh(report).how == "units"
    assert refresher.revisions()[1] == {"sales": 0}
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
        (standing,) = refresher.revisions()[0]
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
    warehouse, catalog = connect([RESERVED]), Catalog({"group": RESERVED}, SchemaRegistry([RESERVED.schema]))
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
