"""The engines of the warehouse's contract tests; SQL Server where HEADWATER_TEST_MSSQL is set."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from babelfish import close_kept
from consumers_world import ENTITIES
from mssql_server import WHERE_SET, emptied, is_babelfish, new_database, url_of
from mssql_statements import parsed, recorded

from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Warehouse
from schemas.catalog.entity import Entity

ENGINES = ("sqlite", WHERE_SET)


@pytest.fixture(scope="session")
def mssql_database() -> Iterator[str]:
    """One for all tests of a process, emptied for each: a database takes long to make."""
    with new_database() as name:
        yield name
        close_kept()


@pytest.fixture(params=ENGINES)
def warehouse_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty warehouse."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'warehouse.db'}"
        return
    name = request.getfixturevalue("mssql_database")
    emptied(name)
    yield url_of(name)


@pytest.fixture
def connect(warehouse_url: str) -> Iterator[Callable[..., Warehouse]]:
    """Opens one more Warehouse object on the same database, as another process would.

    What is sent to SQL Server is T-SQL to a parser that is not the test server's.
    """
    with ExitStack() as opened, recorded() as statements:

        def connected(entities: Sequence[Entity] = ENTITIES) -> Warehouse:
            made = open_warehouse(warehouse_url, entities)
            opened.callback(made.close)
            return made

        yield connected
    for statement in statements:
        parsed(statement)


@pytest.fixture
def warehouse(connect: Callable[..., Warehouse]) -> Warehouse:
    made = connect()
    made.ensure()
    return made


@pytest.fixture
def nul(warehouse_url: str) -> str:
    """The character that PostgreSQL's text, and so Babelfish, has not."""
    return "" if warehouse_url.startswith("mssql") and is_babelfish() else "\x00"
