"""Conversion of DynamoDB stream records to events. Pure: equal records give equal bytes (INV-5).

Old and new image are routed and keyed separately: an item that moves to another entity or key becomes a
delete there and an upsert here. A record yields at most one event for each key of an entity. Records have the
form of a Lambda event: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from producers.drift_reporter import DriftReporter
from producers.dynamodb.images import NO_STATE, Image, ItemReader, ItemState
from schemas.catalog.drift import Unknown
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.event import Event, Operation, event_id, make_event
from schemas.letters.letter import DeadLetter, letter_id
from schemas.payload.codec import Schema
from schemas.positions import dynamodb_position, generation_of
from schemas.privacy import HashKey
from schemas.sources.dynamodb import entities_of_table

StreamRecord: TypeAlias = Mapping[str, Any]

STAGE = "dynamodb"
VIEW: Final = "NEW_AND_OLD_IMAGES"
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
DELETED_BY_TTL = {"deleted_by": "ttl"}
BACKFILL = "backfill"
"""Member of a record, and of its events' metadata: how a backfill read the item. No stream record has it."""
YEAR_10000 = 253_402_300_800  # seconds since 1970


@dataclass(slots=True)
class Reading:
    """The events and dead letters of one record; none of either if no entity claims the item (INV-7)."""

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
        """`key` hashes the hashed fields; `drift` receives the attributes that no schema names."""
        self._catalog = catalog
        self._key = key
        self._drift = drift
        self._tables: dict[str, _Table] = {}  # by the stream's ARN

    def read(self, record: StreamRecord) -> Reading:
        """Convert a record. A record or item that can't be used becomes a dead letter.

        Raises ConfigurationError for a stream or table that does not fit the entities.
        """
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
        """Return the reason why `read` would refuse a record of a known table; None if it would not."""
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
    """Raise ConfigurationError for a value that is no record of a DynamoDB stream."""
    try:
        _ = record["eventSourceARN"], record["dynamodb"]["Keys"], record["dynamodb"]["SequenceNumber"]
    except KeyError as missing:
        raise ConfigurationError(f"not a record of a DynamoDB stream: it has no {missing}") from None


def table_of(arn: str) -> str:
    """Return the table's name from the ARN of its stream."""
    return arn.split("/")[1]


class _Table:
    """A table's stream: the readers of its items, and the generation of its positions."""

    def __init__(
        self, catalog: Catalog, arn: str, hash_key: HashKey | None, drift: DriftReporter | None
    ) -> None:
        self._generation = generation_of(arn)
        self._name = table_of(arn)
        self._readers = [ItemReader(*pair, hash_key) for pair in entities_of_table(catalog, self._name)]
        self._drift = drift
        self._key: Set[str] | None = None  # attributes of the table's key, known from the first record
        if not self._readers:
            raise ConfigurationError(
                f"table {self._name}: no entity names it; "
                'add [[source]] dynamodb = "<table>" to an entity.toml, or remove this event source'
            )

    def check(self, change: Mapping[str, Any]) -> None:
        """Raise ConfigurationError unless the stream has both images, and each entity the table's key."""
        view, keys = change.get("StreamViewType"), change["Keys"]
        if view != VIEW:
            raise ConfigurationError(
                f"table {self._name}: its stream has the view {view}, not {VIEW}; "
                "switch that stream off, a new one on, and repair the gap in between with a backfill"
            )
        # Checked once for each form of the key, not for each record.
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
        """Add the record's events and dead letters to `reading`.

        Raises PoisonEventError if the record as a whole can't be used.
        """
        old, new = change.get("OldImage"), change.get("NewImage")
        if not old and not new:
            raise PoisonEventError("the record has neither image")
        reading.position = dynamodb_position(self._generation, change["SequenceNumber"])
        reading.occurred_at = _micros(change.get("ApproximateCreationDateTime"))
        # Part of the stream record, so a retry sees the same metadata (INV-5).
        identity = reading.record.get("userIdentity")
        if identity and identity.items() >= TIME_TO_LIVE.items():
            reading.metadata = DELETED_BY_TTL
        if method := reading.record.get(BACKFILL):
            reading.metadata = {BACKFILL: method}
        # With an old image, a row that is new to the entity came from elsewhere, and a backfill only knows
        # that the item exists: no earlier state is known.
        first = Operation.UPSERT if old or method else Operation.INSERT
        for reader in self._readers:
            after = reader.new_state(new) if new and reader.claims(new) else NO_STATE
            before = reader.old_state(old, after) if old and reader.claims(old) else NO_STATE
            _add_changes(reading, reader, before, after, first)
            if new and after is not NO_STATE:
                self._observe(reader, new, reading.occurred_at)

    def _observe(self, reader: ItemReader, image: Image, occurred_at: int) -> None:
        if self._drift and reader.entity.unknown is not Unknown.IGNORE and (names := reader.unknown(image)):
            self._drift.observe(reader.entity.name, reader.source.name, occurred_at, names)


