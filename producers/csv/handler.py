"""The Lambda function of CSV files, called by S3 notifications directly or through SQS.

Through SQS its event source mapping needs ReportBatchItemFailures:
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
The source bucket must be versioned, and must never expire objects under drop/ and corrections/.

The environment: schemas/settings.py.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from producers.csv.archive import (
    DROP,
    LONGEST_KEY,
    Bucket,
    Location,
    ObjectGoneError,
    S3Bucket,
    is_loose,
    is_settled,
    locate,
)
from producers.csv.file import STAGE, File, RowCounts, object_letter
from producers.csv.meter import Meter, ReadingCallback, no_report
from producers.csv.notices import Notice, read_notices
from producers.drift_reporter import DriftReporter
from producers.publisher import Publisher
from producers.wiring import Wiring, wire_from_environment
from schemas.catalog.entity import Catalog
from schemas.deadline import Deadline, SecondsLeft, seconds_left, unlimited
from schemas.errors import Cause, HeadwaterError, PoisonEventError, TransientError
from schemas.letters.letter import DeadLetter, LetterStore, letter_id
from schemas.privacy import HashKey
from schemas.sources.csv import entity_of_feed
from schemas.telemetry.invocation import invocation

_log = logging.getLogger(__name__)


def handler(lambda_event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Publish the files that notifications name.

    A file that is not done is retried (INV-1): SQS repeats the messages named in the response; for a direct
    call from S3 this raises TransientError or ConfigurationError, after which Lambda repeats it.
    """
    with invocation("csv-producer", context) as measured:
        producer = _producer()
        before, files = producer.totals(), producer.files.copy()
        try:
            return producer.handle(lambda_event, seconds_left(context))
        finally:  # a direct call raises after the first files may have been published
            for metric, start, end in zip(Totals._fields, before, producer.totals(), strict=True):
                measured.add(metric, end - start)
            for feed, number in (producer.files - files).items():
                measured.add("Files", number, of=feed)


@cache
def _producer() -> Producer:
    return build(wire_from_environment())


def build(wiring: Wiring, report: ReadingCallback = no_report) -> Producer:
    """Build the producer from its parts. `report` is called about once a second while a file is read."""
    catalog, publisher, letters, s3, hash_key, drift = wiring
    return Producer(
        catalog=catalog,
        publisher=publisher,
        letters=letters,
        bucket=lambda name: S3Bucket(s3, name),
        hash_key=hash_key,
        drift=drift,
        report=report,
    )


class Totals(NamedTuple):
    """What a producer has done since it was built, by names of metrics: finished files under drop/, rows and
    rejects of all finished files, events that Kinesis has acknowledged, and stored dead letters."""

    Events: int
    Rows: int
    Rejects: int
    DeadLetters: int
    Files: int


