"""SQL Server itself is at fault, or what we were told of it: stop or wait, and never a dead letter."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pymssql
import pytest
from consumers_world import CATALOG, ENTITIES, EVERY, ITEM, apply, event, item, row, table
from mssql_server import bare, emptied, is_encrypted, url_of
from mssql_world import batches, checkpoint, consume, opened, oracle
from sqlalchemy import event as engine_event
from sqlalchemy.engine import make_url
from tcp_proxy import proxy

from consumers.consume import Consumer
from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.mssql.warehouse import MssqlWarehouse
from consumers.warehouse.port import LIVE_READER, Counts, RefusedRowError, TransactionLostError
from schemas.errors import ConfigurationError, TransientError
from schemas.event import encode_event
from schemas.letters.letter import InMemoryLetters

pytest_plugins = ("warehouse_engines",)

WORK = batches(5, count=2, size=20)


@pytest.fixture
def warehouse(mssql_database: str) -> Iterator[MssqlWarehouse]:
    emptied(mssql_database)
    with opened(url_of(mssql_database)) as made:
        made.ensure()
        assert isinstance(made, MssqlWarehouse)
        yield made


# What a person has to mend.


_ENSURE = """
import os, sys, babelfish
from consumers.warehouse.engines import open_warehouse
try:
    open_warehouse(os.environ["HEADWATER_WAREHOUSE"], []).ensure()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def at_start(url: str) -> str:
    """What a process that has met no other error says."""
    variables = {**os.environ, "HEADWATER_WAREHOUSE": url, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _ENSURE], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_a_login_that_is_refused_is_a_configuration_error_without_the_password(mssql_database: str) -> None:
    url = make_url(url_of(mssql_database)).set(password="swordfish").render_as_string(hide_password=False)
    said = at_start(url)
    assert said.startswith("ConfigurationError: ensure: SQL Server error 18456: the login is refused")
    assert "swordfish" not in said


def test_a_database_that_is_missing_is_a_configuration_error(mssql_database: str) -> None:
    said = at_start(url_of("headwater_nowhere"))
    assert said.startswith("ConfigurationError")
    assert "database is missing" in said


def test_a_server_that_does_not_answer_is_transient_whatever_failed_before(mssql_database: str) -> None:
    """pymssql would give the number of the failure before."""
    with opened(url_of("headwater_nowhere")) as missing, pytest.raises(ConfigurationError):
        missing.ensure()
    url = make_url(url_of(mssql_database)).set(port=1).render_as_string(hide_password=False)
    with opened(url) as away, pytest.raises(TransientError, match="no server answers"):
        away.ensure()


def test_encryption_that_the_server_has_not_is_not_done_without(mssql_database: str) -> None:
    if is_encrypted():
        pytest.skip("this server offers TLS")
    url = make_url(url_of(mssql_database)).difference_update_query(["encryption"])
    with (
        opened(url.render_as_string(hide_password=False)) as required,
        pytest.raises(TransientError, match="TLS"),
    ):
        required.ensure()


def test_values_are_not_to_be_read_on_the_wire(mssql_database: str) -> None:
    if not is_encrypted():
        pytest.skip("HEADWATER_TEST_MSSQL says no encryption=require: this server may have no certificate")
    emptied(mssql_database)
    url, seen = make_url(url_of(mssql_database)), bytearray()
    with proxy(str(url.host), url.port or 1433) as between:
        between.cut = seen.extend  # looks on, and cuts nothing
        here = url.host if url.host == "localhost" else "127.0.0.1"  # by the name that a certificate may say
        with opened(url.set(host=here, port=between.port).render_as_string(hide_password=False)) as far:
            far.ensure()
            assert apply(far, ITEM, row(ITEM, item("swordfish"), 1)) == Counts(applied=1)
    assert len(seen) > 1_000
    assert "swordfish".encode("utf-16-le") not in seen


def test_a_table_that_someone_dropped_is_a_configuration_error(
    warehouse: MssqlWarehouse, mssql_database: str
) -> None:
    with bare(mssql_database) as connection:
        connection.cursor().execute("DROP VIEW staging.item")
        connection.cursor().execute("DROP TABLE staging.item__r1")
    with pytest.raises(ConfigurationError, match="missing"):
        apply(warehouse, ITEM, row(ITEM, item("x"), 1))


