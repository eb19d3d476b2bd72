"""Every statement that the SQL Server engine sends is listed, and reads as T-SQL.

tests/golden/mssql_statements.sql is the list; it was checked by hand against the T-SQL reference
(https://learn.microsoft.com/sql/t-sql/language-reference). A statement that changes is checked again.
"""

from pathlib import Path
from uuid import UUID

import pytest
from consumers_world import CHOSEN, EVERY, ITEM, apply, floor, item, row, table
from mssql_server import emptied, url_of
from mssql_statements import parsed, recorded, shape

from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.mssql_load import JSON_TEXT_ROWS
from consumers.warehouse.port import LIVE_READER, Checkpoint, padded

pytest_plugins = ("warehouse_engines",)

GOLDEN = Path(__file__).parents[1] / "golden" / "mssql_statements.sql"


@pytest.fixture
def sent(mssql_database: str) -> list[str]:
    """One of everything."""
    emptied(mssql_database)
    made = row(ITEM, item("x"), 1)
    with recorded() as statements:
        warehouse = open_warehouse(url_of(mssql_database), [ITEM, EVERY, CHOSEN])
        warehouse.ensure()
        warehouse.ensure()
        apply(warehouse, ITEM, made, sweeps=[floor(made, 2)])
        others = [row(ITEM, item(f"{n}"), n) for n in range(JSON_TEXT_ROWS)]
        apply(warehouse, ITEM, made._replace(deleted=True, source="other", schema_version=0), *others)
        apply(warehouse, EVERY, row(EVERY, {"id": UUID(int=1), "some_bytes": b"x"}, 1))
        number = warehouse.create_revision("item")
        shown = warehouse.create_revision("item")
        warehouse.publish_as_of("item", shown, "then")
        with warehouse.transaction(exclusive=["item"]) as transaction:
            transaction.save_checkpoints([Checkpoint(LIVE_READER, "stream", "shard", padded("1"))])
            transaction.swap("item", number)
            transaction.checkpoints(LIVE_READER)
            transaction.rows_of("item", 1, [made.key_hash])
            transaction.live_revision("item")
        warehouse.drop_revision("item", shown)
        warehouse.select("item", 1)
        warehouse.select("item")
        warehouse.revisions("item")
        warehouse.status()
        table(warehouse)
        with pytest.raises(KeyboardInterrupt), warehouse.transaction():
            raise KeyboardInterrupt
        warehouse.close()
    return sorted(statement for statement in statements if not statement.startswith("SELECT CAST(SERVERPROP"))


def test_every_statement_is_in_the_list_that_was_checked(sent: list[str], tmp_path: Path) -> None:
    (tmp_path / GOLDEN.name).write_text("".join(f"{each};\n\n" for each in sent))
    listed = GOLDEN.read_text().removesuffix(";\n\n").split(";\n\n")
    assert sorted(set(sent) - set(listed)) == [], f"the new list is {tmp_path / GOLDEN.name}"
    assert sorted(set(listed) - set(sent)) == []


def test_every_statement_of_the_list_reads_as_t_sql() -> None:
    for statement in GOLDEN.read_text().removesuffix(";\n\n").split(";\n\n"):
        assert parsed(statement)


def test_a_statement_that_only_another_server_knows_is_found() -> None:
    with pytest.raises(Exception, match=r"LIMIT|Expected|Invalid|parse"):
        parsed(shape("SELECT * FROM t WHERE a === 1 LIMIT"))
