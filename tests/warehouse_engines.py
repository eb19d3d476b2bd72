"""The engines that the contract tests of the warehouse run on. A new engine joins by one line in ENGINES."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from consumers_world import ENTITIES

from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite import open_warehouse
from schemas.entity import Entity


def _sqlite(folder: Path, entities: Sequence[Entity]) -> Warehouse:
    return open_warehouse(f"sqlite:///{folder / 'warehouse.db'}", entities)


ENGINES = {"sqlite": _sqlite}


@pytest.fixture(params=ENGINES)
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Warehouse]]:
    """Opens one more Warehouse object on the same database, as another process would."""
    opened: list[Warehouse] = []

    def connected(entities: Sequence[Entity] = ENTITIES) -> Warehouse:
        opened.append(ENGINES[request.param](tmp_path, entities))
        return opened[-1]

    yield connected
    for warehouse in opened:
        warehouse.close()


@pytest.fixture
def warehouse(connect: Callable[..., Warehouse]) -> Warehouse:
    made = connect()
    made.ensure()
    return made