class Producer:
    """Processes the files that S3 notifications name."""

    def __init__(
        self,
        catalog: Catalog,
        publisher: Publisher,
        letters: LetterStore,
        bucket: Callable[[str], Bucket],
        hash_key: HashKey | None = None,
        drift: DriftReporter | None = None,
        report: ReadingCallback = no_report,
    ) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._letters = _CountedLetters(letters)
        self._bucket = bucket
        self._hash_key = hash_key
        self._drift = drift
        self._report_reading = report
        self._deadline = Deadline()
        self._finished = RowCounts(0, 0)
        self.files: Counter[str] = Counter()
        """Finished files under drop/, published or rejected, by feed."""

    def totals(self) -> Totals:
        """Return the totals so far."""
        rows, rejected = self._finished
        return Totals(self._publisher.events, rows, rejected, self._letters.count, self.files.total())

    def handle(self, lambda_event: Mapping[str, Any], left: SecondsLeft = unlimited) -> dict[str, Any]:
        """Process a Lambda event, and return the response. `left` returns the time left to the invocation.

        Raises TransientError and ConfigurationError, unless the event is from SQS.
        """
        self.begin(left)
        records = lambda_event.get("Records", ())
        if any(record.get("eventSource") == "aws:sqs" for record in records):
            # Each message is tried, whatever became of the others: one bad file must not hold up the rest.
            failed = [record["messageId"] for record in records if not self._take_message(record)]
            return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}
        self.take(json.dumps(lambda_event))
        return {"batchItemFailures": []}

    def begin(self, left: SecondsLeft) -> None:
        """Begin an invocation with so much time left."""
        self._publisher.left = left
        self._deadline = Deadline(left)

    def _take_message(self, record: Mapping[str, Any]) -> bool:
        try:
            self.take(record["body"])
        except HeadwaterError as error:
            level = logging.WARNING if isinstance(error, TransientError) else logging.ERROR
            _log.log(level, "SQS record %s comes again: %s", record["messageId"], error)
            return False
        return True

    def take(self, notification: str) -> None:
        """Process every file that a notification names, or store a dead letter with the reason (INV-1).

        Raises TransientError and ConfigurationError, also when there is no time left for the next file.
        """
        try:
            notices = read_notices(notification)
        except PoisonEventError as error:
            self._letters.put([_letter(notification.encode(), error.reason)])
            return
        for notice in notices:
            location = locate(notice.key)
            if location is not None:
                if self._deadline.near:
                    raise TransientError(f"{notice.key}: there is no time left to begin it")
                self._take_file(notice, location)
            elif is_loose(notice.key):
                self._report(
                    notice, "it lies in no feed's folder: upload it to drop/<feed>/, and discard this"
                )

    def _take_file(self, notice: Notice, location: Location) -> None:
        declared = entity_of_feed(self._catalog, location.feed)
        if declared is None:
            self._report(notice, f"no entity takes the feed {location.feed}", "schema")
            return
        if len(notice.key.encode()) > LONGEST_KEY:
            self._report(
                notice, f"its key has more than {LONGEST_KEY} bytes: no key in the archive would fit"
            )
            return
        entity, source = declared
        bucket = self._bucket(notice.bucket)
        try:
            upload = bucket.pin(notice.key, notice.version or _version(bucket, notice))
            upload = upload._replace(order=notice.order(upload.last_modified))
            counts = File(
                bucket=bucket,
                location=location,
                upload=upload,
                entity=entity,
                source=source,
                publisher=self._publisher,
                letters=self._letters,
                hash_key=self._hash_key,
                drift=self._drift,
                deadline=self._deadline,
                meter=Meter(upload.key, upload.size, self._report_reading),
            ).take()
            self._count(location, counts)
        except ObjectGoneError:
            # S3 delivers notifications at least once: usually the file was processed before.
            if not is_settled(bucket, location, notice.key, notice.version, notice.etag):
                self._report(notice, "the object was gone before it was read, and the archive has no copy")

    def _count(self, location: Location, counts: RowCounts) -> None:
        self._finished = RowCounts(*map(sum, zip(self._finished, counts, strict=True)))
        self.files[location.feed] += location.prefix == DROP

    def _report(self, notice: Notice, reason: str, cause: Cause = "data") -> None:
        _log.warning("%s: %s", notice.key, reason)
        letter = object_letter(
            notice.bucket,
            notice.key,
            notice.version,
            reason,
            etag=notice.etag,
            event_time=notice.event_time,
            sequencer=notice.sequencer,
            cause=cause,
        )
        self._letters.put([letter])


class _CountedLetters:
    """A `LetterStore` that counts what is stored."""

    def __init__(self, letters: LetterStore) -> None:
        self._letters = letters
        self.count = 0

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self._letters.put(letters)
        self.count += len(letters)


def _version(bucket: Bucket, notice: Notice) -> str | None:
    """Return the version that a notification without one means; None for the newest version."""
    # Emulators send such notifications. The ETag narrows it down, in case the object was replaced since.
    return None if notice.etag is None else bucket.version(notice.key, notice.etag)


def _letter(notification: bytes, reason: str) -> DeadLetter:
    return DeadLetter(
        id=letter_id(notification),
        stage=STAGE,
        entity=None,
        source=None,
        position=None,
        reason=reason,
        cause="data",
        payload=notification,
        occurred_at=None,
    )
