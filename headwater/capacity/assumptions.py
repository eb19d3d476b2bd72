"""Figures that the model of capacity rests on, each with its unit, meaning and origin.

Quotas change and differ between regions and accounts: each names the page of AWS on which it was read on
2026-11-30. Figures with a benchmark are measured on this code; docs/cost.md states how far they carry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from schemas.errors import ConfigurationError
from schemas.refusals import refused, unknown

_KINESIS = "https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html"
_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html"
_RDS = "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.ModifyingExisting.html"
_DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
_MEASURED = "python -m benchmarks bench_capacity"
_PRODUCER = "python -m benchmarks dynamodb_producer"


class Figure(NamedTuple):
    """One assumption as it is printed."""

    name: str
    value: float
    unit: str
    meaning: str
    origin: str


def _figure(value: float, unit: str, meaning: str, origin: str) -> float:
    described: float = field(default=value, metadata={"unit": unit, "meaning": meaning, "origin": origin})
    return described


@dataclass(frozen=True, slots=True)
class Assumptions:
    """All figures, above 0 unless `_MAY_BE_0` has them."""

    utilisation: float = _figure(0.7, "share", "of every limit that is planned for", "choice")
    entities: float = _figure(1, "entities", "among which the events are spread evenly", "choice")
    new_keys: float = _figure(0.1, "share", "of events whose key has no row yet", "choice")
    history: float = _figure(1, "share", "of events whose entity keeps history", "choice")
    years: float = _figure(1, "years", "for which the database has to hold", "choice")

    shards: float = _figure(500, "shards", "of the stream at most", f"ShardCount of stream.yaml; {_KINESIS}")
    shard_write_bytes: float = _figure(1_000_000, "bytes/s", "written to a shard", _KINESIS)
    shard_write_records: float = _figure(1_000, "records/s", "written to a shard", _KINESIS)
    shard_read_bytes: float = _figure(2_000_000, "bytes/s", "read from a shard by all readers", _KINESIS)
    readers: float = _figure(2, "readers", "of a shard: the consumer and Firehose", "cfn/stream.yaml")
    retention_hours: float = _figure(168, "hours", "for which the stream keeps a record", "cfn/stream.yaml")

    source_shard_events: float = _figure(
        1_000, "events/s", "of one shard of a table's stream: the writes of one partition", _DYNAMODB
    )
    source_batch: float = _figure(1_000, "events", "of one call of a producer at most", "tables.yaml")
    source_window: float = _figure(1, "s", "for which a mapping waits for more records", "tables.yaml")
    producer_event_seconds: float = _figure(200e-6, "s", "of a producer, for an event", _PRODUCER)
    producer_memory: float = _figure(1.024, "GB", "of the DynamoDB producer", "cfn/producers.yaml")
    functions: float = _figure(1_000, "functions", "at once in an account and region", _LAMBDA)

    payload_bytes: float = _figure(6_000_000, "bytes", "of one call of a function, in base64", _LAMBDA)
    batch_records: float = _figure(500, "records", "of one batch of the consumer", "cfn/consumers.yaml")
    batch_seconds: float = _figure(0.021, "s", "of a batch, whatever its size", _MEASURED)
    event_seconds: float = _figure(51e-6, "s", "of an event in a batch", _MEASURED)
    byte_seconds: float = _figure(180e-9, "s", "of a byte of an event", _MEASURED)
    waiting_seconds: float = _figure(
        0.02, "s", "of a batch, for round trips and the flush of the database's log", "not measured"
    )
    consumer_memory: float = _figure(1.769, "GB", "of the consumer", "cfn/consumers.yaml")

    delivery_bytes: float = _figure(64 * 1024 * 1024, "bytes", "of an object of the log", "cfn/stream.yaml")
    delivery_seconds: float = _figure(60, "s", "after which Firehose writes an object", "cfn/stream.yaml")
    prefix_puts: float = _figure(3_500, "requests/s", "of PUT to a prefix of a bucket", _S3)

    database_cores: float = _figure(4, "cores", "of the warehouse", "choice")
    database_batch_seconds: float = _figure(0.018, "s", "of a core, for a batch", _MEASURED)
    database_event_seconds: float = _figure(22e-6, "s", "of a core, for an event", _MEASURED)
    database_byte_seconds: float = _figure(150e-9, "s", "of a core, for a byte", _MEASURED)
    database_bytes: float = _figure(
        16 * 1024**4, "bytes", "of the warehouse's volume", f"MaxAllocatedGiB of warehouse.yaml; {_RDS}"
    )
    envelope_bytes: float = _figure(170, "bytes", "of an event beside the row in it", _MEASURED)
    text_width: float = _figure(
        2, "times", "the bytes of a row: NVARCHAR is UTF-16", "consumers/warehouse/mssql"
    )
    staging_row_bytes: float = _figure(320, "bytes", "of a row of staging beside its values", _MEASURED)
    history_row_bytes: float = _figure(500, "bytes", "of a row of history beside its values", _MEASURED)
    index_row_bytes: float = _figure(50, "bytes", "of indexes for reports, for a row of staging", _MEASURED)


_SHARES = ("utilisation", "new_keys", "history")
_MAY_BE_0 = (
    *("new_keys", "history", "batch_seconds", "byte_seconds", "waiting_seconds", "envelope_bytes"),
    *("database_batch_seconds", "database_byte_seconds"),
    *("staging_row_bytes", "history_row_bytes", "index_row_bytes"),
)
NAMES = tuple(each.name for each in fields(Assumptions))


def described(assumptions: Assumptions) -> list[Figure]:
    """Return every figure with its unit, meaning and origin, in the order of the class."""
    return [
        Figure(each.name, getattr(assumptions, each.name), **each.metadata) for each in fields(Assumptions)
    ]


def assuming(values: Mapping[str, object]) -> Assumptions:
    """Return the assumptions with some figures replaced. Raises ConfigurationError."""
    for name, value in values.items():
        if name not in NAMES:
            raise unknown("assumptions", name, NAMES)
        problem = _problem(name, value)
        if problem:
            raise refused(f"assumptions: {name}", value, problem)
    return replace(Assumptions(), **{name: float(str(value)) for name, value in values.items()})


def _problem(name: str, value: object) -> str | None:
    """Return what is allowed if this value is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return "a number"
    if name in _SHARES and value > 1:
        return "a share, at most 1"
    if value < 0 or (value == 0 and name not in _MAY_BE_0):
        return "0 or more" if name in _MAY_BE_0 else "a number above 0"
    if name in ("entities", "shards", "readers") and value != int(value):
        return "a whole number"
    return None


def parse(text: str) -> tuple[str, float]:
    """Return the name and the value of `NAME=VALUE`. Raises ConfigurationError."""
    name, separator, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not separator or not math.isfinite(number):
        raise ConfigurationError(f"--assume: found {text!r}; allowed: NAME=NUMBER, such as entities=5")
    return name.strip(), number
