"""Which shards are read when: a child after its parents, or the events of a key would change their order."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from consumers.kinesis import KinesisRecord, Page, Shard
from headwater.polling.runtime import Found
from headwater.polling.stream_poller import BATCH_BYTES, BATCH_RECORDS, StreamPoller, batches
from headwater.sources.dynamodb.poller import DynamoDbPoller, TableShard, due_shards, from_lowest_failed
from schemas.errors import TransientError


class Stream:
    """A stream whose shards hold these payloads; a shard that is closed ends behind them."""

    def __init__(self, shards: list[Shard], held: dict[str, list[bytes]]) -> None:
        self.listed = shards
        self.held = held

    def shards(self) -> list[Shard]:
        return self.listed

    def open(self, shard: str, start: object = None) -> "Cursor":
        return Cursor(shard, self.held[shard])


class Cursor:
    """Gives one record with each read."""

    def __init__(self, shard: str, held: list[bytes]) -> None:
        self._shard = shard
        self._held = held

    def read(self, limit: int, *, closed: bool = False) -> Page:
        payloads, self._held[:] = self._held[:1], self._held[1:]
        records = [KinesisRecord(self._shard, "1", payload, datetime.now(UTC)) for payload in payloads]
        at_tip = not self._held
        return Page(records, at_tip, finished=closed and at_tip)


PARENT = Shard("parent", (), "9")
OTHER_PARENT = Shard("other", (), "9")
CHILD = Shard("child", ("parent",), None)
MERGED = Shard("merged", ("parent", "other"), None)


def taken_from(stream: Stream, passes: int = 5) -> list[bytes]:
    taken: list[bytes] = []
    poller = StreamPoller("p", stream, lambda _shard, records: taken.extend(r.payload for r in records))  # type: ignore[arg-type]
    for _ in range(passes):
        poller.poll(time.time())
    return taken


def test_a_child_is_read_when_its_parent_is_read_to_its_end() -> None:
    stream = Stream([PARENT, CHILD], {"parent": [b"1", b"2"], "child": [b"3", b"4"]})
    assert taken_from(stream) == [b"1", b"2", b"3", b"4"]


def test_a_merged_shard_waits_for_both_parents() -> None:
    stream = Stream(
        [PARENT, OTHER_PARENT, MERGED], {"parent": [b"1"], "other": [b"2", b"3"], "merged": [b"4"]}
    )
    assert taken_from(stream) == [b"1", b"2", b"3", b"4"]


def test_a_parent_that_has_expired_holds_nothing_up() -> None:
    assert taken_from(Stream([CHILD], {"child": [b"3"]})) == [b"3"]


def test_a_pass_is_not_level_while_a_child_waits() -> None:
    stream = Stream([PARENT, CHILD], {"parent": [b"1"], "child": []})
    poller = StreamPoller("p", stream, lambda _shard, _records: None)  # type: ignore[arg-type]
    assert poller.poll(time.time()) == Found(1, level=False)
    assert poller.poll(time.time()) == Found(0, level=True)


def test_a_parent_whose_last_records_were_not_taken_is_not_at_its_end() -> None:
    stream = Stream([PARENT, CHILD], {"parent": [b"1"], "child": [b"2"]})
    taken: list[bytes] = []
    fails = iter([True, True])

    def take(_shard: str, records: list[KinesisRecord]) -> None:
        if next(fails, False):
            raise TransientError("busy")
        taken.extend(record.payload for record in records)

    poller = StreamPoller("p", stream, take)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(TransientError, match="busy"):
            poller.poll(time.time())
    poller.poll(time.time())
    poller.poll(time.time())
    assert taken == [b"1", b"2"]


def test_records_that_came_after_the_asked_time_do_not_keep_a_shard_from_being_level() -> None:
    """Else a drain never ends while others go on writing."""
    stream = Stream([Shard("open", (), None)], {"open": [b"1", b"2", b"3"]})
    poller = StreamPoller("p", stream, lambda _shard, _records: None)  # type: ignore[arg-type]
    assert poller.poll(time.time() + 60) == Found(1, level=False)
    assert poller.poll(time.time() - 60) == Found(1, level=True)


def test_payloads_are_cut_into_calls_that_firehose_takes() -> None:
    small = [bytes([n % 256]) for n in range(BATCH_RECORDS + 1)]
    assert [len(batch) for batch in batches(small)] == [BATCH_RECORDS, 1]
    large = [b"x" * (BATCH_BYTES // 2), b"y" * (BATCH_BYTES // 2), b"z"]
    assert list(batches(large)) == [large[:2], large[2:]]
    assert list(batches([])) == []


def table_shards(*shards: TableShard) -> dict[tuple[str, str], TableShard]:
    return {(shard.stream_arn, shard.shard_id): shard for shard in shards}


def test_a_table_streams_child_waits_until_its_parent_is_read_and_taken() -> None:
    parent, child = TableShard("arn", "1", None), TableShard("arn", "2", "1")
    shards = table_shards(parent, child)
    assert due_shards(shards) == [parent]
    parent.closed, parent.waiting = True, [{"a": "record"}]
    assert due_shards(shards) == [parent]
    parent.waiting = []
    assert due_shards(shards) == [child]


class TablePoller(DynamoDbPoller):
    """Knows its shards; each gives its records in one answer, and no iterator behind them."""

    def __init__(self, held: dict[str, list[dict[str, Any]]], *shards: TableShard) -> None:
        super().__init__(None, ["t"], lambda _event, _context: {"batchItemFailures": []})  # type: ignore[arg-type]
        self._held = held
        self._shards = {"t": table_shards(*shards)}

    def _stream_arns(self, table: str) -> list[str]:
        return []

    def _get_records(self, shard: TableShard) -> Any:
        return {"Records": self._held[shard.shard_id]}


def test_a_pass_over_tables_is_not_level_while_a_child_waits() -> None:
    change = {"dynamodb": {"SequenceNumber": "1", "ApproximateCreationDateTime": datetime.now(UTC)}}
    parent, child = TableShard("arn:::::", "1", None), TableShard("arn:::::", "2", "1")
    poller = TablePoller({"1": [change], "2": []}, parent, child)
    assert poller.poll(0) == Found(1, level=False)
    assert poller.poll(time.time()) == Found(0, level=True)
    assert (parent.finished, child.finished) == (True, True)


def test_shards_of_two_streams_do_not_wait_for_each_other() -> None:
    old, new = TableShard("old", "1", None), TableShard("new", "2", "1")
    assert due_shards(table_shards(old, new)) == [old, new]


@pytest.mark.parametrize(
    ("failed", "again"),
    [([], []), (["3"], ["3", "4"]), (["4", "2"], ["2", "3", "4"]), (["?"], ["1", "2", "3", "4"])],
)
def test_inv1_lambda_gives_again_from_the_lowest_failed_record_on(
    failed: list[str], again: list[str]
) -> None:
    records = [{"dynamodb": {"SequenceNumber": number}} for number in ("1", "2", "3", "4")]
    left = from_lowest_failed(records, [{"itemIdentifier": number} for number in failed])
    assert [record["dynamodb"]["SequenceNumber"] for record in left] == again
