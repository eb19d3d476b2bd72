"""What bench_latency changes: the keys of each batch, the same in every process, and their records."""

from __future__ import annotations

from functools import cache
from hashlib import md5
from itertools import count
from random import Random
from typing import Any

from benchmarks.bench_dynamodb_producer import Case, stream_record, subscription
from schemas.catalog.entity import Entity
from schemas.event import key_hash, partition_key
from schemas.keys import canonical_key

ENTITY = "subscription"
SOURCE = "dynamodb:subscriptions"
CHANGES = 100
"""Of one batch."""
WARM = 50
"""Batches before those that count: caches, connections, the server's plans."""
BATCHES = 600


@cache
def all_keys() -> list[list[str]]:
    """The keys of each batch, the probes last."""
    dice, made = Random(7), count()
    there: list[str] = []
    batches = []
    for _ in range(WARM + BATCHES):
        keys = []
        for _ in range(CHANGES - len(probes())):
            if not there or dice.random() < 0.5:
                there.append(f"sub-{next(made):08}")
                keys.append(there[-1])
            else:
                keys.append(dice.choice(there))
        batches.append([*keys, *probes()])
    return batches


@cache
def probes() -> tuple[str, str]:
    """A key of each shard."""
    names = [f"probe-{number}" for number in range(64)]
    first, second = (next(name for name in names if shard_of(name) == shard) for shard in (0, 1))
    return first, second


def shard_of(key: str) -> int:
    """Of the two that the embedded AWS has, each with half of the hash keys."""
    bucket = hash_of(key)[0]
    return int.from_bytes(md5(partition_key(ENTITY, bucket).encode()).digest()) >> 127


def hash_of(key: str) -> bytes:
    return key_hash(SOURCE, canonical_key([key]))


def record(entity: Entity, batch: int, place: int, key: str) -> dict[str, Any]:
    """`seats` tells the batch."""
    number = batch * CHANGES + place
    old, new = (
        {**subscription(number, change), "subscription_id": key, "seats": batch - 1 + change}
        for change in (0, 1)
    )
    return stream_record(Case(ENTITY, entity, subscription), number, old, new)
