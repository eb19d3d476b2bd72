"""A small world for the consumers' tests: entities of every kind of field, and events made by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from consumers.facts import Fact, read_fact
from consumers.rows import to_row
from consumers.warehouse.port import Batch, Counts, Row, Sweep, Warehouse
from schemas.catalog.entity import Catalog, Entity
from schemas.event import Event, Operation, encode_event, make_event, make_sweep
from schemas.keys import canonical_key, text_array
from schemas.payload.codec import Schema, SchemaRegistry, make_schema
from schemas.sources.csv import CsvSource, Mode
from schemas.sources.dynamodb import DynamoDbSource

NULL = "null"
A, B = "dynamodb:a", "csv:b"
EPOCH_2024 = 1_704_067_200_000_000


def logical(kind: str, base: str, **more: int) -> dict[str, Any]:
    return {"type": base, "logicalType": kind, **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def entity(
    name: str, fields: Sequence[dict[str, Any]], key: Sequence[str], prefer: Sequence[str] = ()
) -> Entity:
    schema = make_schema(name, 1, key, {"type": "record", "name": name.title(), "fields": list(fields)})
    sources = (DynamoDbSource(A, "a"), CsvSource(B, "b", Mode.SNAPSHOT))
    return Entity(name, tuple(key), sources, schema, tuple(prefer))


ITEM = entity(
    "item",
    [
        field("id", "string"),
        field("size", "int"),
        field("label", "string"),
        field("price", logical("decimal", "bytes", precision=12, scale=2)),
        field("state", {"type": "enum", "name": "State", "symbols": ["new", "used"]}, default="new"),
        field("active", "boolean"),
        field("day", [NULL, logical("date", "int")], default=None),
        field("at", [NULL, logical("timestamp-micros", "long")], default=None),
    ],
    ["id"],
)
"""The ordinary one: eight columns."""

OTHER = entity("other", [field("id", "string"), field("note", [NULL, "string"], default=None)], ["id"])
"""Its keys may be those of ITEM."""

CHOSEN = entity("chosen", [field("id", "string"), field("size", "int")], ["id"], prefer=[B, A])
"""Its view shows one row for each key: that of B, if B has one."""

LINE = entity("line", [field("text", "string")], [])
"""Append without a key."""

EVERY = entity(
    "every",
    [
        field("id", logical("uuid", "string")),
        field("a_string", [NULL, "string"], default=None),
        field("an_int", [NULL, "int"], default=None),
        field("a_long", [NULL, "long"], default=None),
        field("a_float", [NULL, "float"], default=None),
        field("a_double", [NULL, "double"], default=None),
        field("a_boolean", [NULL, "boolean"], default=None),
        field("some_bytes", [NULL, "bytes"], default=None),
        field(
            "an_enum", [NULL, {"type": "enum", "name": "Colour", "symbols": ["red", "blue"]}], default=None
        ),
        field("a_decimal", [NULL, logical("decimal", "bytes", precision=38, scale=10)], default=None),
        field("a_date", [NULL, logical("date", "int")], default=None),
        field("time_millis", [NULL, logical("time-millis", "int")], default=None),
        field("time_micros", [NULL, logical("time-micros", "long")], default=None),
        field("timestamp_millis", [NULL, logical("timestamp-millis", "long")], default=None),
        field("timestamp_micros", [NULL, logical("timestamp-micros", "long")], default=None),
        field("local_millis", [NULL, logical("local-timestamp-millis", "long")], default=None),
        field("local_micros", [NULL, logical("local-timestamp-micros", "long")], default=None),
        field("a_json", [NULL, "string"], default=None, **{"headwater.json": True}),
    ],
    ["id"],
)
"""Every kind of field."""

ENTITIES = (ITEM, OTHER, CHOSEN, LINE, EVERY)
CATALOG = Catalog({each.name: each for each in ENTITIES}, SchemaRegistry([each.schema for each in ENTITIES]))


def item(id: str, size: int = 1, **more: object) -> dict[str, object]:  # noqa: A002
    values: dict[str, object] = {
        "id": id,
        "size": size,
        "label": f"label of {id}",
        "price": Decimal("12.50"),
        "state": "used",
        "active": True,
        "day": date(2024, 2, 29),
        "at": datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    }
    return {**values, **more}


def position(number: int) -> str:
    return f"2024-{number:06d}"


def event(
    of: Entity,
    values: Mapping[str, object],
    number: int,
    operation: Operation = Operation.UPSERT,
    source: str = A,
    **more: Any,
) -> Event:
    """An event of this entity at this position; of a delete the key values alone are taken."""
    key = (
        canonical_key([values[name] for name in of.key])
        if of.key
        else text_array(["file", "etag", str(number)])
    )
    given: dict[str, Any] = {
        "source": source,
        "entity": of.name,
        "operation": operation,
        "key": key,
        "position": position(number),
        "occurred_at": EPOCH_2024 + number * 1_000_000,
        "schema_fingerprint": of.schema.fingerprint,
        "after": None if operation == Operation.DELETE else of.schema.encode(values),
    }
    return make_event(**{**given, **more})


def sweep(of: Entity, bucket: int, number: int, source: str = A) -> Event:
    return make_sweep(
        source=source,
        entity=of.name,
        bucket=bucket,
        position=position(number),
        occurred_at=EPOCH_2024 + number * 1_000_000,
        schema_fingerprint=of.schema.fingerprint,
    )


def fact(made: Event) -> Fact:
    return read_fact(encode_event(made), CATALOG.registry)


def row(of: Entity, values: Mapping[str, object], number: int, *args: Any, **more: Any) -> Row:
    return to_row(fact(event(of, values, number, *args, **more)), of)


def deleted(of: Entity, key: Mapping[str, object], number: int, source: str = A) -> Row:
    return row(of, key, number, Operation.DELETE, source)


def other_schema(of: Entity) -> Schema:
    """A newer one, with a column that the older lacks."""
    avro = {name: value for name, value in of.schema.avro.items() if not name.startswith("headwater.")}
    return make_schema(
        of.name, 2, of.key, {**avro, "fields": [*avro["fields"], field("added", "int", default=0)]}
    )


def apply(
    warehouse: Warehouse, of: Entity, *rows: Row, sweeps: Sequence[Sweep] = (), revision: int | None = None
) -> Counts:
    revisions = {} if revision is None else {of.name: revision}
    with warehouse.transaction(exclusive=[of.name]) as transaction:
        return transaction.apply(Batch({of.name: rows}, {of.name: sweeps}), revisions)


def table(warehouse: Warehouse, of: Entity = ITEM, revision: int = 1) -> list[Row]:
    return list(warehouse.rows(of.name, revision))


def seen(warehouse: Warehouse, of: Entity = ITEM) -> list[tuple[object, ...]]:
    return warehouse.select(of.name)[1]


def floor(of: Row, number: int, source: str = A) -> Sweep:
    """The sweep of the bucket that this row is in."""
    return Sweep(source, of.key_hash[0], position(number))