def _micros(moment: object) -> int:
    """Convert a moment since 1970, which may have a fraction, to microseconds. Raises PoisonEventError."""
    # Streams count in seconds. Records that went through Kinesis, or that other tools stored, may count in
    # milliseconds or microseconds. The ranges do not overlap in practice: seconds end with the year 9999, and
    # from 1978 on the other units exceed that number.
    if type(moment) is int or type(moment) is float:  # a bool is an int, too
        for scale in (1_000_000, 1_000, 1):
            if 0 <= moment < YEAR_10000 * (1_000_000 // scale):
                # Rounding is exact: until 2255 a float of seconds is off by less than 0.25 µs.
                return round(moment * scale)
    raise PoisonEventError("ApproximateCreationDateTime: not a number of seconds since 1970")


def _add_changes(
    reading: Reading, reader: ItemReader, before: ItemState, after: ItemState, first: Operation
) -> None:
    """Add the events and dead letters of one entity's row.

    `first` is the operation for a row that the entity did not have before.
    """
    # Also when the new state has an error but another key: the old row is gone whatever the new one is. A bad
    # new state under the same key leaves the row as it was, with a dead letter.
    if before.key is not None and before.key != after.key:
        _add(reading, reader, Operation.DELETE, before.key, before=before.payload, after=None)
    if after.key is not None and after.payload is not None:
        if before.key == after.key:
            _add(reading, reader, Operation.UPDATE, after.key, before=before.payload, after=after.payload)
        else:
            _add(reading, reader, first, after.key, before=None, after=after.payload)
    if before.error:
        reading.letters.append(_letter_of(reading, reader, before.key, before.error))
    if after.error:
        reading.letters.append(_letter_of(reading, reader, after.key, after.error))


def _add(
    reading: Reading,
    reader: ItemReader,
    operation: Operation,
    key: str,
    *,
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
    """Return the dead letter of one entity's part of a record."""
    letter = _letter(reading.record, error)
    entity, source, position = reader.entity.name, reader.source.name, reading.position
    # With a key the letter has the id of the event that it replaces. Without one the entity is part of the
    # id: two entities may refuse the same record, and each needs a letter of its own (INV-4).
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
    """Return the dead letter of a record whose event is too large to be published."""
    # The reason says so because no comparison can: log and table agree on the older state.
    kept = (
        "; the table keeps the older state of this key until a smaller item is written: in a json field, "
        "control characters, numbers with a large exponent and empty strings take most (docs/entities.md)"
    )
    return replace(
        _letter(record, PoisonEventError(error.reason + kept, error.cause)),
        id=event.event_id.hex(),
        entity=event.entity,
        source=event.source,
        position=event.position,
        occurred_at=event.occurred_at,
    )


def payload_of(record: StreamRecord) -> bytes:
    """Serialize a record, always in the same form, as the payload of its dead letter."""
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _letter(record: StreamRecord, error: PoisonEventError) -> DeadLetter:
    payload = payload_of(record)
    return DeadLetter(
        id=letter_id(payload),
        stage=STAGE,
        entity=None,
        source=None,
        position=None,
        reason=error.reason,
        cause=error.cause,
        payload=payload,
        occurred_at=None,
    )
