"""Two writers at once on SQL Server: no event is lost, whatever comes between."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from consumers_world import ITEM, apply, item, position, row, table
from mssql_server import emptied, url_of
from mssql_world import batches, consume, opened, oracle
from sqlalchemy import Connection

from consumers.warehouse.mssql import guard
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.ddl import run
from consumers.warehouse.mssql.errors import mssql_errors
from consumers.warehouse.mssql.load import loads
from consumers.warehouse.mssql.warehouse import MssqlWarehouse
from consumers.warehouse.port import Batch, Counts, Row, Sweep, TransactionLostError, Warehouse
from consumers.warehouse.retry import retry_lost_transaction
from consumers.warehouse.tables import StagingTable
from schemas.errors import TransientError

pytest_plugins = ("warehouse_engines",)

TABLE = StagingTable(ITEM, "staging.")
OLDER, NEWER = row(ITEM, item("x", 1), 1), row(ITEM, item("x", 2), 2)


@pytest.fixture
def url(mssql_database: str) -> str:
    emptied(mssql_database)
    return url_of(mssql_database)


@pytest.fixture
def warehouse(url: str) -> Iterator[MssqlWarehouse]:
    with opened(url) as made:
        made.ensure()
        assert isinstance(made, MssqlWarehouse)
        yield made


# The order of the two halves.


class Writer:
    """One writer's transaction, statement by statement; without the hints, on which nothing may hang."""

    def __init__(self, connection: Connection, made: Row) -> None:
        self._connection = connection
        (load,) = loads(TABLE, [made])
        run(connection, sql.begin((), ()))
        assert load.parameters
        connection.exec_driver_sql(f"DECLARE @loaded INT; {load.statement}", load.parameters)

    def insert(self) -> int:
        return self._half(guard.insert_absent(TABLE, 1))

    def update(self) -> int:
        return self._half(guard.update_lesser(TABLE, 1))

    def commit(self) -> None:
        run(self._connection, f"DROP TABLE #rows; {sql.COMMIT}")

    def _half(self, statement: str) -> int:
        bare = statement.replace(" WITH (UPDLOCK, HOLDLOCK)", "")
        assert bare != statement
        now = "DECLARE @now DATETIME2(6) = SYSUTCDATETIME()"
        return int(run(self._connection, f"{now}; {bare}; SELECT @@ROWCOUNT").scalar_one())


@contextmanager
def two_writers(warehouse: MssqlWarehouse, first: Row, second: Row) -> Iterator[tuple[Writer, Writer]]:
    with ExitStack() as stack:
        connections = [stack.enter_context(warehouse.engine.connect()) for _ in range(2)]
        try:
            yield Writer(connections[0], first), Writer(connections[1], second)
        finally:
            for connection in connections:
                run(connection, sql.ROLLBACK)


def test_update_before_insert_loses_the_newer_event(warehouse: MssqlWarehouse) -> None:
    """Why the order is what it is: both find the key absent, and the second to insert finds it there."""
    with two_writers(warehouse, OLDER, NEWER) as (older, newer):
        assert older.update() == newer.update() == 0
        assert older.insert() == 1
        older.commit()
        assert newer.insert() == 0
        newer.commit()
    assert table(warehouse) == [OLDER]


def test_insert_before_update_meets_the_key_or_finds_it(warehouse: MssqlWarehouse) -> None:
    with two_writers(warehouse, OLDER, NEWER) as (older, newer), ThreadPoolExecutor() as pool:
        assert older.insert() == 1
        waiting = pool.submit(newer.insert)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=1)
        older.commit()
        with pytest.raises(TransactionLostError), mssql_errors("write"):
            waiting.result()
    assert apply(warehouse, ITEM, NEWER) == Counts(applied=1)
    assert table(warehouse) == [NEWER]


# Races.


def in_parallel(*work: Callable[[], object]) -> list[object]:
    with ThreadPoolExecutor(len(work)) as pool:
        return [each.result() for each in [pool.submit(one) for one in work]]


def test_inv2_two_consumers_of_one_shard_at_once_end_as_one_does(
    warehouse: MssqlWarehouse, url: str, tmp_path: Path
) -> None:
    work = batches(1)

    def reader() -> None:
        with opened(url) as mine:
            assert consume(mine, work).letters == []

    in_parallel(reader, reader)
    assert table(warehouse) == oracle(tmp_path, work)


