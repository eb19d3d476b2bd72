"""The T-SQL of docs/history.md runs, and gives what it says."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from consumers_world import NULL, entity, event, field, logical
from mssql_server import ON_SQL_SERVER
from mssql_statements import parsed

from consumers.consume import Consumer
from schemas.catalog.entity import Catalog
from schemas.event import Operation, encode_event
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry

pytest_plugins = ("warehouse_engines",)

PAGE = Path(__file__).parents[2] / "docs" / "history.md"
STATEMENTS = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
MARCH, MAY = 1_774_000_000_000_000, 1_778_500_000_000_000
"""20 March and 11 May 2026, microseconds since the epoch."""

SCHOOL = replace(
    entity(
        "school",
        [
            field("urn", "int"),
            field("name", "string"),
            field("region", [NULL, "string"], default=None),
            field("pupils", "int"),
        ],
        ["urn"],
    ),
    history=True,
)
INVOICE = entity(
    "invoice",
    [
        field("invoice_id", "int"),
        field("urn", "int"),
        field("amount", logical("decimal", "bytes", precision=10, scale=2)),
        field("sent_at", [NULL, logical("timestamp-micros", "long")], default=None),
    ],
    ["invoice_id"],
)


def school(number: int, when: int, name: str, operation: Operation = Operation.UPSERT) -> bytes:
    values = {"urn": 100000, "name": name, "region": "north", "pupils": 10 * number}
    return encode_event(event(SCHOOL, values, number, operation, occurred_at=when))


def invoice(number: int, urn: int, when: Any) -> bytes:
    values = {"invoice_id": number, "urn": urn, "amount": Decimal("1.00"), "sent_at": when}
    return encode_event(event(INVOICE, values, number))


@ON_SQL_SERVER
def test_the_statements_of_the_page_run_and_say_what_it_says(connect: Callable[..., Any]) -> None:
    warehouse = connect([SCHOOL, INVOICE])
    warehouse.ensure()
    catalog = Catalog(
        {each.name: each for each in (SCHOOL, INVOICE)}, SchemaRegistry([SCHOOL.schema, INVOICE.schema])
    )
    frames = [
        school(1, MARCH, "old name"),
        school(2, MAY, "new name"),
        school(3, MAY + 1_000_000, "", Operation.DELETE),
        invoice(1, 100000, datetime(2026, 4, 1, tzinfo=UTC)),
        invoice(2, 999, datetime(2026, 4, 1, tzinfo=UTC)),
    ]
    Consumer(catalog, warehouse, InMemoryLetters()).consume(frames)
    with warehouse.engine.connect() as connection:
        found = [connection.exec_driver_sql(each).all() for each in STATEMENTS]
    versions, deleted, march, sent, every = found
    assert [(row.operation, row.ended_by, row.name) for row in versions] == [
        ("upsert", "delete", "new name"),
        ("upsert", "upsert", "old name"),
    ]
    assert [(row.urn, row.name, row.ended_by) for row in deleted] == [(100000, "new name", "delete")]
    assert [tuple(row) for row in march] == [("north", 1, 10)]
    assert [(row.invoice_id, row.name) for row in sent] == [(1, "old name")]
    assert sorted((row.invoice_id, row.name) for row in every) == [(1, "old name"), (2, None)]


def test_the_statements_of_the_page_read_as_t_sql() -> None:
    assert len(STATEMENTS) == 5
    for statement in STATEMENTS:
        assert parsed(statement)
