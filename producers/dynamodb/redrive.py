"""Dead letters of DynamoDB records once more through the producer, to Kinesis."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from producers.dynamodb.handler import Producer
from producers.dynamodb.records import STAGE, RecordReader, StreamRecord, check_form, payload_of, table_of
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, TransientError
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.letters.outcomes import LetterOutcome, RefusedLetters
from schemas.privacy import HashKey


class DynamoDbRedriver:
    """`schemas.letters.outcomes.Redriver` of the stage "dynamodb".

    A record is published whole: what of it was published before is a duplicate, with the same bytes (INV-5).
    """

    def __init__(
        self, catalog: Catalog, producer: Callable[[LetterStore], Producer], key: HashKey | None = None
    ) -> None:
        """`producer` makes the producer that puts what it refuses in that store; `key` is the one it has."""
        self._catalog = catalog
        self._refusals = RefusedLetters()
        self._producer = producer(self._refusals)
        self._reader = RecordReader(catalog, key)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        """Raises TransientError unless Kinesis has taken every event (INV-1)."""
        records = {letter.payload: _record(letter) for letter in letters}
        unfit = {payload: self._unfit(record) for payload, record in records.items()}
        refused = self._published([each for payload, each in records.items() if not unfit[payload]])
        return [
            _outcome(letter, unfit[letter.payload] or self._reason(letter, records[letter.payload], refused))
            for letter in letters
        ]

    def _published(self, records: Sequence[StreamRecord]) -> Mapping[bytes, Sequence[DeadLetter]]:
        """What was refused of them, by payload."""
        self._refusals.drain()  # of a call that failed
        outcome = self._producer.publish(records)
        if outcome.failed is not None:
            raise TransientError(f"Kinesis did not take all of {len(records)} records")
        refused: dict[bytes, list[DeadLetter]] = {}
        for letter in self._refusals.drain():
            refused.setdefault(letter.payload, []).append(letter)
        return refused

    def _unfit(self, record: StreamRecord) -> str | None:
        """Why the producer would refuse it as wrong wiring. Here it is an old letter, that stops no other."""
        if not record:
            return "the payload is no record of a table's stream"
        if not self._catalog.for_table(_table(record)):
            return f"no entity names the table {_table(record)} any more"
        return self._reader.unfit(record)

    def _reason(
        self, letter: DeadLetter, record: StreamRecord, refused: Mapping[bytes, Sequence[DeadLetter]]
    ) -> str | None:
        """Of the letter's own entity: that another one refuses the record is that one's letter."""
        entity = letter.entity
        others = refused.get(payload_of(record), ())
        reasons = {each.reason for each in others if each.entity == entity or None in (each.entity, entity)}
        if reasons:
            return "; ".join(sorted(reasons))
        told = {event.entity for event, _ in self._reader.read(record).events}
        if entity is not None and entity not in told:
            return f"the record says nothing of entity {entity} any more: see its `where`"
        return None


def _outcome(letter: DeadLetter, reason: str | None) -> LetterOutcome:
    return LetterOutcome(STAGE, letter.id, "failed-again" if reason else "redriven", reason or "")


def _table(record: StreamRecord) -> str:
    return table_of(record["eventSourceARN"])


def _record(letter: DeadLetter) -> StreamRecord:
    """Empty where the payload is none: one letter that was altered stops no other."""
    try:
        record: StreamRecord = json.loads(letter.payload)
        check_form(record)
        _table(record)
    except (ConfigurationError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return record
