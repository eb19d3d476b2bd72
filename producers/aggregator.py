"""KPL aggregates, written with aws-kinesis-agg. The only file that imports that library.

Importing it puts its own folders in front of `sys.path`: the path is restored. Its RecordAggregator
deep-copies every full aggregate, so the class below it is used, which says by itself that it is full. Its
`clear` is broken: each aggregate is a new one.
Format: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import sys
from collections.abc import Callable

_path = list(sys.path)
from aws_kinesis_agg.aggregator import AggRecord  # noqa: E402  (between the two lines that guard the path)

sys.path[:] = _path

# Firehose takes records up to 1,024,000 bytes; Kinesis up to 1 MiB with the partition key.
MAX_AGGREGATE_BYTES = 1_024_000


class Aggregate:
    """One Kinesis record in the making: many frames, each with its partition key, all of one shard.

    The user records carry no explicit hash keys: each one's partition key hashes into the shard by itself.
    """

    __slots__ = ("_record", "add")

    def __init__(self) -> None:
        self._record = AggRecord(MAX_AGGREGATE_BYTES)
        # Takes partition key and frame; False: it is full, nothing was added. Bound once, for speed.
        self.add: Callable[[bytes, bytes], bool] = self._record.add_user_record

    def contents(self) -> bytes:
        """The bytes of the Kinesis record: the same frames in the same order give the same bytes (INV-5)."""
        _, _, payload = self._record.get_contents()
        return bytes(payload)
