"""The T-SQL that the product sends, recorded before anything rewrites it, and read by sqlglot."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import sqlglot
from sqlalchemy import Engine, event
from sqlglot.expressions import Command, Expression

_TEXT = re.compile(r"N'(?:[^']|'')*'")
_ROWS = re.compile(r"(VALUES) \(.*\)(?=; SET @loaded)", re.DOTALL)


@contextmanager
def recorded() -> Iterator[dict[str, None]]:
    """Every statement that SQLAlchemy sends to SQL Server in here, once, in order, as shapes."""
    statements: dict[str, None] = {}

    def record(connection: object, _cursor: object, statement: str, *_: object) -> None:
        if getattr(connection, "dialect").name == "mssql":  # noqa: B009
            statements[shape(statement)] = None

    event.listen(Engine, "before_cursor_execute", record)  # before those of one engine
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def shape(statement: str) -> str:
    """The statement without its values, in one line."""
    bare = _ROWS.sub(r"\1 (?)", statement)
    return " ".join(_TEXT.sub("N'?'", bare).split())


@cache
def parsed(statement: str) -> list[Expression]:
    """What sqlglot's T-SQL dialect reads. Raises ParseError; AssertionError for what it passes through."""
    ready = re.sub(r"%(\(\w+\))?s", "N'?'", statement)
    read = [each for each in sqlglot.parse(ready, read="tsql") if each is not None]
    passed_through = [each.sql() for each in read if isinstance(each, Command)]
    assert not passed_through, passed_through
    return read
