"""Dead letters of DynamoDB records once more through the producer, to Kinesis."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from producers.dynamodb.handler import Producer
from producers.dynamodb.records import STAGE, RecordReader, StreamRecord
from schemas.dead_letter import DeadLetter, LetterStore
from schemas.entity import Catalog
from schemas.errors import ConfigurationError, TransientError
from schemas.letter_outcomes import Outcome, Refusals
from schemas.privacy import HashKey


class DynamoDbRedriver:
    """`schemas.letter_outcomes.Redriver` of the stage "dynamodb".

    A record is published whole: what of it was published before is a duplicate, with the same bytes (INV-5).
    """

    def __init__(
        self, catalog: Catalog, producer: Callable[[LetterStore], Producer], key: HashKey | None = None
    ) -> None:
        """`producer` makes the producer that puts what it refuses in that store; `key` is the one it has."""
        self._refusals = Refusals()
        self._producer = producer(self._refusals)
        self._reader = RecordReader(catalog, key)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[Outcome]:
        """Raises TransientError unless Kinesis has taken every event (INV-1)."""
        self._refusals.taken()  # of a call that failed
        records = {letter.payload: _record(letter) for letter in letters}
        outcome = self._producer.publish(list(records.values()))
        if outcome.failed is not None:
            raise TransientError(f"Kinesis did not take all of {len(records)} records")
        refused: dict[bytes, list[DeadLetter]] = {}
        for letter in self._refusals.taken():
            refused.setdefault(letter.payload, []).append(letter)
        return [
            self._outcome(letter, records[letter.payload], refused.get(letter.payload, ()))
            for letter in letters
        ]

    def _outcome(self, letter: DeadLetter, record: StreamRecord, refused: Sequence[DeadLetter]) -> Outcome:
        """Of the letter's own entity: that another one refuses the record is that one's letter."""
        reasons = {
            each.reason
            for each in refused
            if each.entity == letter.entity or None in (each.entity, letter.entity)
        }
        if reasons:
            return Outcome(STAGE, letter.id, "failed-again", "; ".join(sorted(reasons)))
        told = {event.entity for event, _ in self._reader.read(record).events}
        if letter.entity is not None and letter.entity not in told:
            reason = f"the record says nothing of entity {letter.entity} any more: see its `where`"
            return Outcome(STAGE, letter.id, "failed-again", reason)
        return Outcome(STAGE, letter.id, "redriven")


def _record(letter: DeadLetter) -> StreamRecord:
    try:
        record: StreamRecord = json.loads(letter.payload)
    except ValueError:
        raise ConfigurationError(f"the payload of the dead letter {letter.id} is no record") from None
    return record
