"""The T-SQL server of the tests, where it is Babelfish: what it can't take is rewritten on its way here.

The product sends what SQL Server wants. Each rewriting has its reason; docs/sql-server.md names this file. It
works as a plugin of SQLAlchemy that a URL asks for (`?plugin=babelfish`), so that the product stays as it is.
"""

import re
from collections.abc import Callable
from json import loads
from typing import Any

import pymssql
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import URL, CreateEnginePlugin, ExceptionContext
from sqlalchemy.engine.interfaces import Dialect, IsolationLevel

from consumers.warehouse.mssql.login import RotatedLogin
from consumers.warehouse.mssql.setup import LEVEL, SELECT_LEVEL

_VIEW = re.compile(r"CREATE OR ALTER VIEW (\S+) AS ", re.DOTALL)

_ALTERED = re.compile(
    r"(ALTER TABLE (\[(?:staging|history)\]\.\[\w+?)__r\d+\] ALTER COLUMN .*?)( COLLATE \w+)? NULL", re.DOTALL
)

_FUNCTION = re.compile(r"CREATE OR ALTER FUNCTION (\S+) ")
_GRANT = re.compile(r"GRANT SELECT (ON \[history\]\.\[\w+_at\])")

_RIGHTS = re.compile(r"GRANT (?:CREATE TABLE|ALTER ON SCHEMA|VIEW DEFINITION)")
_ALL_RIGHTS = re.compile(r"GRANT CONTROL (ON SCHEMA::.*)", re.DOTALL)

_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-f]{4})')
_TEXT_COLUMN = re.compile(r"(\[?\w+\]?) COLLATE (\w+) AS \1")
PRIVATE = 0xE000
"""No test's text has characters for private use."""

GENERIC = 33_557_097
"""Babelfish's number for every error that it has no number of SQL Server for."""

_MISSING = re.compile(rb'relation "\w+?_((?:headwater|staging|history|reporting)\.\w+)" does not exist')

ERROR_NUMBERS = (
    # SQL Server's number is in NUMBERS of mssql_errors; here the text is all that tells them apart.
    ("lock timeout", 1222),
    ("could not serialize access", 3960),
    ("does not exist", 208),
    ("permission denied", 229),
    ("numeric field overflow", 8115),
    ("out of range", 8115),
    ("value too long", 8152),
    ("terminating connection", 596),
    ("the database system is", 6005),
    ("read-only transaction", 3906),
)


class Babelfish(CreateEnginePlugin):
    """Rewrites statements and error numbers of an engine that talks to Babelfish."""

    def update_url(self, url: URL) -> URL:
        return url.difference_update_query(["plugin"])

    def handle_dialect_kwargs(self, dialect_cls: type, dialect_args: dict[str, Any]) -> None:
        # The probe for fn_listextendedproperty ends the transaction there.
        dialect_args["supports_comments"] = False

    def engine_created(self, engine: Engine) -> None:
        # Now and then its list of sessions lacks the very one that asks, and SQLAlchemy's probe has no row.
        engine.dialect.get_default_isolation_level = _read_committed  # type: ignore[method-assign]
        engine.dialect.do_terminate = _terminated  # type: ignore[method-assign]
        event.listen(engine, "do_connect", _reconnected)
        event.listen(engine, "before_cursor_execute", _rewritten, retval=True)
        event.listen(engine, "handle_error", _renumbered)


def _read_committed(_connection: object) -> IsolationLevel:
    return "READ COMMITTED"


def _terminated(connection: Any) -> None:
    """One that was invalidated is not to come again: it may hold a lock."""
    getattr(connection, "close_for_good", connection.close)()


plugins.register("babelfish", __name__, "Babelfish")


class Kept:
    """A connection that is kept when it is closed: a new one takes seconds to warm its parser."""

    def __init__(self, connection: Any, place: list["Kept"]) -> None:
        self._connection = connection
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def close(self) -> None:
        try:
            self._connection.cursor().execute("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")
        except pymssql.Error:
            self._connection.close()
        else:
            self._place.append(self)

    def close_for_good(self) -> None:
        self._connection.close()


_kept: dict[str, list[Kept]] = {}


