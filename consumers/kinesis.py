"""A Kinesis data stream as its readers see it: shards, and the records of each from any place on.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from schemas.aws_errors import aws_errors
from schemas.errors import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import (
        GetRecordsOutputTypeDef,
        ShardTypeDef,
        StreamDescriptionSummaryTypeDef,
    )

MAX_RECORDS = 10_000
"""What GetRecords takes as its limit."""

Start: TypeAlias = str | datetime | None
"""Where to begin: after this sequence number, padded or not; at this time; None: at the oldest record."""


class Shard(NamedTuple):
    """A shard that still holds records. It is closed, and takes no more, once it has an `ending_sequence`."""

    id: str
    parents: tuple[str, ...]
    ending_sequence: str | None

    @property
    def closed(self) -> bool:
        return self.ending_sequence is not None


class KinesisRecord(NamedTuple):
    """One record; `sequence` as Kinesis tells it, `arrived_at` in UTC."""

    shard: str
    sequence: str
    payload: bytes
    arrived_at: datetime


class Page(NamedTuple):
    """What one read gives. `at_tip`: nothing was behind these records. `finished`: nor will there ever be."""

    records: list[KinesisRecord]
    at_tip: bool
    finished: bool


class StreamReader:
    """A stream, by name. Everything here raises TransientError (throttled, away: try again) and
    ConfigurationError (no such stream, not allowed)."""

    def __init__(self, kinesis: KinesisClient, stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream

    def identity(self) -> str:
        """`<ARN>@<creation time>`: a stream made again under its old name is another one."""
        summary = self._summary()
        created = summary["StreamCreationTimestamp"].astimezone(UTC)
        return f"{summary['StreamARN']}@{created.isoformat()}"

    def retention(self) -> timedelta:
        """How long the stream keeps a record."""
        return timedelta(hours=self._summary()["RetentionPeriodHours"])

    def _summary(self) -> StreamDescriptionSummaryTypeDef:
        with aws_errors(f"DescribeStreamSummary of {self._stream}"):
            answer = self._kinesis.describe_stream_summary(StreamName=self._stream)
        return answer["StreamDescriptionSummary"]

    def shards(self) -> list[Shard]:
        """All shards, closed ones too, parents before their children."""
        return [_shard(shard) for shard in self._listed()]

    def _listed(self) -> Iterator[ShardTypeDef]:
        # By hand: boto3's paginator sends name and token together, which Kinesis refuses.
        request: dict[str, Any] = {"StreamName": self._stream}
        while request:
            with aws_errors(f"ListShards of {self._stream}"):
                answer = self._kinesis.list_shards(**request)
            yield from answer["Shards"]
            token = answer.get("NextToken")
            request = {"NextToken": token} if token else {}

    def open(self, shard: str, start: Start = None) -> ShardReader:
        """A reader of one shard from there on."""
        return ShardReader(self._kinesis, self._stream, shard, start)


def _shard(shard: ShardTypeDef) -> Shard:
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return Shard(
        shard["ShardId"],
        tuple(parent for parent in parents if parent),
        shard["SequenceNumberRange"].get("EndingSequenceNumber"),
    )


class ShardReader:
    """Reads one shard in order. Remembers its place: after an error the next read goes on from there."""

    def __init__(self, kinesis: KinesisClient, stream: str, shard: str, start: Start) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._shard = shard
        self._start = start
        self._iterator: str | None = None
        self._ended = False

    def read(self, limit: int = MAX_RECORDS, *, closed: bool = False) -> Page:
        """The next records. Say `closed` when ListShards has shown the shard closed before this call: then
        nothing comes after the tip. Raises TransientError, ConfigurationError."""
        if self._ended:
            return Page([], at_tip=True, finished=True)
        answer = self._get_records(limit)
        records = [
            KinesisRecord(
                self._shard, record["SequenceNumber"], record["Data"], record["ApproximateArrivalTimestamp"]
            )
            for record in answer["Records"]
        ]
        if records:
            self._start = records[-1].sequence
        self._iterator = answer.get("NextShardIterator")
        # A full page may have more behind it of the same millisecond.
        at_tip = answer.get("MillisBehindLatest", 0) == 0 and len(records) < limit
        self._ended = not self._iterator or (closed and at_tip)
        return Page(records, at_tip or self._ended, self._ended)

    def _get_records(self, limit: int) -> GetRecordsOutputTypeDef:
        try:
            return self._asked(limit)
        except ConflictError:
            # The iterator, five minutes old, has expired; the place after the last record has not.
            self._iterator = None
            return self._asked(limit)

    def _asked(self, limit: int) -> GetRecordsOutputTypeDef:
        with aws_errors(f"GetRecords of {self._stream} {self._shard}"):
            self._iterator = self._iterator or self._place()
            return self._kinesis.get_records(ShardIterator=self._iterator, Limit=limit)

    def _place(self) -> str:
        """A new iterator at the place."""
        place: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if isinstance(self._start, datetime):
            place = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._start}
        elif self._start is not None:
            sequence = self._start.lstrip("0") or "0"
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": sequence}
        answer = self._kinesis.get_shard_iterator(StreamName=self._stream, ShardId=self._shard, **place)
        return answer["ShardIterator"]
