"""The connection to SQL Server is cut at every kind of moment, and the tables equal the oracle."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from consumers_world import table
from mssql_server import emptied, server, url_of
from mssql_world import batches, checkpoint, consume, opened, oracle
from sqlalchemy.engine import make_url
from tcp_proxy import Proxy, proxy

from consumers.warehouse.mssql.sql import COMMIT
from consumers.warehouse.port import LIVE_READER, Warehouse
from schemas.errors import TransientError

pytest_plugins = ("warehouse_engines",)

WORK = batches(3, count=2, size=30)
STATEMENTS = {"locks": "sp_getapplock", "rows": "INTO #rows", "commit": COMMIT}
MOMENTS = ("before", "within", "after", "answer")


@pytest.fixture
def between(mssql_database: str) -> Iterator[Proxy]:
    emptied(mssql_database)
    with proxy(server().host or "", server().port or 1433) as made:
        yield made


@pytest.fixture
def through(between: Proxy, mssql_database: str) -> Iterator[Warehouse]:
    """In the clear, so that the proxy can see what passes."""
    url = make_url(url_of(mssql_database)).set(host="127.0.0.1", port=between.port)
    with opened(url.update_query_dict({"encryption": "off"}).render_as_string(hide_password=False)) as made:
        made.ensure()
        yield made


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_inv2_a_cut_is_made_good_by_the_same_transaction_again(
    through: Warehouse, between: Proxy, tmp_path: Path, statement: str, moment: str
) -> None:
    wanted = STATEMENTS[statement].encode("utf-16-le")
    between.cut = lambda request: moment if wanted in request else None
    assert consume(through, WORK).letters == []
    assert between.cuts == 1
    assert table(through) == oracle(tmp_path, WORK)
    with through.transaction() as transaction:
        assert transaction.checkpoints(LIVE_READER) == [checkpoint(2)]


def test_an_idle_connection_that_was_cut_is_replaced(
    through: Warehouse, between: Proxy, tmp_path: Path
) -> None:
    consume(through, WORK[:1])
    between.drop_all()
    consume(through, WORK[1:])
    assert table(through) == oracle(tmp_path, WORK)


def test_a_server_that_is_gone_is_transient(through: Warehouse, between: Proxy) -> None:
    between.close()
    with pytest.raises(TransientError):
        consume(through, WORK)


def test_a_reader_that_is_cut_off_says_so_and_gives_no_half_a_table(
    through: Warehouse, between: Proxy
) -> None:
    consume(through, WORK)
    between.cut = lambda request: "answer" if "ORDER BY t.".encode("utf-16-le") in request else None
    with pytest.raises(TransientError):
        table(through)
