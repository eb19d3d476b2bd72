"""An installation from its sources to its tables, on which the tests that cross rooms are played.

DynamoDB tables and CSV files -> the producers' own cores -> their stream in memory -> the real consumer -> a
real SQLite file. The log is what Kinesis took, as Firehose writes it; replay reads it. The entities are a
user's own, in a folder that the real loader reads.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import event as engine_event

from consumers.consume import Consumer
from consumers.facts import frames_of
from consumers.warehouse.port import LIVE_READER, Checkpoint, Counts, Row, Transaction, padded
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from producers.csv.archive import InMemoryBucket
from producers.csv.handler import Producer as CsvProducer
from producers.csv.uploads import Upload
from producers.dynamodb.handler import Producer as DynamoDbProducer
from producers.kinesis import Entry, InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from replay.as_of import plan_as_of
from replay.log import in_memory as replayed
from replay.ports import Ports
from replay.rebuild import plan_rebuild
from replay.retry_policy import RetryPolicy
from replay.run import RunResult, run
from schemas.catalog.loader import load_catalog
from schemas.errors import TransientError
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry
from schemas.privacy import HashKey

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = timedelta(hours=5)
"""Older than what a rebuild reads of the stream again."""
SOURCE_BUCKET = "headwater-source"

Image = Mapping[str, Mapping[str, Any]]
Record = Mapping[str, Any]


def write_entity(home: Path, name: str, toml: str, *fields: Mapping[str, Any], version: int = 1) -> None:
    """One version of one entity in a HEADWATER_HOME."""
    folder = home / "entities" / name
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("entity.toml").write_text(toml)
    avro = {"type": "record", "name": name.title().replace("_", ""), "fields": list(fields)}
    folder.joinpath(f"v{version}.avsc").write_text(json.dumps(avro))


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class Fates:
    """Whether a process is killed, asked at every place where it might be."""

    def __init__(self, kills: Iterable[int] = ()) -> None:
        """`kills`: the numbers of the moments, from 0, at which one is."""
        self._kills = frozenset(kills)
        self.passed = 0

    def moment(self) -> None:
        self.passed += 1
        if self.passed - 1 in self._kills:
            raise Killed


class Mortal:
    """Any port, each call of which may be its process's last: just before it, or just after it was done."""

    def __init__(self, port: Any, fates: Fates) -> None:
        self._port = port
        self._fates = fates

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            self._fates.moment()
            answer = found(*arguments)
            self._fates.moment()
            return answer

        return call


class WatchedWarehouse:
    """A warehouse at each of whose commits something happens: just before it, and just after."""

    def __init__(self, warehouse: SqliteWarehouse, happens: Callable[[], None]) -> None:
        self._warehouse = warehouse
        self._happens = happens

    @contextmanager
    def transaction(self, shared: Iterable[str] = (), exclusive: Iterable[str] = ()) -> Iterator[Transaction]:
        with self._warehouse.transaction(tuple(shared), tuple(exclusive)) as transaction:
            yield transaction
            self._happens()
        self._happens()


def reordered(told: Any) -> Any:
    """The same record as it may be told another time: maps and sets have no order."""
    if isinstance(told, list):
        return told[::-1] if all(isinstance(one, str) for one in told) else [reordered(one) for one in told]
    if isinstance(told, dict):
        return {name: reordered(told[name]) for name in reversed(told)}
    return told


def until_done(attempt: Callable[[], object]) -> object:
    """What Lambda does: the same again, in another container, until it has worked."""
    for _ in range(500):
        try:
            return attempt()
        except (Killed, TransientError):
            continue
    raise AssertionError("it never worked")


