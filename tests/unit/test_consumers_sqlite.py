"""What is SQLite's own: its errors as ours, its file, and why one upsert equals INSERT then UPDATE."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest
from consumers_world import ENTITIES, EVERY, ITEM, apply, floor, item, row, seen, table
from sqlalchemy.exc import DBAPIError

from consumers.warehouse.port import Batch, Counts, RefusedRowError
from consumers.warehouse.sqlite.errors import PRIMARY_CODES, RowRefused, map_error, sqlite_errors
from consumers.warehouse.sqlite.rows import parameters
from consumers.warehouse.sqlite.sql import buried, bury, create_table, upsert
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from consumers.warehouse.tables import StagingTable
from schemas.errors import ConfigurationError, TransientError

TABLE = StagingTable(ITEM)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.db"


@pytest.fixture
def warehouse(file: Path) -> Iterator[SqliteWarehouse]:
    made = open_warehouse(f"sqlite:///{file}", ENTITIES, busy_seconds=0.1)
    made.ensure()
    yield made
    made.close()


def test_the_file_and_those_beside_it_are_for_their_owner_alone(
    warehouse: SqliteWarehouse, file: Path
) -> None:
    apply(warehouse, ITEM, row(ITEM, item("1"), 1))
    written = list(file.parent.glob("warehouse.db*"))
    assert len(written) > 1
    assert [path.stat().st_mode & 0o777 for path in written] == [0o600] * len(written)


def test_the_mode_of_a_file_that_is_there_stays(file: Path) -> None:
    file.touch()
    file.chmod(0o640)
    made = open_warehouse(f"sqlite:///{file}", ENTITIES)
    made.ensure()
    made.close()
    assert file.stat().st_mode & 0o777 == 0o640


# Errors.

RESULT_CODES = """
    ABORT AUTH BUSY CANTOPEN CONSTRAINT CORRUPT DONE EMPTY ERROR FORMAT FULL INTERNAL INTERRUPT IOERR LOCKED
    MISMATCH MISUSE NOLFS NOMEM NOTADB NOTFOUND NOTICE OK PERM PROTOCOL RANGE READONLY ROW SCHEMA TOOBIG
    WARNING
"""
"""https://www.sqlite.org/rescode.html#primary_result_code_list"""


def error_of(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("the text of it")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_X"
    return error


def test_no_primary_result_code_is_unmapped() -> None:
    assert PRIMARY_CODES.keys() == {f"SQLITE_{name}" for name in RESULT_CODES.split()}


def test_an_extended_code_is_what_its_primary_code_is() -> None:
    extended = {
        name: getattr(sqlite3, name)
        for name in dir(sqlite3)
        if name.startswith("SQLITE_")
        and isinstance(getattr(sqlite3, name), int)
        and getattr(sqlite3, name) > 255
    }
    assert len(extended) > 50
    for name, code in extended.items():
        primary = "_".join(name.split("_")[:2])
        kind = PRIMARY_CODES[primary]
        assert type(map_error(error_of(code), "write")) is (kind or type(None)), name


@pytest.mark.parametrize("code", sorted(PRIMARY_CODES))
def test_errors_are_raised_as_ours_and_tell_the_code_alone(code: str) -> None:
    foreign = DBAPIError("INSERT ...", ("a value",), error_of(getattr(sqlite3, code)))
    expected = PRIMARY_CODES[code] or DBAPIError
    with pytest.raises(expected) as caught, sqlite_errors("write"):
        raise foreign
    if PRIMARY_CODES[code]:
        assert str(caught.value).partition(" (")[0] == "write: SQLITE_X"
        assert "the text of it" not in str(caught.value)


def test_an_error_without_a_code_is_a_bug_and_stays_what_it_is() -> None:
    foreign = DBAPIError("INSERT ...", (), sqlite3.ProgrammingError("Cannot operate on a closed database."))
    with pytest.raises(DBAPIError), sqlite_errors("write"):
        raise foreign


def test_inv7_no_error_carries_the_values_of_a_statement(warehouse: SqliteWarehouse) -> None:
    with pytest.raises(DBAPIError) as caught, warehouse.engine.connect() as connection:
        connection.exec_driver_sql("SELECT ? FROM nothing_like_it", ("swordfish",))
    assert "swordfish" not in str(caught.value)


def test_a_writer_that_can_not_begin_in_time_is_transient(warehouse: SqliteWarehouse, file: Path) -> None:
    other = open_warehouse(f"sqlite:///{file}", ENTITIES, busy_seconds=0.05)
    with warehouse.transaction(), pytest.raises(TransientError, match="SQLITE_BUSY"), other.transaction():
        pass
    other.close()


def test_a_table_that_someone_dropped_is_a_configuration_error(warehouse: SqliteWarehouse) -> None:
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW staging_item")
        connection.exec_driver_sql("DROP TABLE staging_item__r1")
    with pytest.raises(
        ConfigurationError, match="the table staging_item__r1 is missing: run `headwater warehouse init`"
    ):
        apply(warehouse, ITEM, row(ITEM, item("x"), 1))


def test_a_file_that_is_no_database_is_a_configuration_error(file: Path) -> None:
    file.write_bytes(b"URN,EstablishmentName\n" * 100)
    with pytest.raises(ConfigurationError, match="SQLITE_NOTADB"):
        open_warehouse(f"sqlite:///{file}", ENTITIES).ensure()


def test_a_warehouse_that_was_never_ensured_is_a_configuration_error(file: Path) -> None:
    fresh = open_warehouse(f"sqlite:///{file}", ENTITIES)
    with pytest.raises(ConfigurationError):
        fresh.status()
    fresh.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "not a database URL"),
        ("warehouse.db", "not a database URL"),
        ("mssql+pymssql://server/db", "'mssql'"),
        ("sqlite://", "a file"),
        ("sqlite:///:memory:", "a file"),
        ("sqlite:////no/such/folder/warehouse.db", "/no/such/folder"),
    ],
)
def test_a_url_that_is_no_file_of_sqlite_is_refused_before_anything_opens(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        open_warehouse(url, ENTITIES)


def test_a_refused_row_is_named_and_the_rest_of_the_batch_can_go(warehouse: SqliteWarehouse) -> None:
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER rule BEFORE INSERT ON staging_item__r1 WHEN NEW.size = 13 "
            "BEGIN SELECT RAISE(ABORT, 'a rule of the database'); END"
        )
    rows = [row(ITEM, item(f"{size}", size), 1) for size in range(20)]
    with pytest.raises(RefusedRowError) as caught:
        apply(warehouse, ITEM, *rows)
    assert (caught.value.entity, caught.value.key_hash, caught.value.cause) == (
        "item",
        rows[13].key_hash,
        "data",
    )
    assert seen(warehouse) == []
    assert apply(warehouse, ITEM, *rows[:13], *rows[14:]) == Counts(applied=19)
    assert not issubclass(RowRefused, RefusedRowError)


