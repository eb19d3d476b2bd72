"""Records of DynamoDB streams to events. Pure: the same record gives the same events, byte for byte (INV-5).

A record in the form of a Lambda event: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
The old image and the new one are routed and keyed apart, so that an item that moves to another entity or key
is a delete there and an upsert here. From one record comes at most one event for a key of an entity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from producers.drift_reporter import DriftReporter
from producers.dynamodb.images import NO_STATE, Image, ItemReader, State
from schemas.catalog.drift import Unknown
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.event import Event, Operation, event_id, make_event
from schemas.letters.letter import DeadLetter, letter_id
from schemas.payload.codec import Schema
from schemas.positions import dynamodb_position, generation_of
from schemas.privacy import HashKey

StreamRecord: TypeAlias = Mapping[str, Any]

STAGE = "dynamodb"
VIEW = "NEW_AND_OLD_IMAGES"
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
DELETED_BY_TTL = {"deleted_by": "ttl"}
YEAR_10000 = 253_402_300_800  # seconds since 1970


@dataclass(slots=True)
class Reading:
    """What one record comes to. Neither: no entity claims the item, so that nothing of it leaves (INV-7)."""

    record: StreamRecord
    events: list[tuple[Event, Schema]]
    letters: list[DeadLetter]
    position: str = ""
    occurred_at: int = 0
    metadata: Mapping[str, str] | None = None


class RecordReader:
    """Reads the records of the streams of all tables in a catalog."""

    def __init__(
        self, catalog: Catalog, key: HashKey | None = None, drift: DriftReporter | None = None
    ) -> None:
        """`key` hashes the hashed fields; `drift` is told of attributes that no schema names."""
        self._catalog = catalog
        self._key = key
        self._drift = drift
        self._tables: dict[str, _Table] = {}  # by the stream's ARN

    def read(self, record: StreamRecord) -> Reading:
        """Raises ConfigurationError for a stream or a table that the entities were not made for."""
        check_form(record)
        table, change = self._table(record), record["dynamodb"]
        table.check(change)
        reading = Reading(record, [], [])
        try:
            table.read(reading, change)
        except PoisonEventError as error:
            reading.letters.append(_letter(record, error))
        return reading

    def unfit(self, record: StreamRecord) -> str | None:
        """Why `read` refuses a record of the right form, whose table an entity names; None if it does not."""
        table = self._table(record)
        try:
            table.check(record["dynamodb"])
        except ConfigurationError as error:
            return str(error)
        return None

    def _table(self, record: StreamRecord) -> _Table:
        arn = record["eventSourceARN"]
        table = self._tables.get(arn)
        if table is None:
            table = self._tables[arn] = _Table(self._catalog, arn, self._key, self._drift)
        return table


def check_form(record: StreamRecord) -> None:
    """Raises ConfigurationError for what is no record of a DynamoDB stream."""
    try:
        _ = record["eventSourceARN"], record["dynamodb"]["Keys"], record["dynamodb"]["SequenceNumber"]
    except KeyError as missing:
        raise ConfigurationError(f"not a record of a DynamoDB stream: it has no {missing}") from None


def table_of(arn: str) -> str:
    """The table's name in the ARN of its stream."""
    return arn.split("/")[1]


class _Table:
    """One table's stream: what its items may be, and the generation of its positions."""

    def __init__(
        self, catalog: Catalog, arn: str, hash_key: HashKey | None, drift: DriftReporter | None
    ) -> None:
        self._generation = generation_of(arn)
        self._name = table_of(arn)
        self._readers = [ItemReader(*pair, hash_key) for pair in catalog.for_table(self._name)]
        self._drift = drift
        self._key: Set[str] | None = None  # the table's own, once a record told it
        if not self._readers:
            raise ConfigurationError(
                f"table {self._name}: no entity names it; "
                'add [[source]] dynamodb = "<table>" to an entity.toml, or remove this event source'
            )

    def check(self, change: Mapping[str, Any]) -> None:
        """Raises ConfigurationError unless the stream holds both images, and each entity the table's key."""
        view, keys = change.get("StreamViewType"), change["Keys"]
        if view != VIEW:
            raise ConfigurationError(
                f"table {self._name}: its stream has the view {view}, not {VIEW}; "
                "switch that stream off, a new one on, and repair the gap in between with a backfill"
            )
        if keys.keys() != self._key:
            self._check_key(set(keys))

    def _check_key(self, key: set[str]) -> None:
        for reader in self._readers:
            if absent := key - reader.key_attributes:
                raise ConfigurationError(
                    f"entity {reader.entity.name}: its key lacks {', '.join(sorted(absent))}, key of table "
                    f"{self._name}: two items would be one row; add that field to key in entity.toml"
                )
        self._key = key

    def read(self, reading: Reading, change: Mapping[str, Any]) -> None:
        """Raises PoisonEventError if the record as a whole can't be used."""
        old, new = change.get("OldImage"), change.get("NewImage")
        if not old and not new:
            raise PoisonEventError("the record has neither image")
        reading.position = dynamodb_position(self._generation, change["SequenceNumber"])
        reading.occurred_at = _micros(change.get("ApproximateCreationDateTime"))
        identity = reading.record.get("userIdentity")
        if identity and identity.items() >= TIME_TO_LIVE.items():
            reading.metadata = DELETED_BY_TTL
        first = Operation.UPSERT if old else Operation.INSERT
        for reader in self._readers:
            now = reader.new_state(new) if new and reader.claims(new) else NO_STATE
            was = reader.old_state(old, now) if old and reader.claims(old) else NO_STATE
            _tell(reading, reader, was, now, first)
            if new and now is not NO_STATE:
                self._see(reader, new, reading.occurred_at)

    def _see(self, reader: ItemReader, image: Image, occurred_at: int) -> None:
        if self._drift and reader.entity.unknown is not Unknown.IGNORE and (names := reader.unknown(image)):
            self._drift.observe(reader.entity.name, reader.source.name, occurred_at, names)


