"""How evenly events spread over shards: those of an entity have 256 partition keys, whatever their rate.

Kinesis places a record by the MD5 of its partition key, and the shards of a stream that was created or
resized as a whole have equal ranges of it. A bucket is never split, so the fullest shard has more than its
share.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from hashlib import md5

from schemas.event import BUCKETS, partition_key

_HASH_BITS = 128
MOST_SHARES = 20
"""Entities whose keys are placed one by one. More of them spread no worse than these."""


@cache
def fullest_share(shards: int, entities: int) -> float:
    """Return the share of all events that the fullest of `shards` shards has, 0 to 1.

    Entities are named entity1, entity2 and so on and have equally many events, their buckets too. Names of
    a real home spread about as well, not exactly so.
    """
    placed = min(entities, MOST_SHARES)
    counts = Counter(place * shards >> _HASH_BITS for place in _places(placed))
    return max(counts.values()) / (BUCKETS * placed)


@cache
def _places(entities: int) -> tuple[int, ...]:
    keys = (
        partition_key(f"entity{number}", bucket)
        for number in range(1, entities + 1)
        for bucket in range(BUCKETS)
    )
    return tuple(int.from_bytes(md5(key.encode(), usedforsecurity=False).digest()) for key in keys)


def bucket_share(entities: int) -> float:
    """Return the share of one bucket, which no number of shards divides."""
    return 1 / (BUCKETS * min(entities, MOST_SHARES))
