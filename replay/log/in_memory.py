"""A log and a stream in memory: the ports of replay without AWS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consumers.kinesis import KinesisRecord, Page, Shard, Start
from replay.log.reader import DOCUMENT_PREFIXES, ERRORS, LOG, SCHEMAS, LogObject
from schemas.errors import LogIntegrityError
from schemas.payload.codec import Schema, schema_document, schema_log_key


@dataclass(slots=True)
class InMemoryLog:
    """A `LogStore` over a dict of key to bytes.

    `before_read` is called with the key of an object before it is read, and may change the log or raise.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    before_read: Callable[[str], None] = lambda _key: None

    def put(self, key: str, content: bytes) -> None:
        self.contents[key] = content

    def put_schema(self, schema: Schema) -> None:
        """Store a schema, as a producer does before the first event that uses it."""
        self.put(schema_log_key(schema.fingerprint), schema_document(schema))

    def objects(self, after: str = "") -> Iterator[LogObject]:
        for key in sorted(self.contents):
            if key > after and key.startswith((ERRORS, LOG)) and not key.startswith(DOCUMENT_PREFIXES):
                yield _listed(key, self.contents[key])

    def parts(self, item: LogObject) -> Iterator[bytes]:
        self.before_read(item.key)
        content = self.contents.get(item.key, b"")
        if _listed(item.key, content) != item:
            raise LogIntegrityError(f"{item.key}: is no longer what was listed")
        yield content

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        return ((key, self.contents[key]) for key in sorted(self.contents) if key.startswith(SCHEMAS))

    def document(self, key: str) -> bytes | None:
        return self.contents.get(key)


def _listed(key: str, content: bytes) -> LogObject:
    return LogObject(key, len(content), str(hash(content)))


@dataclass(slots=True)
class InMemoryStream:
    """`replay.tail.Stream` with shards that can be closed and opened.

    `now` is the arrival time of a record; one read returns at most `most` records. `before_read` is called
    with the shard before each read, to simulate concurrent changes or an error.
    """

    name: str = "arn:aws:kinesis:eu-west-1:000000000000:stream/events@2026-01-01T00:00:00+00:00"
    kept: timedelta = timedelta(hours=24)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    most: int = 1_000
    before_read: Callable[[str], None] = lambda _shard: None
    records: dict[str, list[KinesisRecord]] = field(default_factory=lambda: {"shard-0": []})
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    put_so_far: int = 0

    def put(self, payload: bytes, shard: str = "shard-0") -> str:
        """Add a record to an open shard. Returns its sequence number."""
        if shard in self.closed:
            raise ValueError(f"{shard} is closed")
        # One counter for all shards: as in Kinesis, the numbers of one shard increase, but with gaps.
        self.put_so_far += 1
        sequence = str(self.put_so_far)
        self.records[shard].append(KinesisRecord(shard, sequence, payload, self.now()))
        return sequence

    def reshard(self, parent: str, *children: str) -> None:
        """Close a shard and open others in its place."""
        self.closed.add(parent)
        self.records.update((child, []) for child in children)
        self.parents.update((child, (parent,)) for child in children)

    def trim(self) -> None:
        """Drop records past the retention, then closed shards without records."""
        since = self.now() - self.kept
        for shard, records in list(self.records.items()):
            records[:] = [record for record in records if record.arrived_at >= since]
            if not records and shard in self.closed:
                del self.records[shard]

    def identity(self) -> str:
        return self.name

    def retention(self) -> timedelta:
        return self.kept

    def shards(self) -> list[Shard]:
        return [
            Shard(shard, self.parents.get(shard, ()), "end" if shard in self.closed else None)
            for shard in self.records
        ]

    def open(self, shard: str, start: Start = None) -> "InMemoryCursor":
        return InMemoryCursor(self, shard, start)


@dataclass(slots=True)
class InMemoryCursor:
    """`replay.tail.ShardCursor` of one shard."""

    stream: InMemoryStream
    shard: str
    start: Start
    opened: bool = False

    def read(self, *, closed: bool) -> Page:
        self.stream.before_read(self.shard)
        trimmed = not self.opened and self._is_start_trimmed()
        self.opened = True
        ahead = [record for record in self.stream.records.get(self.shard, ()) if self._is_ahead(record)]
        page = ahead[: self.stream.most]
        # An empty page leaves `start`: a cursor opened at a time must not skip what arrives later.
        if page:
            self.start = page[-1].sequence
        at_tip = len(page) == len(ahead)
        return Page(page, at_tip, at_tip and closed, trimmed)

    def _is_start_trimmed(self) -> bool:
        if not isinstance(self.start, str):
            return False
        sequence = self.start.lstrip("0")
        return all(record.sequence != sequence for record in self.stream.records.get(self.shard, ()))

    def _is_ahead(self, record: KinesisRecord) -> bool:
        if isinstance(self.start, datetime):
            return record.arrived_at >= self.start
        # As numbers: callers pass sequence numbers padded or not.
        return self.start is None or int(record.sequence) > int(self.start)
