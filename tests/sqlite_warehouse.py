"""A real SQLite file with the tables of the consumers' small world, and the redrive into it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from consumers_world import CATALOG, ENTITIES

from consumers.consume import Consumer
from consumers.redrive import ConsumerRedriver
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from schemas.letters.outcomes import Redriver


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[SqliteWarehouse]:
    made = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}", ENTITIES)
    made.ensure()
    yield made
    made.close()


@pytest.fixture
def redrivers(warehouse: SqliteWarehouse) -> dict[str, Redriver]:
    return {"consumer": ConsumerRedriver(lambda store: Consumer(CATALOG, warehouse, store))}
