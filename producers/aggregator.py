"""KPL aggregates, from the protobuf records of aws-kinesis-agg. The only file that imports that library.

Only its records: its aggregator copies every full aggregate in depth, has a `clear` that fails, and takes
three times as long for a record as the protobuf below it. Importing it puts its folders in front of
`sys.path`, where alone its modules find each other: the path is restored.
Format: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import sys
from hashlib import md5

_path = list(sys.path)
from aws_kinesis_agg import MAGIC  # noqa: E402 - between the two lines that guard the path
from aws_kinesis_agg.aggregator import messages_pb2  # noqa: E402

sys.path[:] = _path

# Firehose takes records up to 1,024,000 bytes; Kinesis up to 1 MiB with the partition key.
MAX_AGGREGATE_BYTES = 1_024_000
DIGEST_BYTES = 16
# At most, since no length in an aggregate takes more than three bytes, and no index more than three:
RECORD_OVERHEAD = 14  # of a frame: tag and length of the record and of its bytes, tags and indexes of keys
KEY_OVERHEAD = 4  # of a partition key or hash key, once: tag and length


class Aggregate:
    """One Kinesis record in the making: many frames, each with its partition key, all of one shard.

    Each frame says `hash_key`, under which the whole is put, as its own: after a split that we do not know
    of yet, partition keys may hash outside the shard that takes the record, and readers on the Kinesis Client
    Library drop a record whole, without a word, of which one frame does (its AggregatorUtil.deaggregate).
    """

    __slots__ = ("_indexes", "_message", "size")

    def __init__(self, hash_key: str = "0") -> None:
        self._message = messages_pb2.AggregatedRecord(explicit_hash_key_table=[hash_key])
        self._indexes: dict[str, int] = {}
        # no less than the bytes of the contents
        self.size = len(MAGIC) + len(hash_key) + KEY_OVERHEAD + DIGEST_BYTES

    def add(self, partition_key: str, frame: bytes) -> bool:
        """False: there is no room for the frame, and nothing was added."""
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
        """The bytes of the Kinesis record: the same frames in the same order give the same bytes (INV-5)."""
        body: bytes = self._message.SerializeToString(deterministic=True)
        magic: bytes = MAGIC
        return magic + body + md5(body, usedforsecurity=False).digest()
