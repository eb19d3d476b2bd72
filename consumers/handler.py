"""The Lambda handler for batches of Kinesis records.

https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html. The event source must never discard a batch
(no maximum record age, no maximum retries): an error here is the environment's, and lasts until a person
corrects it.
"""

from __future__ import annotations

import logging
import os
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from consumers.consume import Consumer
from consumers.kinesis import StreamReader
from consumers.log_documents import LogDocuments
from consumers.warehouse.port import LIVE_READER, Checkpoint, Counts, padded
from consumers.wiring import LateClient, wire
from schemas.letters.s3_letters import S3Letters
from schemas.settings import Settings, read_settings
from schemas.telemetry.invocation import invocation

log = logging.getLogger(__name__)


class KinesisBatches:
    """Lambda's batches into the warehouse. `identity` returns a stream's identity for its ARN."""

    def __init__(self, consumer: Consumer, identity: Callable[[str], str]) -> None:
        self._consumer = consumer
        self._identity = identity

    def take(self, lambda_event: Mapping[str, Any]) -> Counts:
        """Apply a whole batch, or raise with nothing applied: Lambda then sends it again (INV-1)."""
        records = lambda_event["Records"]
        payloads = [b64decode(record["kinesis"]["data"]) for record in records]
        counts = self._consumer.consume(payloads, list(self._checkpoints(records)))
        log.info("%s", counts)
        return counts

    def handle(self, lambda_event: Mapping[str, Any]) -> dict[str, list[object]]:
        """Lambda's event in, its answer out: an empty list of failures, so that the whole batch is done."""
        self.take(lambda_event)
        return {"batchItemFailures": []}

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Save these checkpoints alone. Raises TransientError, ConfigurationError."""
        self._consumer.consume((), checkpoints)

    def _checkpoints(self, records: Iterable[Mapping[str, Any]]) -> Iterable[Checkpoint]:
        greatest: dict[tuple[str, str], str] = {}
        for record in records:
            place = record["eventSourceARN"], record["eventID"].partition(":")[0]
            sequence = padded(record["kinesis"]["sequenceNumber"])
            greatest[place] = max(sequence, greatest.get(place, ""))
        for (arn, shard), sequence in greatest.items():
            yield Checkpoint(LIVE_READER, self._identity(arn), shard, sequence)


def build(settings: Settings, client: Callable[[str], Any] | None = None) -> KinesisBatches:
    """Everything that the handler needs.

    `client` creates a client of an AWS service by its name (default: consumers/aws_clients.py).

    Raises ConfigurationError, TransientError.
    """
    in_lambda = client is None
    _, catalog, warehouse, client = wire(settings, client)
    # Creating tables is a step of the deployment: a writer has no right to it (docs/sql-server.md).
    warehouse.require()
    kinesis, bucket = client("kinesis"), settings.log_bucket
    # In Lambda the client of S3 is made when a batch has dead letters or the schema of a version that this
    # package does not know. Few do, and its model is the largest of all. Elsewhere there are threads.
    s3: Any = LateClient(lambda: client("s3")) if in_lambda else client("s3")

    # Asked once in a container's life: a stream made again is read through a new event source.
    @cache
    def identity(arn: str) -> str:
        # The ARN of an enhanced fan-out consumer begins with that of its stream.
        return StreamReader(kinesis, arn.partition("/consumer/")[0]).identity()

    consumer = Consumer(catalog, warehouse, S3Letters(s3, bucket), LogDocuments(s3, bucket).read)
    return KinesisBatches(consumer, identity)


@cache
def _built() -> KinesisBatches:
    return build(read_settings(os.environ))


def handler(lambda_event: Mapping[str, Any], context: object) -> dict[str, list[object]]:
    """Apply a batch of Kinesis records. The environment: schemas/settings.py."""
    with invocation("consumer", context) as measured:
        counts = _built().take(lambda_event)
        measured.add("Events", counts.accepted)
        measured.add("Rows", counts.applied)
        measured.add("DeadLetters", counts.dead)
        measured.add("Lag", _lag(lambda_event["Records"], time.time()))
        return {"batchItemFailures": []}


def _lag(records: Iterable[Mapping[str, Any]], now: float) -> float:
    """Return how many seconds ago the newest of these records arrived in the stream."""
    newest = max((record["kinesis"]["approximateArrivalTimestamp"] for record in records), default=now)
    return round(max(0.0, now - newest), 3)  # the clocks of two machines differ
