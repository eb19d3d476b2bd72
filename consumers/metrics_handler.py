"""The Lambda function that measures lag and backlog, on a schedule of once a minute.

It reads the stream after the consumer's checkpoints, so that the lag is known also while the consumer is
paused or fails. The environment: schemas/settings.py.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from consumers.kinesis import Shard, StreamReader
from consumers.reporting.backlog import backlog
from consumers.waiting_letters import WaitingLetters
from consumers.warehouse.port import LIVE_READER, Warehouse
from consumers.wiring import Wiring, wire_from_environment
from schemas.errors import HeadwaterError, TransientError
from schemas.telemetry.invocation import invocation
from schemas.telemetry.metrics import Measurements

_MAX_PAGES = 10
"""Reads of a shard in search of its next record: Kinesis may return empty pages on the way."""


def handler(_event: object, context: object) -> dict[str, Any]:
    """Measure the lag of the consumer, the backlog of the reports, and the dead letters that wait."""
    with invocation("metrics", context) as measured:
        _built().measure(measured)
        return {}


class Metrics:
    """What is measured of an installation."""

    def __init__(self, stream: StreamReader, warehouse: Warehouse, letters: WaitingLetters) -> None:
        self._stream = stream
        self._warehouse = warehouse
        self._letters = letters

    def measure(self, measured: Measurements) -> None:
        """Add every metric that can be measured, and raise the first error of the others after that."""
        errors = []
        for step in (self._add_lag, self._add_backlog, self._add_letters):
            try:
                step(measured)
            except HeadwaterError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _add_lag(self, measured: Measurements) -> None:
        measured.add("Lag", lag(self._stream, self._warehouse, time.time()))

    def _add_backlog(self, measured: Measurements) -> None:
        pending = backlog(self._warehouse)
        measured.add("Backlog", sum(pending.values()))
        for report, rows in pending.items():
            measured.add("Backlog", rows, of=report)

    def _add_letters(self, measured: Measurements) -> None:
        measured.add("DeadLetters", self._letters.count())


def build(wiring: Wiring) -> Metrics:
    """Build the function from its parts."""
    stream = StreamReader(wiring.client("kinesis"), wiring.settings.stream)
    letters = WaitingLetters(wiring.client("s3"), wiring.settings.log_bucket)
    return Metrics(stream, wiring.warehouse, letters)


@cache
def _built() -> Metrics:
    return build(wire_from_environment())


def lag(stream: StreamReader, warehouse: Warehouse, now: float) -> float:
    """Return the age in seconds of the oldest record that is not applied yet, over all shards; 0 at the tip.

    `now` is in seconds since 1970. Raises TransientError, ConfigurationError.
    """
    identity = stream.identity()
    with warehouse.transaction() as transaction:
        applied = {
            point.shard: point.sequence
            for point in transaction.checkpoints(LIVE_READER)
            if point.stream == identity
        }
    # Closed shards as well: they may have records that were not applied before a reshard.
    ages = (_age(stream, shard, applied.get(shard.id), now) for shard in stream.shards())
    return round(max(ages, default=0.0), 3)


def _age(stream: StreamReader, shard: Shard, applied: str | None, now: float) -> float:
    """Return the age of the first record after the checkpoint, or 0 if there is none."""
    reader = stream.open(shard.id, applied)
    for _ in range(_MAX_PAGES):
        page = reader.read(1, closed=shard.closed)
        if page.records:
            return max(0.0, now - page.records[0].arrived_at.timestamp())
        if page.at_tip:
            return 0.0
    raise TransientError(f"{shard.id}: no record and no end within {_MAX_PAGES} reads")
