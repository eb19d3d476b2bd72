"""The warehouse's environment fails: nothing half done is seen, nothing is lost, a retry is harmless."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
from consumers_world import CATALOG, ENTITIES, ITEM, event, floor, item, row, seen, table
from sqlalchemy import event as engine_event

from consumers.consume import Consumer
from consumers.warehouse.port import LIVE_READER, Batch, Checkpoint, Counts, padded
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from schemas.errors import TransientError
from schemas.event import encode_event
from schemas.letters.letter import InMemoryLetters

KEYS = 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.db"


@pytest.fixture
def warehouse(file: Path) -> Iterator[SqliteWarehouse]:
    made = open_warehouse(f"sqlite:///{file}", ENTITIES)
    made.ensure()
    yield made
    made.close()


def consumer_of(warehouse: SqliteWarehouse) -> tuple[Consumer, InMemoryLetters]:
    letters = InMemoryLetters()
    return Consumer(CATALOG, warehouse, letters), letters


def batch(number: int, keys: int = KEYS, **more: object) -> list[bytes]:
    """Batch n sets the size of every key to n."""
    return [encode_event(event(ITEM, item(f"{key}", number, **more), number)) for key in range(keys)]


def place(number: int) -> Checkpoint:
    return Checkpoint(LIVE_READER, "stream", "shard", padded(str(number)))


def saved(warehouse: SqliteWarehouse) -> int:
    with warehouse.transaction() as transaction:
        return max((int(each.sequence) for each in transaction.checkpoints(LIVE_READER)), default=0)


def sizes(warehouse: SqliteWarehouse) -> set[object]:
    return {each[1] for each in seen(warehouse)}


# Killed.

CHILD = """
import sys
sys.path[:0] = sys.argv[2:]
from test_consumers_faults import batch, consumer_of, place, saved
from consumers_world import ENTITIES
from consumers.warehouse.sqlite.warehouse import open_warehouse

warehouse = open_warehouse(sys.argv[1], ENTITIES)
warehouse.ensure()
consumer, _ = consumer_of(warehouse)
number = saved(warehouse)
while True:
    number += 1
    consumer.consume(batch(number), [place(number)])
    print(number, flush=True)
