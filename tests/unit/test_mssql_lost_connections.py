"""What a connection that is gone raises is ours, whichever layer raises it, and names the server."""

from __future__ import annotations

import socket

import pymssql
import pytest
from pymssql import _mssql
from sqlalchemy.exc import OperationalError, PendingRollbackError

from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.mssql.errors import mssql_errors
from consumers.warehouse.mssql.warehouse import server_of
from consumers.warehouse.port import TransactionLostError
from schemas.errors import TransientError

READ_FAILED = (20004, b"DB-Lib error message 20004, severity 9:\nRead from the server failed\n")


@pytest.mark.parametrize(
    "raised",
    [
        _mssql.MSSQLDatabaseException(READ_FAILED),
        _mssql.MSSQLDriverException("Not connected to any MS SQL server"),
        pymssql.OperationalError(READ_FAILED),
        pymssql.InterfaceError("Connection is closed."),
        OperationalError("SELECT 'SECRET'", None, pymssql.OperationalError(*READ_FAILED)),
        PendingRollbackError("Can't reconnect until invalid transaction is rolled back. SECRET"),
    ],
    ids=lambda each: type(each).__module__ + "." + type(each).__name__,
)
def test_a_lost_connection_is_a_lost_transaction(raised: Exception) -> None:
    with pytest.raises(TransactionLostError) as caught, mssql_errors("ensure", "db.example:1433"):
        raise raised
    assert "SECRET" not in str(caught.value)
    assert "at db.example:1433" in str(caught.value)
    assert caught.value.__cause__ is None


def test_where_no_server_answers_is_said_and_no_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"mssql+pymssql://reader:SECRET@127.0.0.1:{port}/warehouse?encryption=off"
    with pytest.raises(TransientError, match=f"at 127.0.0.1:{port}: ") as caught:
        open_warehouse(url, []).ensure()
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("u:p@db.example/w", "db.example:1433"),
        ("u:p@db.example:1444/w?encryption=off", "db.example:1444"),
        ("db.example/w", "db.example:1433"),
        ("u:p@[::1]:1444/w", "::1:1444"),
        ("u:pa@ss@db.example/w", ""),
        ("u:pa@ss/word@db.example/w", ""),
        ("u:pa@ss/w?ord@db.example/w", ""),
        ("u:pa@ss#word@db.example/w", ""),
    ],
)
def test_the_server_is_named_where_the_url_is_plain(given: str, server: str) -> None:
    """Of a password that is not escaped a URL parser takes some part for the host."""
    assert server_of(f"mssql+pymssql://{given}") == server
