"""KPL aggregates, built from the protobuf messages of aws-kinesis-agg. No other file imports that library.

Format: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import sys
from hashlib import md5

# The library puts its own folders in front of `sys.path`, where its modules find each other. The path is
# restored, or the library's modules would shadow ours.
_path = list(sys.path)
from aws_kinesis_agg import MAGIC  # noqa: E402 - between the two lines that guard the path
from aws_kinesis_agg.aggregator import messages_pb2  # noqa: E402

sys.path[:] = _path

# Only the messages are used: the library's aggregator deep-copies every full aggregate, has a `clear` that
# fails, and takes three times as long for a record as the protobuf below it.

# Firehose takes records up to 1,024,000 bytes; Kinesis up to 1 MiB with the partition key.
MAX_AGGREGATE_BYTES = 1_024_000
DIGEST_BYTES = 16
# Upper bounds in bytes: no length or index in an aggregate takes more than three bytes as a varint.
RECORD_OVERHEAD = 14  # per frame: tag and length of the record and of its bytes, tags and indexes of its keys
KEY_OVERHEAD = 4  # per partition key or hash key in the table: tag and length


class Aggregate:
    """A Kinesis record under construction: many frames of one shard, each with its partition key.

    `hash_key` is the explicit hash key under which the record will be put.
    """

    __slots__ = ("_indexes", "_message", "size")

    def __init__(self, hash_key: str = "0") -> None:
        # Every frame refers to the hash key of the whole record. After a split that we do not know of yet,
        # partition keys may hash outside the shard that takes the record, and readers on the Kinesis Client
        # Library silently drop a record if one frame does (AggregatorUtil.deaggregate).
        self._message = messages_pb2.AggregatedRecord(explicit_hash_key_table=[hash_key])
        self._indexes: dict[str, int] = {}
        # An upper bound of the bytes of `contents`, so that they need not be serialized to know their size.
        self.size = len(MAGIC) + len(hash_key) + KEY_OVERHEAD + DIGEST_BYTES

    def add(self, partition_key: str, frame: bytes) -> bool:
        """Add a frame. Returns False, and adds nothing, if it does not fit."""
        index = self._indexes.get(partition_key)
        size = self.size + len(frame) + RECORD_OVERHEAD
        if index is None:
            size += len(partition_key) + KEY_OVERHEAD
        if size > MAX_AGGREGATE_BYTES:
            return False
        if index is None:
            index = self._indexes[partition_key] = len(self._indexes)
            self._message.partition_key_table.append(partition_key)
        self._message.records.add(partition_key_index=index, explicit_hash_key_index=0, data=frame)
        self.size = size
        return True

    def contents(self) -> bytes:
        """Return the bytes of the Kinesis record; equal frames in equal order give equal bytes (INV-5)."""
        body: bytes = self._message.SerializeToString(deterministic=True)
        magic: bytes = MAGIC
        return magic + body + md5(body, usedforsecurity=False).digest()
