"""Reading of Kinesis data streams: shards, and the records of a shard from a given point on.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from schemas.aws_errors import aws_errors
from schemas.errors import ConflictError
from schemas.stream import Stream, parse_stream

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.literals import ShardIteratorTypeType
    from mypy_boto3_kinesis.type_defs import (
        GetRecordsOutputTypeDef,
        ShardTypeDef,
        StreamDescriptionSummaryTypeDef,
    )

MAX_RECORDS = 10_000
"""The largest limit that GetRecords accepts."""

MAX_EMPTY_PAGES = 100
"""Empty pages before the record of a checkpoint. If it is there, the first page has it."""

Start: TypeAlias = str | datetime | None
"""Point at which reading starts.

A sequence number, padded or not: after that record. A time: at the first record since. None: at the oldest
record.
"""


class Shard(NamedTuple):
    """A shard that still retains records.

    With an `ending_sequence` it is closed: it accepts no more records.
    """

    id: str
    parents: tuple[str, ...]
    ending_sequence: str | None

    @property
    def closed(self) -> bool:
        return self.ending_sequence is not None


class KinesisRecord(NamedTuple):
    """One record. `sequence` is as Kinesis returns it, unpadded; `arrived_at` is in UTC."""

    shard: str
    sequence: str
    payload: bytes
    arrived_at: datetime


class Page(NamedTuple):
    """Result of one read.

    `at_tip`: the shard had no records after these. `finished`: it never will have any. `trimmed`: the record
    after which reading started has expired, and perhaps others between it and these.
    """

    records: list[KinesisRecord]
    at_tip: bool
    finished: bool
    trimmed: bool = False


class StreamReader:
    """Reader of one stream, by name or ARN.

    Every method may raise TransientError (throttled or unreachable: retry) and ConfigurationError (no such
    stream, or access denied).
    """

    def __init__(self, kinesis: KinesisClient, stream: str) -> None:
        """Raises ConfigurationError for a malformed name or ARN."""
        self._kinesis = kinesis
        self._stream = parse_stream(stream)

    def identity(self) -> str:
        """Return `<ARN>@<creation time>`."""
        # The creation time distinguishes a stream from an earlier one of the same name, whose checkpoints are
        # void.
        summary = self._summary()
        created = summary["StreamCreationTimestamp"].astimezone(UTC)
        return f"{summary['StreamARN']}@{created.isoformat()}"

    def retention(self) -> timedelta:
        """Return how long the stream retains a record."""
        return timedelta(hours=self._summary()["RetentionPeriodHours"])

    def _summary(self) -> StreamDescriptionSummaryTypeDef:
        with aws_errors(f"DescribeStreamSummary of {self._stream}"):
            answer = self._kinesis.describe_stream_summary(**self._stream.arguments)
        return answer["StreamDescriptionSummary"]

    def shards(self) -> list[Shard]:
        """Return all shards, including closed ones, parents before their children."""
        return [_shard(shard) for shard in self._listed()]

    def _listed(self) -> Iterator[ShardTypeDef]:
        # Not boto3's paginator: it sends the stream together with NextToken, which Kinesis rejects.
        request: dict[str, Any] = self._stream.arguments
        while request:
            with aws_errors(f"ListShards of {self._stream}"):
                answer = self._kinesis.list_shards(**request)
            yield from answer["Shards"]
            token = answer.get("NextToken")
            request = {"NextToken": token} if token else {}

    def open(self, shard: str, start: Start = None) -> ShardReader:
        """Return a reader of one shard that starts at `start`."""
        return ShardReader(self._kinesis, self._stream, shard, start)


def _shard(shard: ShardTypeDef) -> Shard:
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return Shard(
        shard["ShardId"],
        tuple(parent for parent in parents if parent),
        shard["SequenceNumberRange"].get("EndingSequenceNumber"),
    )


class ShardReader:
    """Reader of one shard, in order. After an error the next read resumes after the last record returned."""

    def __init__(self, kinesis: KinesisClient, stream: Stream, shard: str, start: Start) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._shard = shard
        self._start = start
        self._iterator: str | None = None
        self._expected: str | None = None  # sequence number of the record that the next read begins with
        self._empty_pages = 0
        self._ended = False

    def read(self, limit: int = MAX_RECORDS, *, closed: bool = False) -> Page:
        """Return the next records, at most `limit`.

        Pass `closed` if ListShards reported the shard as closed before this call: the tip is then its end.
        Raises TransientError, ConfigurationError.
        """
        if self._ended:
            return Page([], at_tip=True, finished=True)
        answer = self._get_records(limit)
        records = self._records(answer)
        if records:
            self._start = records[-1].sequence
        self._iterator = answer.get("NextShardIterator")
        # MillisBehindLatest is 0 within the newest millisecond, so a full page may still be followed by
        # records of that millisecond.
        at_tip = answer.get("MillisBehindLatest", 0) == 0 and len(records) < limit
        # Kinesis returns no next iterator at the end of a closed shard.
        self._ended = not self._iterator or (closed and at_tip)
        trimmed = self._check_first(records, at_tip or self._ended)
        return Page(records, at_tip or self._ended, self._ended, trimmed)

    def _records(self, answer: GetRecordsOutputTypeDef) -> list[KinesisRecord]:
        return [
            KinesisRecord(
                shard=self._shard,
                sequence=record["SequenceNumber"],
                payload=record["Data"],
                arrived_at=record["ApproximateArrivalTimestamp"],
            )
            for record in answer["Records"]
        ]

    def _check_first(self, records: list[KinesisRecord], at_tip: bool) -> bool:
        """Remove the record after which reading starts. Returns True if it has expired."""
        if self._expected is None:
            return False
        if not (records or at_tip):
            return self._give_up()
        is_there = bool(records) and records[0].sequence == self._expected
        del records[: int(is_there)]
        self._expected = None
        return not is_there

    def _give_up(self) -> bool:
        """Count an empty page before the first record, and start at the oldest record after too many.

        Returns True if it did.
        """
        # Readers of an expired record have seen nothing but empty pages:
        # https://github.com/harlow/kinesis-consumer/issues/125
        self._empty_pages += 1
        if self._empty_pages < MAX_EMPTY_PAGES:
            return False
        self._start = self._iterator = self._expected = None
        return True

    def _get_records(self, limit: int) -> GetRecordsOutputTypeDef:
        try:
            return self._request(limit)
        except ConflictError:
            # An iterator expires after five minutes. A new one continues after the last record.
            self._iterator = None
            return self._request(limit)

    def _request(self, limit: int) -> GetRecordsOutputTypeDef:
        with aws_errors(f"GetRecords of {self._stream} {self._shard}"):
            self._iterator = self._iterator or self._new_iterator()
            return self._kinesis.get_records(
                ShardIterator=self._iterator, Limit=limit, **self._stream.record_arguments
            )

    def _new_iterator(self) -> str:
        """Return a new iterator at the point where the next read starts."""
        if isinstance(self._start, datetime):
            return self._ask_iterator("AT_TIMESTAMP", Timestamp=self._start)
        if self._start is None:
            return self._ask_iterator("TRIM_HORIZON")
        # Checkpoints are zero-padded to a fixed width; Kinesis accepts only the unpadded number.
        self._expected, self._empty_pages = self._start.lstrip("0") or "0", 0
        # Not AFTER_SEQUENCE_NUMBER: if the record has expired, reading would silently start at the oldest
        # one. With AT_SEQUENCE_NUMBER that is noticed, because another record comes first.
        try:
            return self._ask_iterator("AT_SEQUENCE_NUMBER", StartingSequenceNumber=self._expected)
        except self._kinesis.exceptions.InvalidArgumentException:  # also reported for an expired record
            return self._ask_iterator("TRIM_HORIZON")

    def _ask_iterator(self, kind: ShardIteratorTypeType, **start: Any) -> str:
        answer = self._kinesis.get_shard_iterator(
            **self._stream.arguments, ShardId=self._shard, ShardIteratorType=kind, **start
        )
        return answer["ShardIterator"]
