"""KPL aggregates, read strictly: many user records in one Kinesis record.

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
"""Of a Kinesis record."""

_VARINT: Final = rb"([\x80-\xff]{0,4}[\x00-\x7f])"
_RECORD: Final = re.compile(
    rb"\x1a" + _VARINT + rb"\x08" + _VARINT + rb"(?:\x10" + _VARINT + rb")?\x1a" + _VARINT
)
_KEY: Final = re.compile(rb"[\x0a\x12]" + _VARINT)
_PARTITION_KEY: Final = 0x0A

MAX_HEADER_BYTES: Final = 24
"""Of a user record before its payload: four tags, four numbers of at most five bytes."""
MAX_KEY_BYTES: Final = 1024 + 6
"""Of a key's field. Kinesis takes keys of at most 256 characters."""


class UserRecord(NamedTuple):
    """Where a user record's payload lies in the buffer, and what its indexes refer to."""

    start: int
    end: int
    key_index: int
    hash_key_index: int | None


def parse_aggregate(record: bytes) -> list[bytes]:
    """The payloads of an aggregate, in order, at least one; `record` starts with MAGIC.

    Raises PoisonEventError if the MD5 does not match, for an index outside its table, and for any field that
    the format above does not have: nothing is skipped.
    """
    end = len(record) - DIGEST_BYTES
    protobuf = memoryview(record)[len(MAGIC) : max(end, 0)]
    if md5(protobuf, usedforsecurity=False).digest() != record[end:]:
        raise PoisonEventError("aggregate: its MD5 does not match")
    keys, hash_keys, records = _fields(record, len(MAGIC), end)
    _check_indexes(keys, hash_keys, records)
    return [record[each.start : each.end] for each in records]


def _fields(record: bytes, at: int, end: int) -> tuple[int, int, list[UserRecord]]:
    """How many partition keys and hash keys there are, and the user records."""
    keys = hash_keys = 0
    records = []
    while at < end:
        if found := read_record(record, at):
            records.append(found)
            at = found.end
        elif after := skip_key(record, at):
            keys += record[at] == _PARTITION_KEY
            hash_keys += record[at] != _PARTITION_KEY
            at = after
        else:
            raise PoisonEventError("aggregate: a field that the format does not have")
    if at > end:
        raise PoisonEventError("aggregate: its last field is cut short")
    return keys, hash_keys, records


def _check_indexes(keys: int, hash_keys: int, records: list[UserRecord]) -> None:
    if not records:
        raise PoisonEventError("aggregate: it has no records")
    if any(each.key_index >= keys for each in records):
        raise PoisonEventError("aggregate: a record's partition key is not there")
    if any(each.hash_key_index is not None and each.hash_key_index >= hash_keys for each in records):
        raise PoisonEventError("aggregate: a record's hash key is not there")


def read_record(buffer: bytes, at: int) -> UserRecord | None:
    """The user record there, its payload maybe past the buffer's end; None if there is no whole header.

    A header tells the payload's end twice, and both must agree.
    """
    header = _RECORD.match(buffer, at)
    if header is None:
        return None
    length, key_index, hash_key_index, payload_length = header.groups()
    start = header.end()
    end = start + _number(payload_length)
    if header.end(1) + _number(length) != end:
        return None
    return UserRecord(start, end, _number(key_index), _number(hash_key_index) if hash_key_index else None)


def skip_key(buffer: bytes, at: int) -> int | None:
    """Where the partition key or hash key there ends, maybe past the buffer's end; None if there is none.

    It is text: a user record whose tag was damaged is not taken for a key.
    """
    header = _KEY.match(buffer, at)
    if header is None:
        return None
    start = header.end()
    end = start + _number(header[1])
    if end - at > MAX_KEY_BYTES:
        return None
    try:
        buffer[start:end].decode()
    except UnicodeDecodeError:
        return None
    return end


@lru_cache(maxsize=1 << 14)
def _number(varint: bytes) -> int:
    """Of protobuf's unsigned varint, the least seven bits first."""
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(varint))