def test_a_warehouse_that_was_never_ensured_is_a_configuration_error(mssql_database: str) -> None:
    emptied(mssql_database)
    with opened(url_of(mssql_database)) as fresh, pytest.raises(ConfigurationError, match="init"):
        fresh.status()


# What passes.


def failing(warehouse: MssqlWarehouse, number: int, times: int) -> list[int]:
    """The server refuses to write rows for a while, as one with a full log does."""
    failed: list[int] = []

    def refuse(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INTO #rows" in statement and len(failed) < times:
            failed.append(number)
            raise pymssql.OperationalError(number, b"the value swordfish")

    engine_event.listen(warehouse.engine, "before_cursor_execute", refuse)
    return failed


@pytest.mark.parametrize("number", [9002, 3906, 1105, 701])
def test_a_full_log_or_a_read_only_database_stops_the_consumer_and_the_retry_is_whole(
    warehouse: MssqlWarehouse, tmp_path: Path, number: int
) -> None:
    failed = failing(warehouse, number, times=2)
    for _ in range(2):
        with pytest.raises(TransientError, match=str(number)) as caught:
            consume(warehouse, WORK)
        assert not isinstance(caught.value, TransactionLostError)
        assert table(warehouse) == []
    assert consume(warehouse, WORK).letters == []
    assert len(failed) == 2
    assert table(warehouse) == oracle(tmp_path, WORK)


def test_a_session_that_an_administrator_ends_is_begun_again(
    warehouse: MssqlWarehouse, tmp_path: Path
) -> None:
    """KILL, as a server that is restarted does to all sessions."""
    consume(warehouse, WORK[:1])
    with warehouse.engine.connect() as connection:
        session = connection.exec_driver_sql("SELECT @@SPID").scalar_one()
    with bare("master") as administrator:
        administrator.cursor().execute(f"KILL {session}")
    consume(warehouse, WORK)
    assert table(warehouse) == oracle(tmp_path, WORK)
    with warehouse.transaction() as transaction:
        assert transaction.checkpoints(LIVE_READER) == [checkpoint(2)]


# What is one row's own.


def test_a_refused_row_is_named_and_the_rest_of_the_batch_can_go(
    warehouse: MssqlWarehouse, mssql_database: str
) -> None:
    with bare(mssql_database) as connection:
        connection.cursor().execute("ALTER TABLE staging.item__r1 ADD CONSTRAINT rule_13 CHECK (size <> 13)")
    rows = [row(ITEM, item(f"{size}", size), 1) for size in range(20)]
    with pytest.raises(RefusedRowError, match="547") as caught:
        apply(warehouse, ITEM, *rows)
    assert (caught.value.key_hash, caught.value.cause) == (rows[13].key_hash, "data")
    assert table(warehouse) == []
    assert apply(warehouse, ITEM, *rows[:13], *rows[14:]) == Counts(applied=19)


def test_inv4_a_row_that_the_server_refuses_is_a_dead_letter_and_the_older_one_counts(
    warehouse: MssqlWarehouse, mssql_database: str
) -> None:
    with bare(mssql_database) as connection:
        connection.cursor().execute("ALTER TABLE staging.item__r1 ADD CONSTRAINT rule_13 CHECK (size <> 13)")
    events = [event(ITEM, item("x", size), size) for size in (12, 13)]
    letters = InMemoryLetters()
    counts = Consumer(CATALOG, warehouse, letters).consume([encode_event(each) for each in events])
    assert counts == Counts(applied=1, dead=1)
    assert [letter.id for letter in letters.letters] == [events[1].event_id.hex()]
    assert "13" not in letters.letters[0].reason
    assert [each.values[1] for each in table(warehouse)] == [12]


def test_a_number_that_sql_server_has_not_is_a_dead_letter(warehouse: MssqlWarehouse) -> None:
    letters = InMemoryLetters()
    made = event(EVERY, {"id": UUID(int=1), "a_double": 5e-324}, 1)
    counts = Consumer(CATALOG, warehouse, letters).consume([encode_event(made)])
    assert counts == Counts(dead=1)
    assert "a_double" in letters.letters[0].reason


def test_two_processes_that_begin_at_once_make_one_warehouse(mssql_database: str) -> None:
    emptied(mssql_database)
    made = [open_warehouse(url_of(mssql_database), ENTITIES) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda each: each.ensure(), made))
    assert [each.revision for each in made[0].status()] == [1] * len(ENTITIES)
    for each in made:
        each.close()
