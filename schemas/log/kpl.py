"""A strict reader of KPL aggregates: many user records in one Kinesis record.

`F3 89 9A C2 | protobuf | MD5 of the protobuf`, where the protobuf has three kinds of field: 0A partition key,
12 explicit hash key, 1A user record of `08 partition key index | 10 hash key index, optional | 1A payload`.
https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import re
from functools import lru_cache
from hashlib import md5
from typing import Final, NamedTuple

from schemas.errors import PoisonEventError

MAGIC: Final = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES: Final = 16
MAX_AGGREGATE_BYTES: Final = 1 << 20
"""Largest Kinesis record."""

# At most five bytes, 35 bits: longer varints cannot be lengths within one Kinesis record. A protobuf library
# would skip unknown fields and accept longer forms of a number; these patterns do not, so that damage is
# noticed.
_VARINT: Final = rb"([\x80-\xff]{0,4}[\x00-\x7f])"
_RECORD: Final = re.compile(
    rb"\x1a" + _VARINT + rb"\x08" + _VARINT + rb"(?:\x10" + _VARINT + rb")?\x1a" + _VARINT
)
_KEY: Final = re.compile(rb"[\x0a\x12]" + _VARINT)
_PARTITION_KEY: Final = 0x0A

MAX_HEADER_BYTES: Final = 24
"""Most bytes of a user record before its payload: four tags, four numbers of at most five bytes."""
MAX_KEY_BYTES: Final = 1024 + 6
"""Most bytes of a key field: Kinesis limits keys to 256 characters, each at most 4 bytes in UTF-8."""


class UserRecord(NamedTuple):
    """Range of a user record's payload in the buffer, and the indexes of its keys."""

    start: int
    end: int
    key_index: int
    hash_key_index: int | None


def parse_aggregate(record: bytes) -> list[bytes]:
    """Return the payloads of an aggregate, in order, at least one. `record` starts with MAGIC.

    Raises PoisonEventError if the MD5 does not match, for an index outside its table, and for any field that
    the format above does not have: nothing is skipped.
    """
    end = len(record) - DIGEST_BYTES
    protobuf = memoryview(record)[len(MAGIC) : max(end, 0)]
    if md5(protobuf, usedforsecurity=False).digest() != record[end:]:
        raise PoisonEventError("aggregate: its MD5 does not match")
    keys, hash_keys, user_records = _fields(record, len(MAGIC), end)
    _check_indexes(keys, hash_keys, user_records)
    return [record[user_record.start : user_record.end] for user_record in user_records]


def _fields(record: bytes, at: int, end: int) -> tuple[int, int, list[UserRecord]]:
    """Return the numbers of partition keys and of hash keys, and the user records."""
    keys = hash_keys = 0
    user_records = []
    while at < end:
        if user_record := read_record(record, at):
            user_records.append(user_record)
            at = user_record.end
        elif after := skip_key(record, at):
            keys += record[at] == _PARTITION_KEY
            hash_keys += record[at] != _PARTITION_KEY
            at = after
        else:
            raise PoisonEventError("aggregate: a field that the format does not have")
    # The readers are not limited to `end`: a wrong length can lead them into the MD5 or past it.
    if at > end:
        raise PoisonEventError("aggregate: its last field is cut short")
    return keys, hash_keys, user_records


def _check_indexes(keys: int, hash_keys: int, records: list[UserRecord]) -> None:
    """Raise PoisonEventError unless there are records, and each index is within its table of keys."""
    if not records:
        raise PoisonEventError("aggregate: it has no records")
    if any(record.key_index >= keys for record in records):
        raise PoisonEventError("aggregate: a record's partition key is not there")
    # The index of the hash key is optional, and 0 is a valid one.
    if any(record.hash_key_index is not None and record.hash_key_index >= hash_keys for record in records):
        raise PoisonEventError("aggregate: a record's hash key is not there")


def read_record(buffer: bytes, at: int) -> UserRecord | None:
    """Return the user record at this offset, or None if no whole header is there.

    The payload may extend past the end of the buffer.
    """
    header = _RECORD.match(buffer, at)
    if header is None:
        return None
    length, key_index, hash_key_index, payload_length = header.groups()
    start = header.end()
    end = start + _number(payload_length)
    # The record's length and the payload's imply the same end. Requiring both makes a false match in damaged
    # bytes unlikely.
    if header.end(1) + _number(length) != end:
        return None
    return UserRecord(start, end, _number(key_index), _number(hash_key_index) if hash_key_index else None)


def skip_key(buffer: bytes, at: int) -> int | None:
    """Return the end of the partition key or hash key at this offset, or None if no key is there.

    The end may be past that of the buffer.
    """
    header = _KEY.match(buffer, at)
    if header is None:
        return None
    start = header.end()
    end = start + _number(header[1])
    if end - at > MAX_KEY_BYTES:
        return None
    # A key is text. A user record whose tag was damaged into that of a key almost never decodes as UTF-8.
    try:
        buffer[start:end].decode()
    except UnicodeDecodeError:
        return None
    return end


@lru_cache(maxsize=1 << 14)
def _number(varint: bytes) -> int:
    """Return the value of an unsigned protobuf varint: 7 bits a byte, the lowest first."""
    return sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(varint))