# The file.


def test_what_is_committed_is_durable_and_readers_do_not_wait(warehouse: SqliteWarehouse) -> None:
    with warehouse.engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2}


def test_a_sweep_reads_its_bucket_and_no_other_row(warehouse: SqliteWarehouse) -> None:
    made = row(ITEM, item("x"), 1)
    with warehouse.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {bury(TABLE, 1)}", buried(floor(made, 2))
        ).fetchall()
    assert "USING INDEX" in str(plan)
    assert "_key_hash>? AND _key_hash<?" in str(plan)


def test_rows_are_read_in_order_without_sorting_them(warehouse: SqliteWarehouse) -> None:
    with warehouse.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM staging_item__r1 ORDER BY _key_hash"
        ).fetchall()
    assert "TEMP B-TREE" not in str(plan)


def test_opening_twice_leaves_the_views_as_they_are(warehouse: SqliteWarehouse, file: Path) -> None:
    def schema_version() -> object:
        with warehouse.engine.connect() as connection:
            return connection.exec_driver_sql("PRAGMA schema_version").scalar_one()

    before = schema_version()
    open_warehouse(f"sqlite:///{file}", ENTITIES).ensure()
    assert schema_version() == before


def test_stored_moments_are_text_of_one_width_in_order(warehouse: SqliteWarehouse) -> None:
    moments = [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 1, UTC)]
    apply(warehouse, ITEM, *(row(ITEM, item(f"{n}", at=each), 1) for n, each in enumerate(moments)))
    stored = [str(each[7]) for each in seen(warehouse)]
    assert stored == sorted(stored)
    assert len(set(map(len, stored))) == 1


def test_a_number_next_to_zero_comes_back(warehouse: SqliteWarehouse) -> None:
    """Denormalised: SQL Server has none."""
    tiny = row(EVERY, {"id": UUID(int=1), "a_float": -(2.0**-149), "a_double": -5e-324}, 1)
    apply(warehouse, EVERY, tiny)
    assert table(warehouse, EVERY) == [tiny]


# The guard in one statement.


def insert_then_update(connection: sqlite3.Connection, values: tuple[object, ...]) -> None:
    """The order of the house plan."""
    columns = TABLE.columns
    places = ", ".join("?" * len(columns))
    connection.execute(f"INSERT OR IGNORE INTO staging_item__r1 VALUES ({places})", values)
    changes = ", ".join(f"{name} = ?" for name in columns)
    rank = values[columns.index("_rank")]
    connection.execute(
        f"UPDATE staging_item__r1 SET {changes} WHERE _key_hash = ? AND _rank < ?", (*values, values[0], rank)
    )


def test_the_upsert_equals_insert_of_the_absent_then_update_of_the_lesser() -> None:
    """In every order of three facts of two keys, duplicates too."""
    rows = [row(ITEM, item(key, number), number) for key in "xy" for number in (1, 2, 3)]
    values = parameters(TABLE, rows, {}, "2024-01-01T00:00:00.000000+00:00")
    for order in product(values, repeat=4):
        ends = []
        for write in (lambda c, v: c.execute(upsert(TABLE, 1), v), insert_then_update):
            connection = sqlite3.connect(":memory:")
            connection.execute(create_table(TABLE, 1))
            for each in order:
                write(connection, each)
            ends.append(connection.execute("SELECT * FROM staging_item__r1 ORDER BY 1").fetchall())
            connection.close()
        assert ends[0] == ends[1]


def test_two_writers_that_take_turns_lose_nothing(warehouse: SqliteWarehouse, file: Path) -> None:
    other = open_warehouse(f"sqlite:///{file}", ENTITIES)
    rows = [row(ITEM, item(f"{n % 50}", n), n) for n in range(500)]
    for start in range(0, 500, 10):
        writer = (warehouse, other)[start // 10 % 2]
        with writer.transaction(shared=["item"]) as transaction:
            transaction.apply(Batch({"item": rows[start : start + 10]}))
    assert sorted(table(warehouse)) == sorted(rows[-50:])
    other.close()
