"""Databases on the SQL Server of the tests: HEADWATER_TEST_MSSQL, the URL of a login that may create them."""

import gc
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import babelfish
import pymssql
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

VARIABLE = "HEADWATER_TEST_MSSQL"
NOT_SET = f"{VARIABLE} is not set: the URL of a SQL Server on which the tests may create databases"

WHERE_SET = pytest.param("mssql", marks=pytest.mark.skipif(not os.environ.get(VARIABLE), reason=NOT_SET))
ON_SQL_SERVER = pytest.mark.parametrize("warehouse_url", [WHERE_SET], indirect=True)
"""Of the engines of the contract tests this one alone."""


def server() -> URL:
    """The server's own URL. Skips the test where there is none."""
    if not os.environ.get(VARIABLE):
        pytest.skip(NOT_SET)
    return make_url(os.environ[VARIABLE])


@cache
def is_babelfish() -> bool:
    with connected(server()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT CAST(SERVERPROPERTY('babelfish') AS INT)")
        return bool(cursor.fetchone()[0])


def url_of(database: str) -> str:
    """URL of a database, for `open_warehouse`. Encrypted if the server's URL says so, or says nothing and is
    not Babelfish, which has no certificate unless it is given one."""
    url = server().set(database=database)
    if is_babelfish():
        url = url.set(query={"encryption": "off", "plugin": "babelfish", **url.query})
    return url.render_as_string(hide_password=False)


def is_encrypted() -> bool:
    """Whether the tests' connections are."""
    return make_url(url_of("any")).query.get("encryption", "require") == "require"


@contextmanager
def connected(url: URL) -> Iterator[pymssql.Connection]:
    """A bare connection, beside the product's own."""
    connection = pymssql.connect(
        server=url.host,
        port=str(url.port or 1433),
        user=url.username,
        password=url.password,
        database=url.database or "master",
        autocommit=True,
        use_datetime2=True,
        **{name: value for name, value in url.query.items() if name == "encryption"},
    )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def bare(database: str) -> Iterator[pymssql.Connection]:
    with connected(server().set(database=database)) as connection:
        yield connection


@contextmanager
def new_database() -> Iterator[str]:
    """Name of an empty database, which is dropped afterwards."""
    name = f"headwater_{uuid.uuid4().hex[:12]}"
    _until_done(f"CREATE DATABASE {name}")
    if not is_babelfish():
        with connected(server()) as connection:
            connection.cursor().execute(f"ALTER DATABASE {name} SET READ_COMMITTED_SNAPSHOT ON")
    try:
        yield name
    finally:
        _drop(name)


def _drop(name: str) -> None:
    if not is_babelfish():
        _until_done(f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
    _until_done(f"DROP DATABASE {name}")


def _until_done(statement: str) -> None:
    """Babelfish makes and drops no two databases at once, as tests in two processes ask; and one is dropped
    once its last connection is closed, which for those of a command is when its objects go."""
    with connected(server()) as connection:
        for attempt in range(50):
            babelfish.close_kept()
            gc.collect()
            try:
                connection.cursor().execute(statement)
                return
            except pymssql.Error:
                if attempt == 49:
                    raise
                time.sleep(0.1)


def emptied(name: str) -> None:
    """Drop all that a test has made."""
    engine = create_engine(url_of(name), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        there = connection.exec_driver_sql(
            "SELECT TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES "
            "WHERE TABLE_SCHEMA IN ('staging', 'headwater', 'reporting', 'history') ORDER BY TABLE_TYPE DESC"
        ).all()
        for kind, schema, table in there:
            if kind == "VIEW" and schema == "history":
                connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS [history].[{table}_at]")
            connection.exec_driver_sql(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} [{schema}].[{table}]")
    engine.dispose()
