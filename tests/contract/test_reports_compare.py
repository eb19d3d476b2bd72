"""`reports plan --compare`: how the table of a changed file would differ from the one that readers see."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256

import pytest
from report_shop import open_shop
from reports_world import CATALOG, PURCHASE, A, row, write

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.reporting.refresh.verification import Comparison, is_comparable
from consumers.warehouse.port import Batch, Warehouse
from headwater.commands.report_output import show_comparison
from schemas.errors import ConfigurationError
from schemas.event import Operation

pytest_plugins = ("warehouse_engines",)

BOUGHT = [("1", "a", 1, "0.10"), ("2", "c", 2, "0.20"), ("3", "b", 3, "0.30"), ("4", None, 4, "0.40")]
"""Id, customer, amount, price."""


@pytest.fixture
def shop(connect: Callable[..., Warehouse]) -> Warehouse:
    made = open_shop(connect)
    for number, each in enumerate(BOUGHT, 1):
        buy(made, number, *each)
    return made


def buy(shop: Warehouse, number: int, key: str, customer: str | None, amount: int, price: str) -> None:
    values = {
        "id": key,
        "customer": customer,
        "product": "x",
        "amount": amount,
        "price": Decimal(price),
        "day": None,
    }
    write(shop, PURCHASE, Batch({"purchase": [row(PURCHASE, values, number, Operation.UPSERT, A)]}))


SPENT = (
    "SELECT o.customer, SUM(o.amount) AS amount, SUM(o.price) AS price, MAX(o.product) AS product "
    "FROM staging.purchase AS o GROUP BY o.customer"
)


def report(body: str = SPENT, key: str = "customer") -> Report:
    return read_report("spent", f'/* headwater\nkey = ["{key}"]\n*/\n{body}', CATALOG)


def compared(shop: Warehouse, to: Report) -> Comparison:
    Refresher(reports_in(shop)).refresh(report())
    made = Refresher(reports_in(shop)).compare(to)
    assert made is not None
    return made


def hash_of(*key: object) -> str:
    return sha256(repr(list(key)).encode()).hexdigest()[:16]


def test_a_file_that_says_the_same_differs_in_nothing(shop: Warehouse) -> None:
    made = compared(shop, report())
    assert made == Comparison(4, 4, 0, (), (), (), None)


def test_rows_of_one_table_alone_and_rows_that_differ_are_counted_by_column_and_told_by_hash(
    shop: Warehouse,
) -> None:
    to = SPENT.replace("SUM(o.amount)", "SUM(CASE WHEN o.customer = 'b' THEN 30 ELSE o.amount END)")
    made = compared(shop, report(to.replace("GROUP", "WHERE o.id <> '1' GROUP")))
    assert (made.rows_old, made.rows_new, made.only_old, made.only_new, made.differing) == (4, 3, 1, 0, 1)
    assert made.by_column == (("amount", 1),)
    assert set(made.hashes) == {hash_of("a"), hash_of("b")}


def test_text_of_staging_that_differs_in_trailing_blanks_alone_differs(shop: Warehouse) -> None:
    body = "SELECT o.id, o.product FROM staging.purchase AS o"
    refresher = Refresher(reports_in(shop))
    refresher.refresh(report(body.replace("o.product", "o.product + ' ' AS product"), "id"))
    made = refresher.compare(report(body, "id"))
    assert made is not None
    assert made.by_column == (("product", len(BOUGHT)),)


def test_a_row_that_only_the_new_file_has_is_counted(shop: Warehouse) -> None:
    fewer = report(SPENT.replace("GROUP", "WHERE o.id <> '4' GROUP"))
    refresher = Refresher(reports_in(shop))
    refresher.refresh(fewer)
    made = refresher.compare(report())
    assert made is not None
    assert (made.only_old, made.only_new, made.differing, made.hashes) == (0, 1, 0, (hash_of(None),))


def test_columns_that_are_new_or_gone_are_named_and_the_shared_ones_compared(shop: Warehouse) -> None:
    to = SPENT.replace("SUM(o.price) AS price", "COUNT(*) AS n").replace("'x'", "'y'")
    made = compared(shop, report(to.replace("MAX(o.product)", "MAX(o.product) + '!'")))
    assert (made.added, made.gone, made.differing) == (("n",), ("price",), 4)
    assert made.by_column == (("product", 4),)


def test_a_column_of_another_kind_of_type_is_told_and_not_compared(shop: Warehouse) -> None:
    to = report(SPENT.replace("SUM(o.amount) AS amount", "MAX(o.product) AS amount"))
    made = compared(shop, to)
    if reports_in(shop).dialect.sql == "sqlite":  # its columns have no types, and any two compare
        assert made.by_column == (("amount", 4),)
    else:
        assert [each.partition(" (")[0] for each in made.retyped] == ["amount"]
        assert made.differing == 0


def test_rows_of_another_key_are_counted_alone(shop: Warehouse) -> None:
    to = SPENT.replace("o.customer", "o.id").replace(
        "MAX(o.product) AS product", "MAX(o.customer) AS customer"
    )
    made = compared(shop, report(to, "id"))
    assert (made.old_key, made.rows_old, made.rows_new, made.by_column) == (("customer",), 4, 4, ())


def test_nothing_is_changed_and_the_swap_comes_later(shop: Warehouse) -> None:
    to = report(SPENT.replace("SUM(o.amount)", "MAX(o.amount)"))
    compared(shop, to)
    before = Refresher(reports_in(shop)).revisions()
    assert Refresher(reports_in(shop)).compare(to) is not None
    assert Refresher(reports_in(shop)).revisions() == before
    assert Refresher(reports_in(shop)).refresh(report()).how == "nothing"


def test_changes_that_wait_are_told(shop: Warehouse) -> None:
    refresher = Refresher(reports_in(shop))
    refresher.refresh(report())
    buy(shop, 9, "9", "d", 1, "1.00")
    made = refresher.compare(report())
    assert made is not None
    assert (made.waiting, made.only_new) == (1, 1)


def test_a_report_without_a_table_has_nothing_to_compare_with(shop: Warehouse) -> None:
    assert Refresher(reports_in(shop)).compare(report()) is None


def test_a_key_that_is_not_unique_is_refused_before_anything_is_made(shop: Warehouse) -> None:
    body = "SELECT o.product AS customer, o.amount FROM staging.purchase AS o"
    with pytest.raises(ConfigurationError, match="its key customer is not unique; hashes of keys") as caught:
        compared(shop, report(body))
    assert "Add to the key the column that distinguishes them" in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("INT", "DECIMAL(12,2)", True),
        ("NVARCHAR(40)", "NVARCHAR(MAX)", True),
        ("DATE", "DATETIME2(3)", True),
        ("", "INT", True),
        ("UNIQUEIDENTIFIER", "UNIQUEIDENTIFIER", True),
        ("INT", "NVARCHAR(40)", False),
        ("DATE", "INT", False),
    ],
)
def test_types_that_would_fail_to_be_compared_are_not(one: str, other: str, may: bool) -> None:
    assert is_comparable(one, other) == may


def test_what_is_shown_has_counts_and_hashes(capsys: pytest.CaptureFixture[str]) -> None:
    show_comparison("spent", None)
    show_comparison("spent", Comparison(4, 4, 0, (), (), (), ("urn",)))
    made = Comparison(
        4, 3, 1, ("n",), ("price",), ("day (DATE to INT)",), None, 2, 1, 1, (("amount", 1),), ("ab",)
    )
    show_comparison("spent", made)
    assert capsys.readouterr().out.splitlines() == [
        "spent: nothing to compare with: it has no table yet",
        "spent: 4 rows now, 4 rows then",
        "  its key was urn: rows are not compared",
        "spent: 4 rows now, 3 rows then",
        "  columns that are new: n",
        "  columns that are gone: price",
        "  columns that are not compared: day (DATE to INT)",
        "  rows that only the old table has: 2; only the new one: 1; of both, and different: 1",
        "  amount: differs in 1 row",
        "  hashes of such keys: ab",
        "  1 change that wait are among the differences",
    ]
