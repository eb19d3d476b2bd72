"""A small world for reports: purchases of products by customers, of few values so that groups meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any, TypeAlias

from consumers_world import NULL, A, B, entity, event, field, logical, position

from consumers.facts import read_fact
from consumers.rows import to_row
from consumers.warehouse.port import Batch, Row, Sweep, Warehouse
from schemas.catalog.entity import Catalog, Entity
from schemas.event import Event, Operation, encode_event
from schemas.payload.codec import SchemaRegistry

CUSTOMER = entity(
    "customer",
    [field("id", "string"), field("region", [NULL, "string"], default=None), field("tier", "int", default=0)],
    ["id"],
)
PURCHASE = entity(
    "purchase",
    [
        field("id", "string"),
        field("customer", [NULL, "string"], default=None),
        field("product", "string"),
        field("amount", "int"),
        field("price", logical("decimal", "bytes", precision=12, scale=2)),
        field("day", [NULL, logical("date", "int")], default=None),
    ],
    ["id"],
)
PRODUCT = entity(
    "product", [field("id", "string"), field("family", [NULL, "string"], default=None)], ["id"], prefer=[B, A]
)
"""Two sources may have one product: readers see that of B."""
ENTITIES = (CUSTOMER, PURCHASE, PRODUCT)
CATALOG = Catalog({each.name: each for each in ENTITIES}, SchemaRegistry([each.schema for each in ENTITIES]))

Values: TypeAlias = Mapping[str, Any]
Database: TypeAlias = Mapping[str, Sequence[Values]]
"""What readers of staging see, by entity."""


# What is written to staging


def row(of: Entity, values: Values, number: int, operation: Operation, source: str) -> Row:
    frame = encode_event(event(of, values, number, operation, source))
    return to_row(read_fact(frame, CATALOG.registry), of)


class Writer:
    """Random batches: rows, older ones too, deletes, sweeps, two sources; at times the same once more."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._number = 0
        self._batches: list[tuple[Entity, Batch]] = []

    def batch(self) -> tuple[Entity, Batch]:
        if self._batches and self._random.random() < 0.1:
            return self._random.choice(self._batches)
        of = self._random.choice([CUSTOMER, PRODUCT, PRODUCT, PURCHASE, PURCHASE, PURCHASE])
        rows = {
            each.key_hash: each for each in (self._row(of) for _ in range(self._random.choice([1, 1, 1, 3])))
        }
        sweeps = [self._sweep(each) for each in rows.values() if self._random.random() < 0.08]
        self._batches.append((of, Batch({of.name: list(rows.values())}, {of.name: sweeps} if sweeps else {})))
        return self._batches[-1]

    def event(self) -> Event:
        """One change of any entity."""
        of = self._random.choice([CUSTOMER, PRODUCT, PURCHASE, PURCHASE, PURCHASE])
        return self._event(of)

    def _row(self, of: Entity) -> Row:
        return to_row(read_fact(encode_event(self._event(of)), CATALOG.registry), of)

    def _event(self, of: Entity) -> Event:
        self._number += 1
        deleted = self._random.random() < 0.2
        number = self._random.randint(max(1, self._number - 6), self._number)
        operation = Operation.DELETE if deleted else Operation.UPSERT
        return event(of, self._values(of), number, operation, self._random.choice([A, B]))

    def _sweep(self, of: Row) -> Sweep:
        return Sweep(of.source, of.key_hash[0], position(self._random.randint(1, self._number + 1)))

    def _values(self, of: Entity) -> Values:
        choice = self._random.choice
        if of is CUSTOMER:
            return {
                "id": choice("abc"),
                "region": choice([None, "n", "N", "x", "x ", ""]),
                "tier": choice([0, 1]),
            }
        if of is PRODUCT:
            return {"id": choice("xy"), "family": choice([None, "f", "g"])}
        return {
            "id": choice("123456"),
            "customer": choice([None, "a", "b", "c", "zz"]),
            "product": choice("xyz"),
            "amount": choice([1, 2, 3]),
            "price": Decimal(choice(["0.10", "1.05", "9999999999.99"])),
            "day": choice([None, date(2024, 1, 1), date(2024, 1, 2)]),
        }


def write(warehouse: Warehouse, of: Entity, batch: Batch) -> None:
    exclusive = [of.name] if batch.sweeps else []
    with warehouse.transaction(shared=[of.name], exclusive=exclusive) as transaction:
        transaction.apply(batch)


def database(warehouse: Warehouse) -> Database:
    """What readers see of staging, as Python's values; text as T-SQL compares it."""
    made = {}
    for of in ENTITIES:
        names, rows = warehouse.select(of.name)
        made[of.name] = [{**dict(zip(names, each, strict=True))} for each in rows]
        for each in made[of.name]:
            if each.get("region"):
                each["region"] = each["region"].rstrip(" ")  # T-SQL's `=` ignores blanks at the end
            if "price" in each:
                each["price"] = Decimal(each["price"])  # SQLite's are text
                each["day"] = each["day"] and date.fromisoformat(str(each["day"]))
    return made