"""


def child(file: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    paths = [str(root), str(root / "tests"), str(root / "tests" / "fault")]
    command = [sys.executable, "-c", CHILD, f"sqlite:///{file}", *paths]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_inv1_inv8_a_writer_killed_at_any_moment_leaves_whole_batches_and_goes_on(
    warehouse: SqliteWarehouse, file: Path
) -> None:
    dice, acknowledged = random.Random(7), 0
    for _ in range(4):
        with child(file) as process:
            assert process.stdout is not None
            for _ in range(dice.randrange(2, 12)):
                acknowledged = int(process.stdout.readline())
                assert len(sizes(warehouse)) == 1  # a reader beside it
            time.sleep(dice.random() * 0.02)
            os.kill(process.pid, signal.SIGKILL)
        assert saved(warehouse) >= acknowledged
        assert sizes(warehouse) == {saved(warehouse)}
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_inv2_two_processes_worth_of_writers_at_once_lose_nothing(
    warehouse: SqliteWarehouse, file: Path
) -> None:
    other = open_warehouse(f"sqlite:///{file}", ENTITIES)
    numbers = list(range(1, 31))
    random.Random(3).shuffle(numbers)
    failures: list[BaseException] = []

    def write(mine: SqliteWarehouse, some: list[int]) -> None:
        try:
            consumer, _ = consumer_of(mine)
            for number in some:
                consumer.consume(batch(number))
        except BaseException as failure:  # noqa: BLE001 - the main thread asserts that there is none
            failures.append(failure)

    threads = [
        Thread(target=write, args=(mine, numbers[at::4])) for at, mine in enumerate([warehouse, other] * 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(table(warehouse)) == sorted(row(ITEM, item(f"{key}", 30), 30) for key in range(KEYS))
    other.close()


# The environment: always transient, never a dead letter.


def set_on(warehouse: SqliteWarehouse, pragma: str) -> None:
    """For every connection from now on."""
    warehouse.engine.dispose()
    engine_event.listen(
        warehouse.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}")
    )


@pytest.mark.parametrize(
    ("pragma", "code", "mended"),
    [
        ("max_page_count = 40", "SQLITE_FULL", "max_page_count = 1000000"),
        ("query_only = ON", "SQLITE_READONLY", "query_only = OFF"),
    ],
)
def test_a_full_disk_or_a_read_only_file_is_waited_out(
    warehouse: SqliteWarehouse, pragma: str, code: str, mended: str
) -> None:
    consumer, letters = consumer_of(warehouse)
    consumer.consume(batch(1), [place(1)])
    set_on(warehouse, pragma)
    large = batch(2, 2_000, label="x" * 500)
    for _ in range(2):
        with pytest.raises(TransientError, match=code):
            consumer.consume(large, [place(2)])
    set_on(warehouse, mended)
    assert (sizes(warehouse), saved(warehouse), letters.letters) == ({1}, 1, [])
    assert consumer.consume(large, [place(2)]) == Counts(applied=2_000)
    assert (sizes(warehouse), saved(warehouse)) == ({2}, 2)


class Commits:
    """Commits that fail, before or after they are done."""

    def __init__(self, warehouse: SqliteWarehouse, monkeypatch: pytest.MonkeyPatch, *, done: bool) -> None:
        self.done, self.left = done, 1
        self.real = warehouse.engine.dialect.do_commit
        monkeypatch.setattr(warehouse.engine.dialect, "do_commit", self)

    def __call__(self, connection: Any) -> None:
        if not self.left or self.done:
            self.real(connection)
        if self.left:
            self.left -= 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
            raise error


def test_a_commit_that_fails_leaves_nothing_and_the_next_one_is_free_of_it(
    warehouse: SqliteWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer, _ = consumer_of(warehouse)
    Commits(warehouse, monkeypatch, done=False)
    with pytest.raises(TransientError, match="SQLITE_IOERR_FSYNC"):
        consumer.consume(batch(1), [place(1)])
    assert (seen(warehouse), saved(warehouse)) == ([], 0)
    assert consumer.consume(batch(1), [place(1)]) == Counts(applied=KEYS)


def test_inv2_a_commit_whose_answer_is_lost_is_tried_again_without_harm(
    warehouse: SqliteWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer, _ = consumer_of(warehouse)
    Commits(warehouse, monkeypatch, done=True)
    with pytest.raises(TransientError):
        consumer.consume(batch(1), [place(1)])
    before = table(warehouse)
    assert consumer.consume(batch(1), [place(1)]) == Counts(duplicate=KEYS)
    assert table(warehouse) == before
    assert len(before) == KEYS


def test_a_sweep_beside_a_writer_with_an_older_row_ends_as_a_tombstone(
    warehouse: SqliteWarehouse, file: Path
) -> None:
    """The writer, its batch decoded, waits for the lock while the sweep commits: it must see the floor."""
    other = open_warehouse(f"sqlite:///{file}", ENTITIES)
    late = row(ITEM, item("x"), 1)
    consumer, _ = consumer_of(other)
    writer = Thread(target=lambda: consumer.consume([encode_event(event(ITEM, item("x"), 1))]))
    with warehouse.transaction(exclusive=["item"]) as transaction:
        transaction.apply(Batch({}, {"item": [floor(late, 2)]}))
        writer.start()
        time.sleep(0.05)
        assert writer.is_alive()
    writer.join()
    assert table(warehouse) == [late._replace(deleted=True)]
    other.close()


def test_who_opens_a_new_file_waits_for_who_is_in_it(file: Path) -> None:
    """SQLite does not wait by itself for who switches the file to write-ahead logging."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE something (x)")
    other.execute("BEGIN IMMEDIATE")
    Timer(0.2, other.execute, ["COMMIT"]).start()
    made = open_warehouse(f"sqlite:///{file}", [ITEM], busy_seconds=20)
    made.ensure()
    assert seen(made) == []
    made.close()
    other.close()
