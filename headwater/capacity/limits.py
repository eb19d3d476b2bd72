"""Limits, how much of each a flow uses, and what to do where one is met.

A limit is met where the planned share of it (`utilisation`) is used. Firehose is not among them: its quotas
of 1 or 5 MB a second, by region, are for direct puts, and with a Kinesis stream as its source it scales by
itself (https://docs.aws.amazon.com/firehose/latest/dev/limits.html).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headwater.capacity.flow import Flow, undivided


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit. `used` returns the load as a share of it, above 1 if it is exceeded."""

    name: str
    used: Callable[[Flow], float]
    remedy: str

    def planned(self, flow: Flow) -> float:
        """Return the load as a share of what is planned for."""
        return self.used(flow) / flow.given.utilisation


def _written(flow: Flow) -> float:
    return flow.fullest_bytes / flow.given.shard_write_bytes


def _records(flow: Flow) -> float:
    return flow.fullest_records / flow.given.shard_write_records


def _read(flow: Flow) -> float:
    return flow.fullest_bytes * flow.given.readers / flow.given.shard_read_bytes


def _consumed(flow: Flow) -> float:
    return flow.events * flow.share / flow.shard_rate


_BUCKET = (
    "An entity has 256 partition keys, and a shard takes at least one of them: more shards do not help. "
    "Divide the entity into several, by region or by kind of row."
)
OF_SHARDS = (
    Limit(
        "bytes written to a shard",
        _written,
        "More shards; an on-demand stream adds them by itself. Above 500, raise the maximum of ShardCount in "
        "stream.yaml and the quota of the account.",
    ),
    Limit(
        "records written to a shard",
        _records,
        "More shards. A call of a producer spreads over all of them, so an aggregate has fewer events the "
        "more there are; CSV files, whose calls are full, need fewer records than tables do.",
    ),
    Limit(
        "bytes read from a shard",
        _read,
        "More shards, or a consumer with enhanced fan-out, which has 2 MB/s of its own. A replay's tail is a "
        "third reader: plan with readers=3 if it is to keep up.",
    ),
    Limit(
        "consumer of one shard",
        _consumed,
        "More shards: each has a consumer of its own. More memory gives it no second core that it could use.",
    ),
)
"""Limits that more shards raise."""

OTHERS = (
    Limit(
        "one bucket of an entity", lambda flow: max(each.used(undivided(flow)) for each in OF_SHARDS), _BUCKET
    ),
    Limit(
        "functions at once, consumers",
        lambda flow: flow.shards / flow.given.functions,
        "Raise the quota of the reporting account.",
    ),
    Limit(
        "functions at once, producers",
        lambda flow: flow.producers / flow.given.functions,
        "Raise the quota of the source account, or divide the tables among several.",
    ),
    Limit(
        "processor of the warehouse",
        lambda flow: flow.database_seconds / flow.given.database_cores,
        "A larger instance; no history for entities that need none; a second warehouse with some of the "
        "entities, which needs a consumer of its own.",
    ),
    Limit(
        "storage of the warehouse",
        lambda flow: flow.database_bytes / flow.given.database_bytes,
        "No history for entities that need none: the log in S3 keeps every event, and `replay rebuild "
        "--as-of` shows any moment. Else a second volume, which a person has to add and to use.",
    ),
    Limit(
        "objects written to the log",
        lambda flow: flow.log_objects / flow.given.prefix_puts,
        "Nothing is needed: Firehose begins a new prefix every hour, and S3 divides a busy one.",
    ),
)
LIMITS = (*OF_SHARDS, *OTHERS)
