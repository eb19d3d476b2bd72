"""KPL aggregates, read strictly: many user records in one Kinesis record.

`F3 89 9A C2 | protobuf | MD5 of the protobuf`, where the protobuf has three kinds of field: 0A partition key,
12 explicit hash key, 1A user record of `08 partition key index | 10 hash key index, optional | 1A payload`.
https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

from hashlib import md5
from typing import Final, NamedTuple

from schemas.errors import PoisonEventError

MAGIC: Final = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES: Final = 16
MAX_AGGREGATE_BYTES: Final = 1 << 20
"""Of a Kinesis record."""

_PARTITION_KEY, _HASH_KEY, _RECORD = 0x0A, 0x12, 0x1A
_KEY_INDEX, _HASH_KEY_INDEX, _PAYLOAD = 0x08, 0x10, 0x1A
_MAX_KEY_BYTES: Final = 1024  # a partition key has at most 256 characters
MAX_KEY_FIELD_BYTES: Final = _MAX_KEY_BYTES + 6
MAX_HEADER_BYTES: Final = 24
"""Of a user record before its payload: four tags, four numbers of at most five bytes."""


class Record(NamedTuple):
    """Where a user record's payload lies in the buffer, and what its indexes refer to."""

    start: int
    end: int
    key_index: int
    hash_key_index: int | None


def parse_aggregate(record: bytes) -> list[bytes]:
    """The payloads of an aggregate, in order, at least one; `record` starts with MAGIC.

    Raises PoisonEventError if the MD5 does not match, for an index outside its table, and for any field that the
    format above does not have: nothing is skipped.
    """
    end = len(record) - DIGEST_BYTES
    protobuf = memoryview(record)[len(MAGIC) : end]
    if end < len(MAGIC) or md5(protobuf, usedforsecurity=False).digest() != record[end:]:
        raise PoisonEventError("aggregate: its MD5 does not match")
    try:
        keys, hash_keys, records = _fields(record, len(MAGIC), end)
    except IndexError:
        raise PoisonEventError("aggregate: its last field is cut short") from None
    _check_indexes(keys, hash_keys, records)
    return [record[each.start : each.end] for each in records]


def _fields(record: bytes, at: int, end: int) -> tuple[int, int, list[Record]]:
    """How many partition keys and hash keys there are, and the user records."""
    tables = {_PARTITION_KEY: 0, _HASH_KEY: 0}
    records = []
    while at < end:
        if found := read_record(record, at):
            records.append(found)
            at = found.end
        elif (after := skip_key(record, at)) is not None:
            tables[record[at]] += 1
            at = after
        else:
            raise PoisonEventError("aggregate: a field that the format does not have")
    if at > end:
        raise IndexError
    return tables[_PARTITION_KEY], tables[_HASH_KEY], records


def _check_indexes(keys: int, hash_keys: int, records: list[Record]) -> None:
    if not records:
        raise PoisonEventError("aggregate: it has no records")
    if any(each.key_index >= keys for each in records):
        raise PoisonEventError("aggregate: a record refers to a partition key that is not there")
    if any(each.hash_key_index is not None and each.hash_key_index >= hash_keys for each in records):
        raise PoisonEventError("aggregate: a record refers to a hash key that is not there")


def read_record(buffer: bytes, at: int) -> Record | None:
    """The user record at this place, its payload maybe past the buffer's end; None if its header is none.

    A header tells the payload's end twice, and both must agree. Raises IndexError if it is cut short.
    """
    if buffer[at] != _RECORD:
        return None
    length, at = _varint(buffer, at + 1)
    end = at + length
    hash_key_index = None
    if buffer[at] != _KEY_INDEX:
        return None
    key_index, at = _varint(buffer, at + 1)
    if buffer[at] == _HASH_KEY_INDEX:
        hash_key_index, at = _varint(buffer, at + 1)
    if buffer[at] != _PAYLOAD:
        return None
    length, at = _varint(buffer, at + 1)
    return Record(at, end, key_index, hash_key_index) if at + length == end else None


def skip_key(buffer: bytes, at: int) -> int | None:
    """Where the partition key or hash key at this place ends, maybe past the buffer's end; None if there is none.

    It is text: a user record whose tag was damaged is not taken for a key. Raises IndexError if its header is cut.
    """
    if buffer[at] not in (_PARTITION_KEY, _HASH_KEY):
        return None
    length, at = _varint(buffer, at + 1)
    if length > _MAX_KEY_BYTES:
        return None
    try:
        buffer[at : at + length].decode()
    except UnicodeDecodeError:
        return None
    return at + length


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    """An unsigned varint of protobuf, and what follows it. Of more than five bytes: more than anything here."""
    byte = buffer[at]
    if byte < 0x80:
        return byte, at + 1
    number = byte & 0x7F
    for shift in (7, 14, 21, 28):
        at += 1
        byte = buffer[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at + 1
    return 1 << 35, at + 1
