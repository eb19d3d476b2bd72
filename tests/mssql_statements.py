"""The T-SQL that the product sends, recorded before anything rewrites it, and read by sqlglot."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import sqlglot
from sqlalchemy import Engine, event
from sqlglot.dialects.tsql import TSQL
from sqlglot.expressions import Command, Expression
from sqlglot.tokens import TokenType

_TEXT = re.compile(r"(?<!EXEC\()N'(?:[^']|'')*'")
_MOMENT = re.compile(r"'\d{4}-\d\d-\d\dT[\d:.]+'")
_THROW = re.compile(r"THROW \d+, N'\?', \d+")
_LEVEL = re.compile(r"SET TRANSACTION ISOLATION LEVEL (?:SNAPSHOT|READ COMMITTED)")
_TRIGGER = re.compile(r"CREATE TRIGGER \S+ ON \S+ (AFTER (?:INSERT|UPDATE) AS BEGIN) (.*); END", re.DOTALL)
_LITERAL = {TokenType.NUMBER, TokenType.STRING, TokenType.NATIONAL_STRING}
_ROWS = re.compile(r"(VALUES) \(.*\)(?=; SET @loaded)", re.DOTALL)

READ_BY_EYE = {
    "AFTER INSERT AS BEGIN",
    "AFTER UPDATE AS BEGIN",
    "SET TRANSACTION ISOLATION LEVEL SNAPSHOT",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "THROW 50001, N'?', 1",
    "THROW 50003, N'?', 1",
    "ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON WITH NO_WAIT",
    "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON",
    "CREATE ROLE [headwater_reader]",
    "CREATE ROLE [headwater_refresher]",
    "CREATE ROLE [headwater_writer]",
    "GRANT SELECT ON SCHEMA::[headwater] TO [headwater_writer]",
    "GRANT SELECT, INSERT ON SCHEMA::[history] TO [headwater_writer]",
    "GRANT SELECT, INSERT, UPDATE ON SCHEMA::[staging] TO [headwater_writer]",
    "GRANT CREATE TABLE, CREATE VIEW TO [headwater_refresher]",
    "GRANT CONTROL ON SCHEMA::[reporting] TO [headwater_refresher]",
    "GRANT ALTER ON SCHEMA::[staging] TO [headwater_refresher]",
    "GRANT ALTER ON SCHEMA::[headwater] TO [headwater_refresher]",
    "GRANT SELECT ON SCHEMA::[staging] TO [headwater_refresher]",
    "GRANT SELECT ON SCHEMA::[history] TO [headwater_refresher]",
    "GRANT SELECT, DELETE ON SCHEMA::[headwater] TO [headwater_refresher]",
    "GRANT VIEW DEFINITION ON ROLE::[headwater_reader] TO [headwater_refresher]",
}
"""What sqlglot does not read: held against the reference's syntax by a person alone."""


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
    return " ".join(_MOMENT.sub("'?'", _TEXT.sub("N'?'", bare)).split())


def unread(statement: str) -> list[str]:
    """The parts of a statement that sqlglot does not read: what it knows not, or hands on as it is."""
    rest = _ready(statement)
    commands = [each for tree in sqlglot.parse(rest, read="tsql") if tree for each in tree.find_all(Command)]
    by_eye = [*_THROW.findall(statement), *_LEVEL.findall(statement)]
    by_eye += [trigger for trigger, _ in _TRIGGER.findall(statement)]
    return [*by_eye, *(each.sql(dialect="tsql") for each in commands)]


@cache
def parsed(statement: str) -> tuple[Expression, ...]:
    """What sqlglot's T-SQL dialect reads. Raises ParseError; AssertionError for a part that it leaves out.

    It can leave out without a word what follows a name that it does not know: so what it read is written
    again, and has every literal that was there.
    """
    assert READ_BY_EYE.issuperset(unread(statement)), statement
    ready = _ready(statement)
    trees = tuple(tree for tree in sqlglot.parse(ready, read="tsql") if tree is not None)
    again = "; ".join(tree.sql(dialect="tsql") for tree in trees)
    assert _literals(again) == _literals(ready), statement
    return trees


def _ready(statement: str) -> str:
    """Placeholders as texts, others in the place of statements that sqlglot does not read; of a trigger what
    it does."""
    known = _TRIGGER.sub(r"\2", _LEVEL.sub("SELECT 1", statement))
    return _THROW.sub("SELECT 1", re.sub(r"%(\(\w+\))?s", "N'?'", known))


def _literals(statement: str) -> Counter[str]:
    return Counter(token.text for token in TSQL().tokenize(statement) if token.token_type in _LITERAL)
