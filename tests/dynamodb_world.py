"""A small world for the tests of the DynamoDB source and the publisher, with all ports in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from producers.dynamodb.handler import Producer
from producers.dynamodb.records import RecordReader
from producers.kinesis import Entry, Fault, InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.entity import Catalog, Entity
from schemas.event import Event, Operation, decode_event, make_event
from schemas.keys import canonical_key
from schemas.letters.letter import DeadLetter, InMemoryLetters
from schemas.log.kpl import parse_aggregate
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.sources.dynamodb import DynamoDbSource

Item = Mapping[str, Mapping[str, Any]]

LABEL = "2026-03-01T12:00:00.000"
AT = 1_772_366_400  # seconds since 1970


def logical(kind: str, base: str, **more: int) -> dict[str, Any]:
    return {"type": base, "logicalType": kind, **more}


def nullable(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None, **more}


def entity(
    name: str,
    fields: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    table: str = "orders",
    where: Mapping[str, str] | None = None,
) -> Entity:
    schema = make_schema(name, 1, key, {"type": "record", "name": "Item", "fields": list(fields)})
    return Entity(name, tuple(key), (DynamoDbSource(f"dynamodb:{table}", table, where or {}),), schema)


ORDER = entity(
    "order",
    [
        {"name": "id", "type": "string"},
        {"name": "total", "type": logical("decimal", "bytes", precision=10, scale=2)},
        nullable("note", "string"),
    ],
    ["id"],
)
"""The one entity of the table `orders`."""

TEACHER = entity(
    "teacher",
    [
        {"name": "school", "type": "string", "from": "pk"},
        {"name": "person", "type": "string", "from": "sk"},
        nullable("name", "string"),
    ],
    ["school", "person"],
    table="accounts",
    where={"sk": "TEACHER#*"},
)
ROOM = entity(
    "room",
    [
        {"name": "school", "type": "string", "from": "pk"},
        {"name": "room", "type": "string", "from": "sk"},
        {"name": "floor", "type": "int"},
        {"name": "seats", "type": "int"},
    ],
    ["school", "room", "floor"],
    table="accounts",
    where={"kind": "room"},
)
"""Two entities of one table; the key of a room holds more than the table's own."""


def order(number: int | str, total: str = "1.00", **more: Mapping[str, Any]) -> Item:
    return {"id": {"S": str(number)}, "total": {"N": total}, "secret": {"S": "stays"}, **more}


def room(floor: int | str = 1, seats: int | str = 30, **more: Mapping[str, Any]) -> Item:
    return {
        "pk": {"S": "S#1"},
        "sk": {"S": "R#1"},
        "kind": {"S": "room"},
        "floor": {"N": str(floor)},
        "seats": {"N": str(seats)},
        **more,
    }


def arn(table: str = "orders", label: str = LABEL) -> str:
    return f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table}/stream/{label}"


def record(
    sequence: int,
    old: Item | None = None,
    new: Item | None = None,
    *,
    table: str = "orders",
    key: Sequence[str] = ("id",),
    label: str = LABEL,
    at: float = AT,
    **more: Any,
) -> dict[str, Any]:
    """A record of a stream as Lambda hands it over. `more` stands at its top."""
    image = new or old or {}
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": at,
        "Keys": {name: image[name] for name in key if name in image},
        "SequenceNumber": f"{sequence:021}",
        "SizeBytes": 59,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if old is not None:
        change["OldImage"] = old
    if new is not None:
        change["NewImage"] = new
    name = "MODIFY" if old and new else "INSERT" if new else "REMOVE"
    return {
        "eventID": f"{sequence:032x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": change,
        "eventSourceARN": arn(table, label),
        **more,
    }


def account(sequence: int, old: Item | None = None, new: Item | None = None, **more: Any) -> dict[str, Any]:
    """A record of the table of two entities."""
    return record(sequence, old, new, table="accounts", key=("pk", "sk"), **more)


def catalog(*entities: Entity) -> Catalog:
    return Catalog({one.name: one for one in entities}, SchemaRegistry([one.schema for one in entities]))


def frames(entries: Iterable[Entry]) -> list[bytes]:
    return [frame for entry in entries for frame in parse_aggregate(entry.payload)]


@dataclass
class Stream:
    """A stream in memory, and what can be read of it."""

    kinesis: InMemoryStream = field(default_factory=InMemoryStream)

    def entries(self) -> list[Entry]:
        """All entries, shard by shard; a parent's before its children's."""
        return [entry for taken in self.kinesis.taken.values() for entry in taken]

    def frames(self) -> list[bytes]:
        return frames(self.entries())

    def events(self) -> list[Event]:
        return [decode_event(frame) for frame in self.frames()]


class World(Stream):
    """A producer of the DynamoDB source with all its ports in memory."""

    def __init__(self, *entities: Entity, shards: int = 1, faults: Iterable[Fault] = ()) -> None:
        super().__init__(InMemoryStream(shards, faults))
        self.catalog = catalog(*(entities or (ORDER,)))
        self.reader = RecordReader(self.catalog)
        self.schema_log = InMemorySchemaLog()
        self.letters = InMemoryLetters()
        self.pauses: list[float] = []
        self.publisher = Publisher(
            self.kinesis, self.schema_log, sleep=self.pauses.append, random=lambda: 0.5, max_attempts=4
        )
        self.producer = Producer(self.catalog, self.publisher, self.letters)

    def read(self, told: Mapping[str, Any]) -> list[Event]:
        """The events of one record, none of which may be refused."""
        reading = self.reader.read(told)
        assert reading.letters == []
        return [event for event, _ in reading.events]

    def refused(self, told: Mapping[str, Any]) -> DeadLetter:
        """The one letter of one record."""
        (letter,) = self.reader.read(told).letters
        return letter

    def values(self, event: Event) -> tuple[dict[str, object] | None, dict[str, object] | None]:
        """Before and after, decoded."""
        schema = self.catalog.registry.find(event.schema_fingerprint)
        before, after = (image and schema.decode(image) for image in (event.before, event.after))
        return before or None, after or None


def event(number: int, *, position: int = 1, filler: int = 0) -> Event:
    """An event of order `number`, for tests that ask only how it travels."""
    after = ORDER.schema.encode({"id": str(number), "total": Decimal(1), "note": "x" * filler})
    return make_event(
        source="dynamodb:orders",
        entity="order",
        operation=Operation.UPSERT,
        key=canonical_key([str(number)]),
        position=f"{LABEL}000-{position:040}",
        occurred_at=AT * 1_000_000,
        schema_fingerprint=ORDER.schema.fingerprint,
        after=after,
    )