def _micros(moment: object) -> int:
    """A moment since 1970, perhaps with a fraction, as microseconds. Raises PoisonEventError.

    Streams count in seconds. What went through Kinesis, or was stored by other tools, may count in
    milliseconds or microseconds: seconds end with the year 9999, and the others exceed that from 1978 on.
    """
    if type(moment) is int or type(moment) is float:
        for scale in (1_000_000, 1_000, 1):
            if 0 <= moment < YEAR_10000 * (1_000_000 // scale):
                return round(
                    moment * scale
                )  # exact: until 2255 a float of seconds is off by less than 0.25 µs
    raise PoisonEventError("ApproximateCreationDateTime: not a number of seconds since 1970")


def _tell(reading: Reading, reader: ItemReader, was: State, now: State, first: Operation) -> None:
    """What became of one entity's row. `first` is the operation of a row that the entity has not had."""
    if was.key is not None and was.key != now.key:
        _add(reading, reader, Operation.DELETE, was.key, was.payload, None)
    if now.key is not None and now.payload is not None:
        if was.key == now.key:
            _add(reading, reader, Operation.UPDATE, now.key, was.payload, now.payload)
        else:
            _add(reading, reader, first, now.key, None, now.payload)
    if was.error:
        reading.letters.append(_letter_of(reading, reader, was.key, was.error))
    if now.error:
        reading.letters.append(_letter_of(reading, reader, now.key, now.error))


def _add(
    reading: Reading,
    reader: ItemReader,
    operation: Operation,
    key: str,
    before: bytes | None,
    after: bytes | None,
) -> None:
    schema = reader.entity.schema
    event = make_event(
        source=reader.source.name,
        entity=schema.entity,
        operation=operation,
        key=key,
        position=reading.position,
        occurred_at=reading.occurred_at,
        schema_fingerprint=schema.fingerprint,
        before=before,
        after=after,
        metadata=reading.metadata,
    )
    reading.events.append((event, schema))


def _letter_of(reading: Reading, reader: ItemReader, key: str | None, error: PoisonEventError) -> DeadLetter:
    """The letter of one entity's part of a record."""
    letter = _letter(reading.record, error)
    entity, source, position = reader.entity.name, reader.source.name, reading.position
    # Without a key it is known by the entity, too: each entity has a letter of its own (INV-4).
    unkeyed = letter_id(entity.encode() + b"\n" + letter.payload)
    return replace(
        letter,
        id=unkeyed if key is None else event_id(entity, source, key, position).hex(),
        entity=entity,
        source=source,
        position=position,
        occurred_at=reading.occurred_at,
    )


def letter_of_event(record: StreamRecord, error: PoisonEventError, event: Event) -> DeadLetter:
    """The letter of a record whose event can't be published. Until somebody makes the item smaller, the table
    shows the state before this change, and a comparison with the log can't tell."""
    kept = "; the table keeps the older state of this key until a smaller item is written"
    return replace(
        _letter(record, PoisonEventError(error.reason + kept, error.cause)),
        id=event.event_id.hex(),
        entity=event.entity,
        source=event.source,
        position=event.position,
        occurred_at=event.occurred_at,
    )


def payload_of(record: StreamRecord) -> bytes:
    """The record in the one form in which a letter keeps it."""
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _letter(record: StreamRecord, error: PoisonEventError) -> DeadLetter:
    payload = payload_of(record)
    return DeadLetter(
        letter_id(payload), STAGE, None, None, None, error.reason, error.cause, payload, occurred_at=None
    )
