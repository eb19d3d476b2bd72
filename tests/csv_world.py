"""A small world for the tests of the CSV source: three feeds, and all its ports in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from producers.csv.archive import InMemoryBucket
from producers.csv.handler import Producer
from producers.csv.uploads import Upload
from producers.drift_reporter import DriftReporter
from producers.kinesis import InMemoryStream, StreamWriter
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.entity import Catalog, Entity
from schemas.event import Event, decode_event
from schemas.letters.letter import InMemoryLetters
from schemas.log.kpl import parse_aggregate
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.privacy import HashKey
from schemas.sources.csv import CsvSource, Mode

MORNING = datetime(2025, 4, 22, 9, 30, tzinfo=UTC)
BUCKET = "school-files"


def entity(fields: Sequence[Mapping[str, Any]], key: Sequence[str] = (), **source: Any) -> Entity:
    """An entity of one feed, `links` unless told otherwise."""
    feed = source.pop("feed", "links")
    made = CsvSource(
        **{"name": f"csv:{feed}", "feed": feed, "mode": Mode.UPSERT if key else Mode.APPEND, **source}
    )
    avro = {"type": "record", "name": "Row", "fields": list(fields)}
    schema = make_schema(feed, 1, key, avro)
    return Entity(feed, tuple(key), (made,), schema)


def source_of(one: Entity) -> CsvSource:
    (source,) = one.sources
    assert isinstance(source, CsvSource)
    return source


LINK_FIELDS = [
    {"name": "urn", "type": "int", "from": "URN"},
    {"name": "name", "type": "string", "from": "Name", "maxLength": 20},
    {
        "name": "since",
        "type": ["null", {"type": "int", "logicalType": "date"}],
        "default": None,
        "from": "Since",
        "format": "%d-%m-%Y",
    },
    {"name": "open", "type": "boolean", "from": "Open", "format": "Y|N"},
]
HEADER = "URN,Name,Since,Open"


def links(**source: Any) -> Entity:
    """Upserts by urn, unless told otherwise."""
    return entity(LINK_FIELDS, **{"key": ("urn",), **source})


HASH_KEY = HashKey("k1", bytes(32))


@dataclass
class World:
    """The whole CSV source of one entity. Files are dropped a minute apart."""

    entity: Entity
    stream: InMemoryStream = field(default_factory=lambda: InMemoryStream(2))
    letters: InMemoryLetters = field(default_factory=InMemoryLetters)
    schema_log: InMemorySchemaLog = field(default_factory=InMemorySchemaLog)
    minutes: int = 0
    drift: DriftReporter | None = None

    def __post_init__(self) -> None:
        self.bucket = InMemoryBucket(BUCKET, self._now)

    def _now(self) -> datetime:
        return MORNING + timedelta(minutes=self.minutes)

    def producer(self, writer: StreamWriter | None = None, **more: Any) -> Producer:
        """One container of the Lambda."""
        one = self.entity
        catalog = Catalog({one.name: one}, SchemaRegistry([one.schema]))
        publisher = Publisher(writer or self.stream, self.schema_log, sleep=lambda _: None)
        parts = self.letters, lambda _name: self.bucket, HASH_KEY, self.drift
        return Producer(catalog, publisher, *parts, **more)

    def upload(self, body: bytes | str, key: str = "drop/links/a.csv") -> Upload:
        self.minutes += 1
        return self.bucket.upload(key, body.encode() if isinstance(body, str) else body)

    def drop(self, body: bytes | str, key: str = "drop/links/a.csv") -> Upload:
        """Uploads a file and takes it."""
        upload = self.upload(body, key)
        self.producer().take(notification(upload))
        return upload

    def events(self) -> list[Event]:
        """Everything in the stream, shard by shard, in order."""
        entries = [entry for shard in self.stream.taken.values() for entry in shard]
        return [decode_event(frame) for entry in entries for frame in parse_aggregate(entry.payload)]

    def facts(self) -> list[Event]:
        """The events that are no sweeps, by position."""
        return sorted(
            {one for one in map(_hashable, self.events()) if one.operation != "sweep"},
            key=lambda e: e.position,
        )

    def sweeps(self) -> list[Event]:
        return [event for event in self.events() if event.operation == "sweep"]

    def values(self) -> list[dict[str, Any]]:
        return [self.entity.schema.decode(event.after or b"") for event in self.facts()]

    def objects(self) -> list[str]:
        """All that is in the bucket."""
        return list(self.bucket.keys(""))

    def rejects(self) -> list[list[str]]:
        """The rows of the one rejects file, header too."""
        (key,) = [key for key in self.objects() if key.startswith("rejects/") and key.endswith(".csv")]
        return list(csv.reader(io.StringIO(self.bucket.body(key).decode(), newline="")))

    def reasons(self) -> list[str]:
        return [letter.reason for letter in self.letters.letters]


def _hashable(event: Event) -> Event:
    return event._replace(metadata=_Frozen(event.metadata))


class _Frozen(dict[str, str]):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def notification(upload: Upload, **changes: Any) -> str:
    """What S3 sends of it."""
    described = {"key": upload.key, "versionId": upload.version, "eTag": upload.etag, **changes}
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": described},
    }
    return json.dumps({"Records": [record]})
