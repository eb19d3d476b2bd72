"""Transactions that the database undoes while replay or the consumer is in them, on both engines."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
import replay_world
from consumers_world import ITEM, event, item
from replay_world import Pipe, Watched, business, oracle

from consumers.consume import Consumer
from consumers.warehouse import retry
from consumers.warehouse.mssql import warehouse as mssql
from consumers.warehouse.port import TransactionLostError
from consumers.warehouse.sqlite import warehouse as sqlite
from replay.compare import compare
from replay.log.in_memory import InMemoryLog
from replay.retry_policy import RetryPolicy
from schemas.catalog.entity import Entity
from schemas.payload.codec import SchemaRegistry

pytest_plugins = ("warehouse_engines",)


def losing(pipe: Pipe, lose: Callable[[bool], bool] = lambda _exclusive: False) -> Watched:
    made = Watched(pipe.warehouse)
    made.lose = lose
    return made


def times(number: int) -> Callable[[bool], bool]:
    """Lose so many exclusive transactions."""
    left = iter(range(number))
    return lambda exclusive: exclusive and next(left, None) is not None


@pytest.fixture
def pipe(tmp_path: Path, warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """Two rows that are flushed, and a live consumer that applies one more just before a swap."""
    engine = mssql if warehouse_url.startswith("mssql") else sqlite
    monkeypatch.setattr(replay_world, "open_warehouse", engine.open_warehouse)
    monkeypatch.setattr(Pipe, "url", warehouse_url)
    monkeypatch.setattr(retry.time, "sleep", lambda _seconds: None)
    made = Pipe(tmp_path)
    made.publish(event(ITEM, item("k1"), 1), event(ITEM, item("k2"), 2))
    made.flush()
    made.consume()
    yield made
    made.warehouse.close()


def consume_late(pipe: Pipe, warehouse: Watched, swaps: int = 1, key: str = "late {}") -> None:
    """Have the live consumer apply an event before each of so many locks: replay has read the stream to its
    tip by then."""

    def before(exclusive: Collection[str]) -> None:
        if exclusive and warehouse.begun[True] < swaps:
            number = 3 + warehouse.begun[True]
            pipe.publish(event(ITEM, item(key.format(number), number), number))
            pipe.consume()

    warehouse.before = before


@pytest.mark.parametrize("lost", [1, 2])
def test_inv3_a_swap_whose_transaction_is_lost_begins_again_and_loses_no_live_event(
    pipe: Pipe, lost: int
) -> None:
    warehouse = losing(pipe, times(lost))
    consume_late(pipe, warehouse)
    outcome = pipe.rebuild(warehouse=warehouse)
    assert (outcome.swapped, outcome.differences) == (True, ())
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
    assert {row.values[0] for row in pipe.table()} == {"k1", "k2", "late 3"}


def test_inv8_a_swap_that_is_lost_each_time_leaves_the_live_table_and_tries_as_often_as_patience_says(
    pipe: Pipe,
) -> None:
    warehouse = losing(pipe, lambda exclusive: exclusive)
    consume_late(pipe, warehouse, swaps=99)  # each attempt has something to apply
    before_it = pipe.live()
    with pytest.raises(TransactionLostError):
        pipe.rebuild(warehouse=warehouse)
    assert warehouse.begun[True] == pipe.ports().retry.attempts
    assert pipe.live() == before_it
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_chunk_of_the_log_is_written_once_for_each_attempt(pipe: Pipe) -> None:
    tries = []
    with pytest.raises(TransactionLostError):
        pipe.rebuild(warehouse=losing(pipe, lambda _exclusive: tries.append(1) is None))
    assert len(tries) == pipe.ports().retry.attempts


def test_nothing_is_read_of_the_log_while_live_consumers_wait_for_a_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first event of a schema comes between the tip and the lock: the next attempt reads the schema."""
    pipe = Pipe(tmp_path)
    warehouse = losing(pipe)
    consume_late(pipe, warehouse)
    read, asked = pipe.log.document, []

    def document(key: str) -> bytes | None:
        assert not warehouse.locked_exclusively
        asked.append(key)
        return read(key)

    monkeypatch.setattr(InMemoryLog, "document", staticmethod(document))
    outcome = pipe.rebuild(warehouse=warehouse, registry=SchemaRegistry())
    assert (outcome.swapped, outcome.counts.applied, len(asked)) == (True, 1, 1)
    assert warehouse.begun[True] == 2
    assert business(pipe.table()) == oracle(ITEM, pipe.published)


def test_a_comparison_whose_scratch_table_fails_under_the_lock_lets_go_and_misses_no_event(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = losing(pipe)
    consume_late(pipe, live, key="k1")
    failures = iter([True])

    def opened(url: str, entities: list[Entity]) -> Watched:
        made = Watched(sqlite.open_warehouse(url, entities))
        made.lose = lambda _exclusive: live.locked_exclusively and next(failures, False)
        return made

    monkeypatch.setattr("replay.compare.open_warehouse", opened)
    pipe.publish(event(ITEM, item("k1", 2), 2))  # not consumed yet: it may only be under way
    asleep: list[bool] = []
    policy = RetryPolicy(
        attempts=3, sleep=lambda _seconds: asleep.append(live.locked_exclusively), random=lambda: 0.0
    )
    assert list(compare(pipe.ports(warehouse=live, retry=policy), ITEM)) == []
    assert live.begun[True] == 2
    assert not any(asleep)


def test_the_consumer_begins_a_lost_transaction_again(pipe: Pipe) -> None:
    lost = iter([True, True])
    pipe.consumer = Consumer(pipe.catalog, losing(pipe, lambda _exclusive: next(lost, False)), pipe.letters)
    pipe.publish(event(ITEM, item("k1", 9), 4))
    assert pipe.consume().applied == 1
    assert business(pipe.table()) == oracle(ITEM, pipe.published)
