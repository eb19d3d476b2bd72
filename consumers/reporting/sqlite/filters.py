"""Workaround for SQLite's Bloom filters, which lose rows in joins of text.

Some versions (3.40.1 is one) hash a text by its length in the filter in front of an index, although texts of
different lengths can be equal under COLLATE RTRIM: a join then loses rows without an error
(https://sqlite.org/forum/forumpost/0846211821). Every automatic index has a filter; automatic indexes can be
switched off, at the price of a scan for each row. Other indexes have a filter once ANALYZE was run. Where no
text has trailing blanks, equal texts have equal lengths and the filters are right.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import TypeAlias

from sqlalchemy import Connection

from consumers.reporting.definition.allowed import UNITS
from consumers.warehouse.sqlite import sql as sql
from schemas.errors import ConfigurationError

Columns: TypeAlias = dict[tuple[str, str], set[str]]
ANALYZED = (
    "SQLite {version} loses rows where text with blanks at the end is joined in a warehouse on which ANALYZE "
    "was run: run DROP TABLE sqlite_stat1 there, or use a newer SQLite"
)
_COMPARES_TEXT = re.compile(r" COLLATE RTRIM = ")
_UNITS = f"report_{UNITS}"
_UNITS_FIRST = f'FROM "temp"."{_UNITS}" AS "{UNITS}" CROSS JOIN '
_UNIT_TEXT = re.compile(r' COLLATE RTRIM = "units"\."((?:[^"]|"")*)"')
_FUNCTION = re.compile(r"(\w+)\(")
_NO_NEW_BLANKS = re.compile(
    r"CAST|COALESCE|IFNULL|NULLIF|MIN|MAX|COUNT|SUM|AVG|ABS|ROUND|EXISTS|UPPER|LOWER|L?R?TRIM|TRIM|LIKE|"
    r"ROW_NUMBER|(DENSE_)?RANK|DECIMAL_\w+|TSQL_(?!LEFT|RIGHT|SUBSTRING)\w+|DATE|STRFTIME",
    re.IGNORECASE,
)
"""Functions whose result ends with a blank only if an argument does."""
_NAME_OR_TEXT = re.compile(r"\"(?:[^\"]|\"\")*\"|'((?:[^']|'')*)'")
_TABLES = "CREATE TABLE one AS SELECT 'a ' AS x; CREATE TABLE other AS SELECT 'a' AS x"
_PROBE = "SELECT COUNT(*) FROM one CROSS JOIN other WHERE other.x COLLATE RTRIM = one.x"


def exact(connection: Connection, statement: str) -> str:
    """Return the statement to run in place of this one.

    Switches automatic indexes off where they would lose rows, else on. Raises ConfigurationError where that
    is not enough.
    """
    if not filters_lose_rows():
        return statement
    # The pragma belongs to the connection, and an earlier statement may have switched it off.
    connection.exec_driver_sql("PRAGMA automatic_index = ON")
    if not _COMPARES_TEXT.search(statement):
        return statement
    # The plan shows whether a filter would be used at all.
    steps = _steps(connection, statement)
    if ("AUTOMATIC" in steps or "BLOOM" in steps) and _may_meet_blanks(connection, statement):
        connection.exec_driver_sql("PRAGMA automatic_index = OFF")
        statement = _units_searched(connection, statement)
        # Filters of other indexes can't be switched off: they come from ANALYZE.
        if "BLOOM" in _steps(connection, statement):
            raise ConfigurationError(ANALYZED.format(version=sqlite3.sqlite_version))
    return statement


def _units_searched(connection: Connection, statement: str) -> str:
    """Return the statement in an order in which SQLite may read a table once and search the few units for
    each row.

    With the units first and no automatic index it would read the table once for each unit.
    """
    names = dict.fromkeys(_UNIT_TEXT.findall(statement))
    if _UNITS_FIRST not in statement or not names:
        return statement
    columns = ", ".join(f'"{name}" COLLATE RTRIM' for name in names)
    connection.exec_driver_sql(f'DROP INDEX IF EXISTS "temp"."{_UNITS}_text"')
    connection.exec_driver_sql(f'CREATE INDEX "temp"."{_UNITS}_text" ON "{_UNITS}" ({columns})')
    return statement.replace(_UNITS_FIRST, _UNITS_FIRST.replace("CROSS ", ""))


def _steps(connection: Connection, statement: str) -> str:
    return "\n".join(str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))


def _may_meet_blanks(connection: Connection, statement: str) -> bool:
    """Return whether a text with a trailing blank may occur: in a column that is read, or in a computed
    value."""
    # Conservative: any concatenation or unknown function may append a blank.
    if "||" in statement or not all(map(_NO_NEW_BLANKS.fullmatch, _FUNCTION.findall(statement))):
        return True
    if any(text.endswith(" ") for text in _NAME_OR_TEXT.findall(statement)):
        return True
    queries = _queries_for_blanks(_columns_read(connection, statement))
    return any(connection.exec_driver_sql(query).first() for query in queries)


def _columns_read(connection: Connection, statement: str) -> Columns:
    """Return the columns that a statement reads, by database and table."""
    columns: Columns = defaultdict(set)

    def note(action: int, table: str | None, column: str | None, database: str | None, _: str | None) -> int:
        if action == sqlite3.SQLITE_READ and table and column and database:
            columns[database, table].add(column)
        return sqlite3.SQLITE_OK

    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    # SQLite reports each column to its authorizer while it compiles; EXPLAIN compiles and reads nothing.
    driver.set_authorizer(note)
    try:
        driver.execute(f"EXPLAIN QUERY PLAN {statement}").close()
    finally:
        driver.set_authorizer(None)
    return columns


def _queries_for_blanks(columns: Columns) -> Iterator[str]:
    for (database, table), names in columns.items():
        ends_with_blank = " OR ".join(f"substr({sql.quoted(name)}, -1) = ' '" for name in sorted(names))
        yield f"SELECT 1 FROM {sql.quoted(database)}.{sql.quoted(table)} WHERE {ends_with_blank} LIMIT 1"


@cache
def filters_lose_rows() -> bool:
    """Return whether this SQLite has the fault. It is tried out, since no release note names the versions."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_TABLES)
        (count,) = connection.execute(_PROBE).fetchone()
    return int(count) == 0
