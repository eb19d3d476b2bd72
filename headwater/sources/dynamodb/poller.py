"""A poller that hands DynamoDB stream records to the producer's Lambda handler.

It works like an event source mapping:

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from headwater.gaps import TABLE, Gap
from headwater.polling.lambda_events import Handler, dynamodb_event
from headwater.polling.runtime import Found, advance_all
from headwater.polling.runtime_report import Side
from headwater.polling.shard_places import Places
from producers.dynamodb.records import table_of
from schemas.aws_errors import aws_errors
from schemas.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_dynamodbstreams.type_defs import GetRecordsOutputTypeDef

_log = logging.getLogger(__name__)

_READ_RECORDS = 1_000  # the limit of GetRecords


@dataclass(slots=True, eq=False)
class TableShard:
    """The reading position in one shard."""

    stream_arn: str
    shard_id: str
    parent: str | None
    iterator: str | None = None  # None: request one before the next read
    read: str | None = None  # sequence number of the last record that was read
    read_until: float | None = None  # its creation, in seconds since the epoch, if this process read it
    waiting: list[Any] = field(default_factory=list)  # read, and not yet taken by the handler
    closed: bool = False  # read to its end

    @property
    def finished(self) -> bool:
        return self.closed and not self.waiting


class DynamoDbPoller:
    """Read all shards of all streams of the tables, from the oldest kept record on, children after parents.

    A table made again, or a stream switched on again, is found by the next pass. A restart without `places`
    reads everything that the streams still hold again: the same events, which are duplicates.
    """

    name = "dynamodb"
    side: Side = "source"

    def __init__(
        self,
        streams: DynamoDBStreamsClient,
        tables: Sequence[str],
        handler: Handler,
        places: Places | None = None,
        keep_gap: Callable[[Gap], None] = lambda _gap: None,
    ) -> None:
        """`keep_gap` stores the notice of records that expired before they were read."""
        self._streams = streams
        self._tables = tables
        self._handler = handler
        self._places = places
        self._keep_gap = keep_gap
        self._starts = places.all() if places else {}
        self._shards: dict[str, dict[tuple[str, str], TableShard]] = {table: {} for table in tables}
        self.is_reading = False  # every shard that a first pass found is being read

    def poll(self, since: float) -> Found:
        found = advance_all(self._tables, lambda table: self._poll_table(table, since))
        self.is_reading |= found.problem is None
        return found

    def _poll_table(self, table: str, since: float) -> Found:
        shards = self._shards[table]
        with aws_errors(f"looking for shards of the table {table}"):
            for arn in self._stream_arns(table):
                for shard in self._described(arn):
                    shards.setdefault((arn, shard.shard_id), shard)
        due = due_shards(shards)
        found = advance_all(due, lambda shard: self._advance(shard, since))
        seen = all(shard in due for shard in shards.values() if not shard.finished)
        return found._replace(level=found.level and seen)

    def _stream_arns(self, table: str) -> list[str]:
        """Return the ARNs of the table's streams, oldest first.

        A disabled stream is read to its end while AWS keeps it.
        """
        found = self._streams.list_streams(TableName=table)["Streams"]
        return [stream["StreamArn"] for stream in sorted(found, key=lambda stream: stream["StreamLabel"])]

    def _described(self, arn: str) -> Iterator[TableShard]:
        start: dict[str, Any] = {}
        while True:
            answer = self._streams.describe_stream(StreamArn=arn, **start)["StreamDescription"]
            for shard in answer.get("Shards", []):
                place = self._starts.get(_place_name(arn, shard["ShardId"]))
                yield TableShard(arn, shard["ShardId"], shard.get("ParentShardId"), read=place)
            if not (last := answer.get("LastEvaluatedShardId")):
                return
            start = {"ExclusiveStartShardId": last}

    def _advance(self, shard: TableShard, since: float) -> Found:
        if not shard.waiting:
            self._read(shard)
        batch = shard.waiting
        self._deliver(shard)
        return Found(len(batch), not batch or _created_at(batch[-1]) >= since)

    def _read(self, shard: TableShard) -> None:
        answer = self._get_records(shard)
        if answer is None:
            _log.warning("%s is gone; what was read of it is published", shard.stream_arn)
            shard.closed = True
            return
        shard.waiting = list(answer["Records"])
        shard.iterator = answer.get("NextShardIterator")
        shard.closed = shard.iterator is None
        if shard.waiting:
            shard.read = shard.waiting[-1]["dynamodb"]["SequenceNumber"]
            shard.read_until = _created_at(shard.waiting[-1])

    def _get_records(self, shard: TableShard) -> GetRecordsOutputTypeDef | None:
        """Read the next records. None if the shard no longer exists."""
        gone = self._streams.exceptions.ResourceNotFoundException
        trimmed = self._streams.exceptions.TrimmedDataAccessException
        expired = self._streams.exceptions.ExpiredIteratorException
        with aws_errors(f"GetRecords of the shard {shard.shard_id} of {shard.stream_arn}"):
            try:
                if shard.iterator:
                    # A new iterator for the same position replaces one that has expired. DynamoDB Local
                    # reports an iterator of an empty shard as trimmed once the shard has a record.
                    with suppress(expired, trimmed):
                        return self._streams.get_records(ShardIterator=shard.iterator, Limit=_READ_RECORDS)
                return self._streams.get_records(ShardIterator=self._iterator(shard), Limit=_READ_RECORDS)
            except gone:
                return None
            except trimmed:
                self._pass_gap(shard)
                raise TransientError(f"{shard.shard_id} of {shard.stream_arn} goes on after a gap") from None

    def _pass_gap(self, shard: TableShard) -> None:
        """Keep a notice of the gap, and go on at the oldest record: more would be lost by waiting."""
        after = "" if shard.read_until is None else _text(shard.read_until)
        gap = Gap(TABLE, table_of(shard.stream_arn), after, _text(time.time()))
        self._keep_gap(gap)
        _log.error("%s", gap.text)
        shard.iterator = shard.read = shard.read_until = None

    def _iterator(self, shard: TableShard) -> str:
        start = {"SequenceNumber": shard.read} if shard.read else {}
        kind: Literal["AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON"] = (
            "AFTER_SEQUENCE_NUMBER" if shard.read else "TRIM_HORIZON"
        )
        return self._streams.get_shard_iterator(
            StreamArn=shard.stream_arn, ShardId=shard.shard_id, ShardIteratorType=kind, **start
        )["ShardIterator"]

    def _deliver(self, shard: TableShard) -> None:
        """Hand the records to the handler; keep those from the lowest failed sequence number on (INV-1)."""
        if not shard.waiting:
            return
        answer = self._handler(dynamodb_event(shard.waiting, shard.stream_arn), None)
        shard.waiting = from_lowest_failed(shard.waiting, answer["batchItemFailures"])
        if shard.waiting:
            raise TransientError(f"{len(shard.waiting)} changes of {shard.stream_arn} were not published")
        if self._places and shard.read:
            self._places.took({_place_name(shard.stream_arn, shard.shard_id): shard.read})


def _place_name(stream_arn: str, shard_id: str) -> str:
    return f"{stream_arn} {shard_id}"


def due_shards(shards: Mapping[tuple[str, str], TableShard]) -> list[TableShard]:
    """Return the shards to read now, out of all by ARN and id.

    A child waits for its parent's end, so that a key's changes stay in order; a parent that is not there has
    expired.
    """
    return [
        shard
        for shard in shards.values()
        if not shard.finished
        and ((parent := shards.get((shard.stream_arn, shard.parent or ""))) is None or parent.finished)
    ]


def from_lowest_failed(records: list[Any], failures: Sequence[Mapping[str, str]]) -> list[Any]:
    """Return the records that Lambda would repeat: all from the lowest failed one on.

    If a failure names no record of the batch, these are all records.
    """
    if not failures:
        return []
    failed = {failure["itemIdentifier"] for failure in failures}
    places = [n for n, record in enumerate(records) if record["dynamodb"]["SequenceNumber"] in failed]
    return records[places[0] if places else 0 :]


def _created_at(record: Mapping[str, Any]) -> float:
    """Return the record's creation time in seconds since the epoch. AWS rounds it down to whole seconds."""
    return float(record["dynamodb"]["ApproximateCreationDateTime"].timestamp())


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