def _reconnected(
    dialect: Dialect, _record: object, _arguments: object, parameters: dict[str, Any]
) -> Kept | None:
    handlers = list(dialect.dispatch.do_connect)
    if any(isinstance(getattr(handler, "__self__", None), RotatedLogin) for handler in handlers):
        return None  # the product's own handler connects, and is what is tested
    place = _kept.setdefault(repr(sorted(parameters.items())), [])
    return place.pop() if place else Kept(pymssql.connect(**parameters), place)


def close_kept() -> None:
    """No connection is left, so that databases can be dropped."""
    for place in _kept.values():
        while place:
            place.pop().close_for_good()


def _rewritten(
    connection: Connection, cursor: Any, statement: str, parameters: Any, _context: object, _many: bool
) -> tuple[str, Any]:
    statement = rewrite(statement, cursor.execute)
    # There an application lock is the server's, not the database's: two tests would wait for each other.
    statement = statement.replace("@Resource = N'", f"@Resource = N'{connection.engine.url.database}:")
    if any("\\" in parameters[place] for place in json_places(statement)):
        return unescaped(statement, parameters)
    return statement, parameters


def rewrite(statement: str, execute: Callable[[str], object]) -> str:
    """The statement as Babelfish takes it; `execute` runs what has to go before it."""
    if statement == SELECT_LEVEL:  # says 120, and has OPENJSON
        return f"SELECT {LEVEL}"
    view = _VIEW.match(statement)
    if view:  # not supported; a view that is dropped loses its grants, which CREATE OR ALTER keeps
        execute(f"DROP VIEW IF EXISTS {view[1]}")
        return statement.replace("CREATE OR ALTER VIEW", "CREATE VIEW", 1)
    function = _FUNCTION.match(statement)
    if function:  # neither
        execute(f"DROP FUNCTION IF EXISTS {function[1]}")
        return statement.replace("CREATE OR ALTER FUNCTION", "CREATE FUNCTION", 1)
    if _GRANT.search(statement):
        # There the right to a function's rows is that to call it, and one on the schema does not give it.
        to_writers = _GRANT.sub(r"GRANT EXECUTE \1", statement).replace(
            "headwater_reader", "headwater_writer"
        )
        execute(to_writers)
        return _GRANT.sub(r"GRANT EXECUTE \1", statement)
    if _RIGHTS.match(statement):  # there a table is its owner's alone to make and to alter
        return "SELECT 1"
    if whole := _ALL_RIGHTS.match(statement):  # what of it is there
        return f"GRANT SELECT, INSERT, UPDATE, DELETE {whole[1]}"
    altered = _ALTERED.fullmatch(statement)
    if altered:  # not under a view, which is made again afterwards; and without these words
        execute(f"DROP VIEW IF EXISTS {altered[2]}]")
        return altered[1]
    return statement


def json_places(statement: str) -> list[int]:
    """Which of its parameters OPENJSON reads."""
    before = statement.split("%s")[:-1]
    return [place for place, each in enumerate(before) if each.endswith(("OPENJSON(", "SET @json = "))]


def unescaped(statement: str, parameters: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    """OPENJSON there gives a string's JSON as it is written, escapes and all, where SQL Server gives what it
    means. Each escape goes as one character for private use, and REPLACE makes it what it stands for."""
    stand_ins: dict[str, str] = {}

    def stand_in(escape: re.Match[str]) -> str:
        return stand_ins.setdefault(escape[0], chr(PRIVATE + len(stand_ins)))

    texts = json_places(statement)
    sent = tuple(
        _ESCAPE.sub(stand_in, str(each)) if place in texts else each for place, each in enumerate(parameters)
    )

    def replaced(column: re.Match[str]) -> str:
        shown = column[1]
        for escape, character in stand_ins.items():
            meant = ord(loads('"' + escape + '"'))
            shown = f"REPLACE({shown}, N'{character}', NCHAR({meant}))"
        return f"{shown} COLLATE {column[2]} AS {column[1]}"

    return _TEXT_COLUMN.sub(replaced, statement), sent


def _renumbered(context: ExceptionContext) -> None:
    """SQL Server's number in place of the generic one, and its words for a missing table."""
    orig = context.original_exception
    if orig.args and orig.args[0] == GENERIC:
        said = _MISSING.sub(rb"Invalid object name '\1'.", orig.args[1])
        for words, number in ERROR_NUMBERS:
            if words in str(orig.args[1]):
                orig.args = (number, said, *orig.args[2:])
                return
