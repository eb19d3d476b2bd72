"""Replay killed at every write, and beside writers in other threads."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from threading import Event as Signal
from threading import Thread
from time import sleep
from typing import Any

import pytest
from consumers_world import ITEM, event, item, sweep
from replay_world import Pipe, business, oracle, quick_folder

from consumers.warehouse.port import Transaction, Warehouse
from replay.as_of import EPOCH, plan_as_of
from replay.rebuild import plan_rebuild, plan_rollback
from replay.run import RunResult, run
from schemas.errors import ConflictError
from schemas.event import Operation

EACH_EVENT = 1


class PowerCut(Exception):  # noqa: N818
    """The end of the process, which nobody catches."""


class Mortal:
    """A warehouse whose process ends at its n-th write: half of them just before the commit, half just
    after."""

    def __init__(self, warehouse: Warehouse, last: int) -> None:
        self._warehouse, self._last, self.writes = warehouse, last, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    @contextmanager
    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> Iterator[Transaction]:
        with self._warehouse.transaction(shared, exclusive) as transaction:
            yield transaction
            self._live_on()
        self._live_on()

    def create_revision(self, entity: str) -> int:
        return self._around(self._warehouse.create_revision, entity)

    def drop_revision(self, entity: str, revision: int) -> None:
        self._around(self._warehouse.drop_revision, entity, revision)

    def publish_as_of(self, entity: str, revision: int, name: str) -> str:
        return self._around(self._warehouse.publish_as_of, entity, revision, name)

    def _around(self, write: Callable[..., Any], *args: object) -> Any:
        self._live_on()
        done = write(*args)
        self._live_on()
        return done

    def _live_on(self) -> None:
        self.writes += 1
        if self.writes == self._last:
            raise PowerCut


def filled(folder: str) -> Pipe:
    pipe = Pipe(folder)
    for n in range(4):
        pipe.publish(event(ITEM, item(f"k{n % 3}", n), n), sweep(ITEM, 16 * n, n))
        pipe.flush()
    pipe.publish(event(ITEM, item("not flushed"), 5), event(ITEM, {"id": "k1"}, 6, Operation.DELETE))
    pipe.consume()
    return pipe


def go_on(pipe: Pipe) -> None:
    """The world does not stand still while replay is dead."""
    pipe.publish(event(ITEM, item("k2", 77), 77), event(ITEM, item("while dead"), 78))
    pipe.flush()
    pipe.publish(event(ITEM, item("k0", 79), 79))
    pipe.consume()


def rebuild(pipe: Pipe, warehouse: Warehouse) -> RunResult:
    ports = pipe.ports(warehouse=warehouse, chunk_bytes=EACH_EVENT)
    return run(plan_rebuild(ports, ITEM), ports)


def rollback(pipe: Pipe, warehouse: Warehouse) -> RunResult:
    ports = pipe.ports(warehouse=warehouse)
    return run(plan_rollback(ports, ITEM), ports)


def writes_of(work: Callable[[Pipe, Warehouse], RunResult], prepare: Callable[[Pipe], object]) -> int:
    with quick_folder() as folder:
        pipe = filled(folder)
        prepare(pipe)
        counted = Mortal(pipe.warehouse, -1)
        work(pipe, counted)
        pipe.warehouse.close()
        return counted.writes


@pytest.mark.parametrize(
    ("work", "prepare"), [(rebuild, lambda _pipe: None), (rollback, lambda pipe: pipe.rebuild())]
)
def test_inv8_killed_at_any_write_readers_see_a_whole_table_and_the_next_run_ends_well(
    work: Callable[[Pipe, Warehouse], RunResult], prepare: Callable[[Pipe], object]
) -> None:
    writes = writes_of(work, prepare)
    assert writes >= 4
    for last in range(1, writes + 1):
        with quick_folder() as folder:
            pipe = filled(folder)
            prepare(pipe)
            with pytest.raises(PowerCut):
                work(pipe, Mortal(pipe.warehouse, last))
            assert business(pipe.table()) == oracle(ITEM, pipe.published), last

            go_on(pipe)
            assert business(pipe.table()) == oracle(ITEM, pipe.published), last
            assert pipe.rebuild().swapped
            assert business(pipe.table()) == oracle(ITEM, pipe.published), last
            assert [each.state for each in pipe.warehouse.revisions("item")] == ["retired", "live"]
            pipe.warehouse.close()


def test_an_as_of_view_killed_at_any_write_is_there_whole_or_not_at_all() -> None:
    moment = EPOCH.replace(year=2024, second=3)

    def as_of(pipe: Pipe, warehouse: Warehouse) -> RunResult:
        ports = pipe.ports(warehouse=warehouse, chunk_bytes=EACH_EVENT)
        return run(plan_as_of(ports, ITEM, moment), ports)

    until = 1_704_067_203_000_000
    for last in range(1, writes_of(as_of, lambda _pipe: None) + 1):
        with quick_folder() as folder:
            pipe = filled(folder)
            with pytest.raises(PowerCut):
                as_of(pipe, Mortal(pipe.warehouse, last))
            shown = [each.number for each in pipe.warehouse.revisions("item") if each.state == "as_of"]
            shown.append(as_of(pipe, pipe.warehouse).revision)
            assert business(pipe.table(revision=shown[-1])) == oracle(ITEM, pipe.published, until), last
            pipe.warehouse.close()


def test_a_live_writer_in_another_thread_loses_nothing_to_rebuilds_and_rollbacks() -> None:
    with quick_folder() as folder:
        pipe, stop, failures = filled(folder), Signal(), list[BaseException]()

        def write_on() -> None:
            number = 100
            try:
                while not stop.is_set():
                    pipe.publish(event(ITEM, item(f"k{number % 11}", number), number))
                    pipe.consume()
                    number += 1
            except BaseException as error:  # noqa: BLE001 - told to the test
                failures.append(error)

        writer = Thread(target=write_on)
        writer.start()
        try:
            for work in (rebuild, rollback, rebuild, rebuild) * 5:
                written = len(pipe.published)
                assert work(pipe, pipe.warehouse).swapped
                while len(pipe.published) <= written and writer.is_alive():
                    sleep(0.001)  # a busy machine may give the writer no turn in the meantime
        finally:
            stop.set()
            writer.join()

        pipe.consume()
        assert failures == []
        assert len(pipe.published) >= 30  # ten at the start, at least one for each work
        assert business(pipe.table()) == oracle(ITEM, pipe.published)
        pipe.warehouse.close()


def test_of_rebuilds_in_several_threads_one_wins_and_the_table_is_right() -> None:
    with quick_folder() as folder:
        pipe, outcomes = filled(folder), list[object]()
        ports = pipe.ports(chunk_bytes=EACH_EVENT)
        plans = [plan_rebuild(ports, ITEM) for _ in range(3)]

        def attempt(number: int) -> None:
            with suppress(ConflictError):
                outcomes.append(run(plans[number], ports).swapped)

        threads = [Thread(target=attempt, args=(number,)) for number in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert outcomes == [True]
        assert business(pipe.table()) == oracle(ITEM, pipe.published)
        pipe.warehouse.close()
