"""SQLite's errors as ours: one table, by result code (https://www.sqlite.org/rescode.html), never by text."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, PendingRollbackError

from schemas.errors import ConfigurationError, HeadwaterError, TransientError


class RowRefused(Exception):  # noqa: N818 - caught where the row is known, and never leaves this package
    """SQLite refuses the values of a row, whatever is retried."""


PRIMARY_CODES: dict[str, type[HeadwaterError | RowRefused] | None] = {
    # The environment's state, which passes or is mended: wait and do the whole transaction again.
    "SQLITE_BUSY": TransientError,
    "SQLITE_LOCKED": TransientError,
    "SQLITE_PROTOCOL": TransientError,
    "SQLITE_SCHEMA": TransientError,
    "SQLITE_INTERRUPT": TransientError,
    "SQLITE_ABORT": TransientError,
    "SQLITE_NOMEM": TransientError,
    "SQLITE_FULL": TransientError,
    "SQLITE_IOERR": TransientError,
    "SQLITE_CANTOPEN": TransientError,
    "SQLITE_READONLY": TransientError,
    # The values of one row.
    "SQLITE_CONSTRAINT": RowRefused,
    "SQLITE_MISMATCH": RowRefused,
    "SQLITE_TOOBIG": RowRefused,
    # A person has to look: a table that is not there, no permission, not a database, a damaged one.
    "SQLITE_ERROR": ConfigurationError,
    "SQLITE_PERM": ConfigurationError,
    "SQLITE_AUTH": ConfigurationError,
    "SQLITE_NOTFOUND": ConfigurationError,
    "SQLITE_NOTADB": ConfigurationError,
    "SQLITE_CORRUPT": ConfigurationError,
    "SQLITE_NOLFS": ConfigurationError,
    "SQLITE_FORMAT": ConfigurationError,
    # Our own bugs, and codes that no call of ours gives: never dead letters, never retried.
    "SQLITE_INTERNAL": None,
    "SQLITE_MISUSE": None,
    "SQLITE_RANGE": None,
    "SQLITE_EMPTY": None,
    "SQLITE_NOTICE": None,
    "SQLITE_WARNING": None,
    "SQLITE_OK": None,
    "SQLITE_ROW": None,
    "SQLITE_DONE": None,
}

MEANINGS = {
    "SQLITE_BUSY": "another process holds the file",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk fails",
    "SQLITE_CANTOPEN": "the file can't be opened",
    "SQLITE_READONLY": "the file can't be written",
    "SQLITE_ERROR": "a statement failed: most often a table, view or column that should be there is not",
    "SQLITE_NOTADB": "the file is no SQLite database",
    "SQLITE_CORRUPT": "the file is damaged",
}
"""In words, for whoever has to mend it."""

_BY_CODE = {getattr(sqlite3, name): (name, kind) for name, kind in PRIMARY_CODES.items()}


def map_error(error: BaseException | None, doing: str) -> HeadwaterError | RowRefused | None:
    """SQLite's error as ours; None for a bug. An extended code's low byte is the primary code."""
    name, kind = _BY_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, ("", None))
    if kind is None:
        return None
    meaning = f" ({MEANINGS[name]})" if name in MEANINGS else ""
    return kind(f"{doing}: {getattr(error, 'sqlite_errorname', name)}{meaning}")


@contextmanager
def sqlite_errors(doing: str) -> Iterator[None]:
    """Raise SQLite's errors as TransientError, ConfigurationError or RowRefused."""
    try:
        yield
    except PendingRollbackError:  # a statement on a connection that was given up
        raise TransientError(f"{doing}: the connection is closed") from None
    except DBAPIError as error:
        known = map_error(error.orig, doing)
        if known is None:
            raise
        raise known from error.orig