class Table:
    """A DynamoDB table and its stream. `stream` holds its records in the form of a Lambda event."""

    def __init__(self, name: str, *key: str, label: str = "2026-03-01T00:00:00.000") -> None:
        self.name = name
        self._key = key
        self.items: dict[str, Image] = {}
        self.stream: list[Record] = []
        self.switch_stream_on(label)

    def switch_stream_on(self, label: str) -> None:
        """A new stream: a later label, sequence numbers from the start."""
        self._arn = f"arn:aws:dynamodb:eu-west-1:000000000000:table/{self.name}/stream/{label}"
        self._sequence = 0

    def put(self, item: Image, at: float) -> None:
        """`at` in seconds since the epoch."""
        key = self._key_of(item)
        old = self.items.get(json.dumps(key))
        self.items[json.dumps(key)] = item
        self._changed("INSERT" if old is None else "MODIFY", at, Keys=key, OldImage=old, NewImage=item)

    def delete(self, key: Image, at: float) -> None:
        """As in DynamoDB, nothing happens where there is no such item."""
        old = self.items.pop(json.dumps(self._key_of(key)), None)
        if old is not None:
            self._changed("REMOVE", at, Keys=self._key_of(key), OldImage=old)

    def _key_of(self, item: Image) -> dict[str, Any]:
        return {name: item[name] for name in self._key}

    def _changed(self, name: str, at: float, **images: Image | None) -> None:
        self._sequence += 1
        change: dict[str, Any] = {image: value for image, value in images.items() if value is not None}
        self.stream.append(
            {
                "eventID": f"{self._sequence:032x}",
                "eventName": name,
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "eu-west-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": at,
                    **change,
                    "SequenceNumber": f"{self._sequence * 100:021}",
                    "SizeBytes": 100,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": self._arn,
            }
        )


