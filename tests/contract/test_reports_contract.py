"""What reports keep on every engine, beyond what random ones show."""

from __future__ import annotations

from collections.abc import Callable

from consumers_world import event
from evolutions import STEPS

from consumers.facts import read_fact
from consumers.reporting.engines import reports_in
from consumers.reporting.refresher import Refresher
from consumers.reporting.report import Report, read_report
from consumers.rows import to_row
from consumers.warehouse.port import Batch, Counts, Row, Warehouse
from schemas.codec import Registry
from schemas.entity import Catalog, Entity
from schemas.event import encode_event

pytest_plugins = ("warehouse_engines",)

WIDER = next(step for step in STEPS if step.rules == ("int to long",))


def row_of(of: Entity, value: int, key: str, number: int) -> Row:
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
    apply(before, row_of(older, 1, "a", 1))
    Refresher(reports_in(before)).refresh(report_of(older))
    after = connect([newer])
    after.ensure()
    for number in (2, 3):  # the second change replaces a value that the old type has not
        assert apply(after, row_of(newer, 2**40 + number, "a", number)) == Counts(applied=1)
    refresher = Refresher(reports_in(after))
    assert refresher.refresh(report_of(newer)).how == "whole"
    assert shown(after, "texts") == [(2**40 + 3, 1)]
    apply(after, row_of(newer, 1, "b", 4))
    assert refresher.refresh(report_of(newer)).how == "units"
    assert shown(after, "texts") == [(1, 1), (2**40 + 3, 1)]
