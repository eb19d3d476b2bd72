"""Redrive of dead letters of DynamoDB records through the producer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from producers.dynamodb.handler import Producer
from producers.dynamodb.handler import build as build_producer
from producers.dynamodb.records import STAGE, RecordReader, StreamRecord, check_form, payload_of, table_of
from producers.wiring import Wiring
from schemas.catalog.entity import Catalog
from schemas.deadline import SecondsLeft, unlimited
from schemas.errors import ConfigurationError, TransientError
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.letters.outcomes import LetterOutcome, RefusedLetters
from schemas.privacy import HashKey
from schemas.sources.dynamodb import entities_of_table


def build(wiring: Wiring, left: SecondsLeft = unlimited) -> DynamoDbRedriver:
    """Build the redriver for one invocation, which has so much time left."""
    return DynamoDbRedriver(
        wiring.catalog,
        lambda letters: build_producer(wiring._replace(letters=letters)),
        wiring.hash_key,
        left,
    )


class DynamoDbRedriver:
    """`schemas.letters.outcomes.Redriver` of the stage "dynamodb".

    A record is published whole. Its events that were published before become duplicates, since they have the
    same bytes (INV-5).
    """

    def __init__(
        self,
        catalog: Catalog,
        producer: Callable[[LetterStore], Producer],
        key: HashKey | None = None,
        left: SecondsLeft = unlimited,
    ) -> None:
        """`producer` builds a producer that uses `key` and stores its dead letters in its argument."""
        self._catalog = catalog
        self._left = left
        self._refusals = RefusedLetters()
        self._producer = producer(self._refusals)
        self._reader = RecordReader(catalog, key)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """Publish the records of these letters, and return the outcome of each letter.

        Raises TransientError unless Kinesis has acknowledged every event (INV-1).
        """
        # By payload: the letters of several entities may have the same record, which is published once.
        records = {letter.payload: _record(letter) for letter in letters}
        unfit = {payload: self._unfit(record) for payload, record in records.items()}
        refused = self._publish([record for payload, record in records.items() if not unfit[payload]])
        return [
            _outcome(letter, unfit[letter.payload] or self._reason(letter, records[letter.payload], refused))
            for letter in letters
        ]

    def _publish(self, records: Sequence[StreamRecord]) -> Mapping[bytes, Sequence[DeadLetter]]:
        """Publish records. Returns the new dead letters, by payload."""
        self._refusals.drain()  # left over from a call that failed
        outcome = self._producer.publish(records, self._left)
        if outcome.failed is not None:
            raise TransientError(f"Kinesis did not take all of {len(records)} records")
        refused: dict[bytes, list[DeadLetter]] = {}
        for letter in self._refusals.drain():
            refused.setdefault(letter.payload, []).append(letter)
        return refused

    def _unfit(self, record: StreamRecord) -> str | None:
        """Return the reason why the producer would raise for this record; None if it would not."""
        # From a stream such a record is a wiring fault and stops the producer. Here it is only an old letter,
        # which must not stop the others.
        if not record:
            return "the payload is no record of a table's stream"
        if not entities_of_table(self._catalog, _table(record)):
            return f"no entity names the table {_table(record)} any more"
        return self._reader.unfit(record)

    def _reason(
        self, letter: DeadLetter, record: StreamRecord, refused: Mapping[bytes, Sequence[DeadLetter]]
    ) -> str | None:
        """Return the reason why the letter failed again; None if it is redriven."""
        # Refusals of other entities do not count: they have letters of their own.
        entity = letter.entity
        again = refused.get(payload_of(record), ())
        reasons = {new.reason for new in again if new.entity == entity or None in (new.entity, entity)}
        if reasons:
            return "; ".join(sorted(reasons))
        published = {event.entity for event, _ in self._reader.read(record).events}
        if entity is not None and entity not in published:
            return f"the record says nothing of entity {entity} any more: see its `where`"
        return None


def _outcome(letter: DeadLetter, reason: str | None) -> LetterOutcome:
    return LetterOutcome(STAGE, letter.id, "failed-again" if reason else "redriven", reason or "")


def _table(record: StreamRecord) -> str:
    return table_of(record["eventSourceARN"])


def _record(letter: DeadLetter) -> StreamRecord:
    """Parse the payload. Returns an empty record for a malformed one: an altered letter stops no other."""
    try:
        record: StreamRecord = json.loads(letter.payload)
        check_form(record)
        _table(record)
    except (ConfigurationError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return record
