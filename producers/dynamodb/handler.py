"""The Lambda function of DynamoDB streams.

Its event source mapping needs ReportBatchItemFailures, and must never discard records:
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html

The environment: schemas/settings.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from producers.drift_reporter import DriftReporter
from producers.dynamodb.records import RecordReader, StreamRecord, letter_of_event
from producers.publisher import Publisher, PublishError
from producers.wiring import Wiring, wire_from_environment
from schemas.catalog.entity import Catalog
from schemas.deadline import SecondsLeft, seconds_left, unlimited
from schemas.errors import PoisonEventError, TransientError
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.privacy import HashKey
from schemas.telemetry.invocation import invocation

_log = logging.getLogger(__name__)

_Dead: TypeAlias = tuple[int, DeadLetter]  # with the number of its record in the batch


def handler(lambda_event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Publish a batch of one shard. The response makes Lambda repeat what is not durable (INV-1).

    Raises ConfigurationError, after which Lambda repeats the whole batch until a person has fixed the cause.
    """
    with invocation("dynamodb-producer", context) as measured:
        outcome = _producer().take(lambda_event, seconds_left(context))
        measured.add("Events", outcome.published)
        measured.add("DeadLetters", outcome.dead)
        return outcome.answer()


@cache
def _producer() -> Producer:
    return build(wire_from_environment())


def build(wiring: Wiring) -> Producer:
    """Build the producer from its parts."""
    return Producer(wiring.catalog, wiring.publisher, wiring.letters, wiring.hash_key, wiring.drift)


class Outcome(NamedTuple):
    """The counts of a batch, and the point at which to retry it."""

    published: int  # events
    dead: int  # letters
    skipped: int  # records that no entity claims
    failed: str | None  # sequence number of the first record that is not durable, where a retry begins

    @property
    def clean(self) -> bool:
        """True if every record was published or skipped."""
        return not self.dead and self.failed is None

    def answer(self) -> dict[str, Any]:
        """Return the response for Lambda."""
        return {"batchItemFailures": [] if self.failed is None else [{"itemIdentifier": self.failed}]}


class Producer:
    """Publishes the events of stream records, in order."""

    def __init__(
        self,
        catalog: Catalog,
        publisher: Publisher,
        letters: LetterStore,
        hash_key: HashKey | None = None,
        drift: DriftReporter | None = None,
    ) -> None:
        self._reader = RecordReader(catalog, hash_key, drift)
        self._drift = drift
        self._publisher = publisher
        self._letters = letters

    def handle(self, lambda_event: Mapping[str, Any], left: SecondsLeft = unlimited) -> dict[str, Any]:
        """Process a Lambda event, and return the response. `left` returns the time left to the invocation."""
        return self.take(lambda_event, left).answer()

    def take(self, lambda_event: Mapping[str, Any], left: SecondsLeft = unlimited) -> Outcome:
        """Process a Lambda event. Raises as `publish`."""
        outcome = self.publish(lambda_event["Records"], left)
        level = logging.INFO if outcome.clean else logging.WARNING
        _log.log(level, "%d events published, %d dead letters, %d records skipped, failed from %s", *outcome)
        return outcome

    def publish(self, records: Sequence[StreamRecord], left: SecondsLeft = unlimited) -> Outcome:
        """Publish records. Stops at the first that fails, from which the caller has to retry.

        A record is done when Kinesis has its events and its dead letters are stored (INV-1). Raises
        ConfigurationError.
        """
        self._publisher.left = left
        published = [0] * len(records)
        letters: list[_Dead] = []
        failed = len(records)
        try:
            for number, record in enumerate(records):
                published[number] = self._add(number, record, letters)
            self._publisher.flush()
        except PublishError as error:
            # The tags are numbers of records. Later ones may be durable, but Lambda retries from a point on.
            failed = min(error.tags)
        except BaseException:
            self._publisher.forget()  # the next batch must not send the rest of this one
            raise
        # After the flush: letters of records beyond the failed one are left to the retry.
        failed, stored = self._store_letters(letters, failed)
        if self._drift:
            self._drift.flush()
        return Outcome(
            published=sum(published[:failed]),
            dead=len(stored),
            skipped=failed - len({*stored, *(n for n in range(failed) if published[n])}),
            failed=None if failed == len(records) else records[failed]["dynamodb"]["SequenceNumber"],
        )

    def _add(self, number: int, record: StreamRecord, letters: list[_Dead]) -> int:
        """Add the events of a record to the publisher, and return how many they are."""
        reading = self._reader.read(record)
        if reading.letters:
            letters += [(number, letter) for letter in reading.letters]
        published = 0
        for event, schema in reading.events:
            try:
                self._publisher.add(event, schema, number)
                published += 1
            except PoisonEventError as error:  # too large
                letters.append((number, letter_of_event(record, error, event)))
        return published

    def _store_letters(self, letters: Sequence[_Dead], failed: int) -> tuple[int, list[int]]:
        """Store the dead letters of the records before `failed`.

        Returns the first failed record after that, and the record of each stored letter.
        """
        due = [(number, letter) for number, letter in letters if number < failed]
        try:
            if due:
                self._letters.put([letter for _, letter in due])
        except TransientError:
            return due[0][0], []
        return failed, [number for number, _ in due]
