"""Indexes for reports on every engine: what is asked for, what is there, and that it stays with the table."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from consumers_world import event
from evolutions import STEPS
from reports_world import CATALOG, ENTITIES

from consumers.facts import read_fact
from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.lookups import Lookup, lookups
from consumers.reporting.refresh.refresher import Refresher
from consumers.rows import to_row
from consumers.warehouse.port import Batch, Warehouse
from schemas.catalog.entity import Catalog
from schemas.event import encode_event
from schemas.payload.codec import SchemaRegistry

pytest_plugins = ("warehouse_engines",)

Connect = Callable[..., Warehouse]
AMOUNTS = (
    "SELECT o.amount, COUNT(*) AS n FROM staging.purchase AS o "
    "INNER JOIN staging.customer AS c ON c.tier = o.amount GROUP BY o.amount"
)


def report(body: str, *key: str, catalog: Catalog = CATALOG) -> Report:
    keys = ", ".join(f'"{each}"' for each in key)
    return read_report("amounts", f"/* headwater\nkey = [{keys}]\n*/\n{body}", catalog)


@pytest.mark.parametrize(
    ("body", "key", "expected"),
    [
        (AMOUNTS, ["amount"], {"customer": [("tier",)], "purchase": [("amount",)]}),
        (
            "SELECT o.customer, o.product, COUNT(c.id) AS n FROM staging.purchase AS o "
            "LEFT JOIN staging.customer AS c ON c.id = o.customer GROUP BY o.customer, o.product",
            ["customer", "product"],
            {"customer": [("id",)], "purchase": [("customer", "product")]},
        ),
        (  # a source is shown or hidden by the others of its key
            "SELECT p.family, COUNT(*) AS n FROM staging.product AS p GROUP BY p.family",
            ["family"],
            {"product": [("family",), ("id",)]},
        ),
        (
            "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c WHERE EXISTS (SELECT 1 FROM "
            "staging.purchase AS o WHERE o.customer = c.id AND o.amount = c.tier) GROUP BY c.region",
            ["region"],
            {"customer": [("region",), ("id", "tier")], "purchase": [("amount", "customer")]},
        ),
    ],
)
def test_rows_are_found_by_what_they_are_joined_and_grouped_by(
    body: str, key: list[str], expected: dict[str, list[tuple[str, ...]]]
) -> None:
    derivation = report(body, *key).derivation
    assert derivation is not None
    assert lookups(derivation) == expected


def test_what_is_missing_is_made_once_and_goes_over_to_a_rebuilt_table(connect: Connect) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    refresher, amounts = Refresher(reports_in(warehouse)), report(AMOUNTS, "amount")
    missing = [Lookup("customer", ("tier",), "missing"), Lookup("purchase", ("amount",), "missing")]
    assert refresher.lookups(amounts) == missing
    assert refresher.create_indexes(amounts) == missing
    assert refresher.create_indexes(amounts) == []
    there = [Lookup("customer", ("tier",), "there"), Lookup("purchase", ("amount",), "there")]
    number = warehouse.create_revision("purchase")
    with warehouse.transaction(exclusive=["purchase"]) as transaction:
        transaction.swap("purchase", number)
    assert refresher.lookups(amounts) == there


def test_an_index_that_begins_with_the_columns_will_do(connect: Connect) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    dialect = reports_in(warehouse).dialect
    table = dialect.to_sql(dialect.physical("purchase", 1))
    with reports_in(warehouse).holding("amounts") as holder, holder.transaction() as session:
        session.run(f"CREATE INDEX of_a_person ON {table} (amount, day)")
    state = {
        each.entity: each.state
        for each in Refresher(reports_in(warehouse)).lookups(report(AMOUNTS, "amount"))
    }
    assert state == {"customer": "missing", "purchase": "there"}


def test_text_of_any_length_has_no_index_in_sql_server(connect: Connect) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    body = "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"
    refresher = Refresher(reports_in(warehouse))
    (lookup,) = refresher.lookups(report(body, "region"))
    is_server = reports_in(warehouse).dialect.sql == "tsql"
    assert lookup == Lookup("customer", ("region",), "impossible" if is_server else "missing")
    assert len(refresher.create_indexes(report(body, "region"))) == (0 if is_server else 1)


def test_a_column_with_an_index_is_widened_and_keeps_it(connect: Connect) -> None:
    older, newer = next(step for step in STEPS if step.rules == ("int to long",)).entities()
    body = "SELECT t.f, COUNT(*) AS n FROM staging.thing AS t GROUP BY t.f"
    before, after = (
        report(body, "f", catalog=Catalog({of.name: of}, SchemaRegistry(list(of.versions))))
        for of in (older, newer)
    )
    warehouse = connect([older])
    warehouse.ensure()
    Refresher(reports_in(warehouse)).create_indexes(before)
    widened = connect([newer])
    widened.ensure()
    assert Refresher(reports_in(widened)).lookups(after) == [Lookup("thing", ("f",), "there")]
    made = event(newer, {"id": "a", "f": 2**40, "note": None}, 1)
    row = to_row(read_fact(encode_event(made), SchemaRegistry(list(newer.versions))), newer)
    with widened.transaction(shared=["thing"]) as transaction:
        assert transaction.apply(Batch({"thing": [row]})).applied == 1


def test_a_renamed_column_is_indexed_under_the_name_that_the_table_has(connect: Connect) -> None:
    _, newer = next(step for step in STEPS if step.rules == ("field renamed",)).entities()
    body = "SELECT t.g, COUNT(*) AS n FROM staging.thing AS t GROUP BY t.g"
    renamed = report(body, "g", catalog=Catalog({newer.name: newer}, SchemaRegistry(list(newer.versions))))
    warehouse = connect([newer])
    warehouse.ensure()
    refresher = Refresher(reports_in(warehouse))
    refresher.create_indexes(renamed)
    assert reports_in(warehouse).dialect.stored_names("thing", ["g"]) == ("f",)
    assert refresher.lookups(renamed) == [Lookup("thing", ("g",), "there")]