def test_inv2_a_consumer_and_a_redrive_of_the_same_keys_end_as_one_does(
    warehouse: MssqlWarehouse, url: str, tmp_path: Path
) -> None:
    work = batches(2)

    def redrive() -> None:
        with opened(url) as mine:
            consume(mine, reversed([frames[::-1] for frames in work]), "redrive")

    in_parallel(lambda: consume(warehouse, work), redrive)
    assert table(warehouse) == oracle(tmp_path, work)


def test_a_unique_violation_of_a_race_is_lost_and_the_same_again_is_kept(warehouse: MssqlWarehouse) -> None:
    with ThreadPoolExecutor() as pool:
        with warehouse.transaction(shared=["item"]) as first:
            first.apply(Batch({"item": [OLDER]}))
            second = pool.submit(apply_shared, warehouse, NEWER)
            with pytest.raises(TimeoutError):
                second.result(timeout=1)
        # On SQL Server the hints make it wait and then find the row; without them it meets the key.
        assert isinstance(second.exception(), TransactionLostError | None)
    retry_lost_transaction(lambda: apply_shared(warehouse, NEWER))
    assert table(warehouse) == [NEWER]


def apply_shared(warehouse: Warehouse, *rows: Row) -> Counts:
    with warehouse.transaction(shared=["item"]) as transaction:
        return transaction.apply(Batch({"item": rows}))


def test_a_deadlock_costs_one_of_two_a_second_attempt_and_nothing_else(warehouse: MssqlWarehouse) -> None:
    keys = [row(ITEM, item(key), 1) for key in "ab"]
    apply(warehouse, ITEM, *keys)
    met, attempts = Barrier(2, timeout=60), [0, 0]

    def writer(place: int) -> None:
        """Both change both rows, each beginning with the other's last."""
        order = "ab"[:: 1 - 2 * place]

        def attempt() -> None:
            attempts[place] += 1
            with warehouse.transaction(shared=["item"]) as transaction:
                for key in order:
                    transaction.apply(Batch({"item": [row(ITEM, item(key, place), 2 + place)]}))
                    if attempts[place] == 1 and key == order[0]:
                        met.wait()

        retry_lost_transaction(attempt)

    in_parallel(lambda: writer(0), lambda: writer(1))
    assert sorted(table(warehouse)) == sorted(row(ITEM, item(key, 1), 3) for key in "ab")
    assert sum(attempts) == 3


def test_a_lock_that_is_not_free_in_time_is_transient(
    warehouse: MssqlWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "LOCK_MILLISECONDS", 2_000)  # the application lock, too, has to come within it
    with (
        warehouse.transaction(exclusive=["item"]),
        pytest.raises(TransientError, match="lock") as caught,
        warehouse.transaction(shared=["item"]),
    ):
        pass
    assert not isinstance(caught.value, TransactionLostError)
    assert apply(warehouse, ITEM, NEWER) == Counts(applied=1)


def test_a_row_that_is_not_free_in_time_is_transient(
    warehouse: MssqlWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(warehouse, ITEM, OLDER)
    monkeypatch.setattr(sql, "LOCK_MILLISECONDS", 2_000)  # the application lock, too, has to come within it
    with warehouse.transaction(shared=["item"]) as first:
        first.apply(Batch({"item": [NEWER]}))
        with pytest.raises(TransientError, match="1222"):
            apply_shared(warehouse, NEWER)
    assert table(warehouse) == [NEWER]


def test_a_sweep_waits_for_writers_and_they_for_it(warehouse: MssqlWarehouse, url: str) -> None:
    """Shared locks go together, an exclusive one alone: else a row below a floor could live."""
    with ThreadPoolExecutor() as pool, opened(url) as other, opened(url) as third:
        with warehouse.transaction(shared=["item"]) as writer:
            writer.apply(Batch({"item": [OLDER]}))
            assert apply_shared(third, row(ITEM, item("y"), 1)) == Counts(applied=1)
            swept = pool.submit(
                apply, other, ITEM, sweeps=[Sweep(OLDER.source, OLDER.key_hash[0], position(2))]
            )
            with pytest.raises(TimeoutError):
                swept.result(timeout=1)
        assert swept.result() == Counts(applied=1)
    assert [each.deleted for each in table(warehouse) if each.key_hash == OLDER.key_hash] == [True]