@dataclass
class Pipe:
    """One installation. `home` holds its entities, `folder` its warehouse; `now` is the time of an upload."""

    home: Path
    folder: Path
    stream: InMemoryStream = field(default_factory=lambda: InMemoryStream(2))
    fates: Fates = field(default_factory=Fates)
    now: datetime = START
    hash_key: HashKey | None = None

    def __post_init__(self) -> None:
        self.catalog = load_catalog(self.home)
        self.schema_log = InMemorySchemaLog()
        self.source_letters = InMemoryLetters()  # in the source account: they hold whole items
        self.letters = InMemoryLetters()
        self.bucket = InMemoryBucket(SOURCE_BUCKET, lambda: self.now)
        self.warehouse = self.open_warehouse()
        self.warehouse.ensure()

    def open_warehouse(self, **more: Any) -> SqliteWarehouse:
        """The same file as another process opens it."""
        url, entities = f"sqlite:///{self.folder / 'warehouse.db'}", self.catalog.entities.values()
        made = open_warehouse(url, entities, clock=lambda: self.now, **more)
        # What is durable is not in question here, and many examples are.
        engine_event.listen(made.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous = OFF"))
        return made

    # Sources to the stream

    def publish(self, records: Sequence[Record]) -> None:
        """A batch of one stream, given again from the lowest failed record on until it is done."""
        waiting = list(records)

        def attempt() -> None:
            failed = self.dynamodb_producer().publish(waiting).failed
            numbers = [record["dynamodb"]["SequenceNumber"] for record in waiting]
            del waiting[: len(waiting) if failed is None else numbers.index(failed)]
            waiting[:] = map(reordered, waiting)
            if waiting:
                raise TransientError("Lambda gives the rest again")

        until_done(attempt)

    def upload(self, key: str, content: bytes | str) -> Upload:
        """A new version of a file, which nobody is told of yet."""
        return self.bucket.upload(key, content.encode() if isinstance(content, str) else content)

    def take(self, upload: Upload) -> None:
        """Its notification, given again until the file is done."""
        until_done(lambda: self.csv_producer().take(notification(upload)))

    def dynamodb_producer(self) -> DynamoDbProducer:
        """One container of the Lambda."""
        letters = Mortal(self.source_letters, self.fates)
        return DynamoDbProducer(self.catalog, self.publisher(), letters, self.hash_key)

    def csv_producer(self) -> CsvProducer:
        """One container of the Lambda."""
        letters, bucket = Mortal(self.source_letters, self.fates), Mortal(self.bucket, self.fates)
        return CsvProducer(self.catalog, self.publisher(), letters, lambda _name: bucket, self.hash_key)

    def publisher(self) -> Publisher:
        """Of one container of a producer."""
        stream, schema_log = Mortal(self.stream, self.fates), Mortal(self.schema_log, self.fates)
        return Publisher(stream, schema_log, sleep=lambda _seconds: None, max_attempts=2)

    # The stream to the tables

    def payloads(self) -> list[bytes]:
        """What Kinesis took, shard by shard, in order."""
        return [entry.payload for entries in self.stream.taken.values() for entry in entries]

    def frames(self) -> list[bytes]:
        """The events in it, with all that came twice."""
        return [frame for payload in self.payloads() for frame in frames_of(payload)]

    def consume(self, payloads: Sequence[bytes], checkpoints: Sequence[Checkpoint] = ()) -> Counts:
        """One batch of the live consumer, here."""
        return self.consumer(self.warehouse).consume(payloads, checkpoints)

    def consumer(self, warehouse: SqliteWarehouse, happens: Callable[[], None] | None = None) -> Consumer:
        """One container of the Lambda. `happens` before it commits, and after: it is killed, say."""
        watched: Any = WatchedWarehouse(warehouse, happens or self.fates.moment)
        return Consumer(self.catalog, watched, Mortal(self.letters, self.fates))

    def close(self) -> None:
        """Let go of the warehouse."""
        self.warehouse.close()

    # The log and replay

    def ports(self, random: Random | None = None, flushed: Callable[[], float] = lambda: 1.0) -> Ports:
        """Replay's view: Firehose has written the `flushed` share of each shard; the rest is in the stream.

        With `random` the objects are of any cut and form. No schema is known here: the log has them (INV-6).
        """
        log = replayed.InMemoryLog(dict(self.schema_log.documents))
        arrivals = [self.now - LONG_AGO, self.now]
        stream = replayed.InMemoryStream(records={})
        open_shards = {shard.id for shard in self.stream.shards()}
        for shard, entries in self.stream.taken.items():
            written = round(len(entries) * flushed())
            for number, (key, content) in enumerate(_objects(entries[:written], random)):
                log.put(f"{key}/{shard}-{number:06}", content)
            stream.records[shard] = []
            for number, entry in enumerate(entries):
                stream.now = partial(arrivals.__getitem__, number >= written)
                stream.put(entry.payload, shard)
            if shard not in open_shards:
                stream.closed.add(shard)
        return Ports(
            self.warehouse,
            log,
            stream,
            SchemaRegistry(),
            now=lambda: self.now,
            retry=RetryPolicy(attempts=1, sleep=lambda _seconds: None),
        )

    def caught_up(self, ports: Ports) -> Ports:
        """The live consumer has read all that is in the stream, and says so."""
        stream: Any = ports.stream
        places = [
            Checkpoint(LIVE_READER, stream.identity(), shard, padded(records[-1].sequence))
            for shard, records in stream.records.items()
            if records
        ]
        with self.warehouse.transaction() as transaction:
            transaction.save_checkpoints(places)
        return ports

    def rebuild(self, entity: str, ports: Ports | None = None, **more: bool) -> RunResult:
        """From the log, and swapped in if it equals the live table."""
        ports = ports or self.ports()
        return run(plan_rebuild(ports, self.catalog.entity(entity), **more), ports)

    def as_of(self, entity: str, moment: datetime, ports: Ports | None = None) -> list[Row]:
        """The table as of then."""
        ports = ports or self.ports()
        outcome = run(plan_as_of(ports, self.catalog.entity(entity), moment), ports)
        return self.rows(entity, outcome.revision)

    def rows(self, entity: str, revision: int | None = None) -> list[Row]:
        """All rows, tombstones too, of the live table or of a revision."""
        return list(self.warehouse.rows(entity, self.live(entity) if revision is None else revision))

    def live(self, entity: str) -> int:
        """The number of the revision that readers see."""
        return next(one.number for one in self.warehouse.revisions(entity) if one.state == "live")


def notification(upload: Upload) -> str:
    """What S3 tells of a file."""
    described = {"key": upload.key, "versionId": upload.version, "eTag": upload.etag}
    s3 = {"bucket": {"name": SOURCE_BUCKET}, "object": described}
    return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})


def _objects(entries: Sequence[Entry], random: Random | None) -> Iterator[tuple[str, bytes]]:
    """Prefix and content: of one object, or of many in all the forms that Firehose knows."""
    if random is None:
        yield from _aggregates([entry.payload for entry in entries])
        return
    waiting = list(entries)
    while waiting:
        size = random.randint(1, len(waiting))
        payloads, waiting = [entry.payload for entry in waiting[:size]], waiting[size:]
        yield from random.choice(_FORMS)(payloads)
        if random.random() < 0.2:  # Firehose is at least once
            yield from random.choice(_FORMS)(payloads)


def _aggregates(payloads: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    yield "log/2026/03/01/12", b"".join(payloads)


def _split(payloads: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    frames = [frame for payload in payloads for frame in frames_of(payload)]
    yield "log/2026/03/01/13", gzip.compress(b"".join(frames), 1)


def _errors(payloads: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    lines = [json.dumps({"rawData": b64encode(payload).decode()}) for payload in payloads]
    yield "log-errors/2026/03/01/12", "\n".join(lines).encode()


_FORMS = (_aggregates, _split, _errors)
