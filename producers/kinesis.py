"""Kinesis Data Streams as the publisher sees it: a port, its boto3 adapter and an in-memory fake.

Limits and responses: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError, TransientError
from schemas.stream import parse_stream

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef, PutRecordsResultEntryTypeDef

MAX_CALL_ENTRIES = 500
MAX_CALL_BYTES = 5 * 1024 * 1024  # payloads and partition keys together
MAX_ENTRY_BYTES = 1024 * 1024  # payload and partition key together
HASH_KEYS = 2**128
BROKEN = ""
"""Returned in place of a shard for an entry that failed for another reason than throttling."""
_THROTTLED = "ProvisionedThroughputExceededException"


class Entry(NamedTuple):
    """One record of a PutRecords call; `hash_key` is the explicit hash key, in decimal."""

    payload: bytes
    partition_key: str
    hash_key: str


class OpenShard(NamedTuple):
    """An open shard and its range of hash keys, both ends inclusive."""

    id: str
    start: int
    end: int


class StreamWriter(Protocol):
    """The stream that the publisher writes to."""

    def put(self, entries: Sequence[Entry]) -> list[str | None]:
        """Make one PutRecords call. Returns the result of each entry.

        A result is the shard that holds the entry durably, None if its shard throttled it, or BROKEN if it
        failed otherwise. Raises TransientError if the whole call failed: any entry may have been stored.
        """

    def shards(self) -> list[OpenShard]:
        """Return the open shards in order of their ranges. Raises TransientError."""


class KinesisWriter:
    """A Kinesis data stream, by name or ARN."""

    def __init__(self, kinesis: KinesisClient, stream: str) -> None:
        """Raises ConfigurationError for a malformed name or ARN."""
        self._kinesis = kinesis
        self._stream = parse_stream(stream)

    def put(self, entries: Sequence[Entry]) -> list[str | None]:
        with aws_errors(f"PutRecords to the stream {self._stream}"):
            try:
                answer = self._kinesis.put_records(
                    Records=[_request_entry(entry) for entry in entries], **self._stream.arguments
                )
            # Inside `aws_errors`, which would map it to a TransientError: a throttled call stored nothing.
            except self._kinesis.exceptions.ProvisionedThroughputExceededException:
                return [None] * len(entries)
        return [_shard_taking(record) for record in answer["Records"]]

    def shards(self) -> list[OpenShard]:
        with aws_errors(f"ListShards of the stream {self._stream}"):
            return sorted(self._open_shards(), key=lambda shard: shard.start)

    def _open_shards(self) -> Iterator[OpenShard]:
        # Not boto3's paginator: it sends the stream together with NextToken, which Kinesis rejects.
        request: dict[str, Any] = self._stream.arguments
        while request:
            page = self._kinesis.list_shards(**request)
            token = page.get("NextToken")
            request = {"NextToken": token} if token else {}
            for shard in page["Shards"]:
                # Closed shards are listed too, as long as they hold records.
                if "EndingSequenceNumber" not in shard["SequenceNumberRange"]:
                    hashes = shard["HashKeyRange"]
                    yield OpenShard(
                        shard["ShardId"], int(hashes["StartingHashKey"]), int(hashes["EndingHashKey"])
                    )


def _request_entry(entry: Entry) -> PutRecordsRequestEntryTypeDef:
    return {
        "Data": entry.payload,
        "PartitionKey": entry.partition_key,
        "ExplicitHashKey": entry.hash_key,
    }


def _shard_taking(record: PutRecordsResultEntryTypeDef) -> str | None:
    error = record.get("ErrorCode")
    if error:
        return None if error == _THROTTLED else BROKEN
    return record["ShardId"]


class Fault(NamedTuple):
    """A fault of one `put` of the in-memory stream. Numbers are modulo the count of shards or entries."""

    split: int | None = None  # the open shard of this number is split just before
    refused: frozenset[int] = frozenset()  # these entries are throttled
    before: bool = False  # raise TransientError, and store nothing
    after: bool = False  # raise TransientError, though every entry that did not fail was stored
    broken: frozenset[int] = frozenset()  # these entries fail for another reason


class InMemoryStream:
    """A stream with Kinesis's limits and routing. Each `put` suffers the next fault.

    `taken` holds the entries that each shard has stored, in order, closed shards included; `calls` holds the
    entries of every call.
    """

    def __init__(self, shards: int = 1, faults: Iterable[Fault] = ()) -> None:
        width = HASH_KEYS // shards
        starts = [number * width for number in range(shards)]
        ends = [start - 1 for start in starts[1:]] + [HASH_KEYS - 1]
        self._made = 0
        self._open: list[OpenShard] = []
        self.taken: dict[str, list[Entry]] = {}
        self.calls: list[list[Entry]] = []
        for start, end in zip(starts, ends, strict=True):
            self._open_shard(start, end)
        self._faults = iter(faults)

    def shards(self) -> list[OpenShard]:
        return sorted(self._open, key=lambda shard: shard.start)

    def put(self, entries: Sequence[Entry]) -> list[str | None]:
        _check_limits(entries)
        self.calls.append(list(entries))
        fault = next(self._faults, Fault())
        if fault.split is not None:
            self.split(self.shards()[fault.split % len(self._open)].id)
        if fault.before:
            raise TransientError("the in-memory stream failed on request")
        failed: dict[int, str | None] = {number % len(entries): BROKEN for number in fault.broken}
        failed |= {number % len(entries): None for number in fault.refused}
        answer = [failed[n] if n in failed else self._take(entry) for n, entry in enumerate(entries)]
        if fault.after:
            raise TransientError("the in-memory stream lost its response on request")
        return answer

    def split(self, shard_id: str) -> None:
        """Close the shard and open two in its place, as SplitShard does."""
        parent = next(shard for shard in self._open if shard.id == shard_id)
        middle = (parent.start + parent.end + 1) // 2
        self._open.remove(parent)
        self._open_shard(parent.start, middle - 1)
        self._open_shard(middle, parent.end)

    def merge(self, shard_id: str, adjacent_id: str) -> None:
        """Close two adjacent shards and open one in their place, as MergeShards does."""
        parents = [shard for shard in self.shards() if shard.id in (shard_id, adjacent_id)]
        self._open = [shard for shard in self._open if shard not in parents]
        self._open_shard(parents[0].start, parents[-1].end)

    def _open_shard(self, start: int, end: int) -> None:
        shard = OpenShard(f"shardId-{self._made:012}", start, end)
        self._made += 1
        self._open.append(shard)
        self.taken[shard.id] = []

    def _take(self, entry: Entry) -> str:
        hash_key = int(entry.hash_key)
        shard = next(shard for shard in self._open if shard.start <= hash_key <= shard.end)
        self.taken[shard.id].append(entry)
        return shard.id


def _check_limits(entries: Sequence[Entry]) -> None:
    sizes = [len(entry.payload) + len(entry.partition_key.encode()) for entry in entries]
    if not 1 <= len(entries) <= MAX_CALL_ENTRIES:
        raise ConfigurationError(f"PutRecords takes 1 to {MAX_CALL_ENTRIES} records, not {len(entries)}")
    if sum(sizes) > MAX_CALL_BYTES:
        raise ConfigurationError(f"PutRecords takes {MAX_CALL_BYTES} bytes, not {sum(sizes)}")
    if max(sizes) > MAX_ENTRY_BYTES:
        raise ConfigurationError(f"a Kinesis record takes {MAX_ENTRY_BYTES} bytes, not {max(sizes)}")
