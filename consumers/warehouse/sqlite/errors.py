"""Mapping of SQLite's errors to those of Headwater, by result code and never by text.

https://www.sqlite.org/rescode.html
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, PendingRollbackError

from schemas.errors import ConfigurationError, HeadwaterError, TransientError


class RowRefused(Exception):  # noqa: N818 - caught where the row is known, and never leaves this package
    """SQLite refuses the values of a row; a retry does not help."""


PRIMARY_CODES: dict[str, type[HeadwaterError | RowRefused] | None] = {
    # A state of the environment that passes, or that an operator resolves: wait, then retry the transaction.
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
    # An operator has to act: a missing table, no permission, not a database, a damaged one.
    "SQLITE_ERROR": ConfigurationError,
    "SQLITE_PERM": ConfigurationError,
    "SQLITE_AUTH": ConfigurationError,
    "SQLITE_NOTFOUND": ConfigurationError,
    "SQLITE_NOTADB": ConfigurationError,
    "SQLITE_CORRUPT": ConfigurationError,
    "SQLITE_NOLFS": ConfigurationError,
    "SQLITE_FORMAT": ConfigurationError,
    # Bugs of ours, and codes that none of our calls returns. Not mapped, so that they are neither retried nor
    # turned into dead letters.
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
    "SQLITE_BUSY": "another process has locked the file",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "reading or writing the disk failed",
    "SQLITE_CANTOPEN": "the file can't be opened",
    "SQLITE_READONLY": "the file can't be written",
    "SQLITE_ERROR": "a statement failed, most often for a missing table, view or column",
    "SQLITE_NOTADB": "the file is not a SQLite database",
    "SQLITE_CORRUPT": "the file is damaged",
}
"""Explanations for the operator."""

# The only texts of SQLite that are read: they quote a name of ours, and never a value (INV-7).
_NO_SUCH = re.compile(r"no such (table|column): ([\w.]{1,300})")

_BY_CODE = {getattr(sqlite3, name): (name, kind) for name, kind in PRIMARY_CODES.items()}


def map_error(error: BaseException | None, doing: str) -> HeadwaterError | RowRefused | None:
    """Return the error to raise for an error of sqlite3; None for a bug, which is raised as it is."""
    # The low byte of an extended result code is the primary code.
    name, kind = _BY_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, ("", None))
    if kind is None:
        return None
    missing = _NO_SUCH.fullmatch(str(error))
    if missing:
        return kind(f"{doing}: the {missing[1]} {missing[2]} is missing: run `headwater warehouse init`")
    meaning = f" ({MEANINGS[name]})" if name in MEANINGS else ""
    return kind(f"{doing}: {getattr(error, 'sqlite_errorname', name)}{meaning}")


@contextmanager
def sqlite_errors(doing: str) -> Iterator[None]:
    """Convert SQLite's errors to TransientError, ConfigurationError or RowRefused."""
    try:
        yield
    except PendingRollbackError:  # a statement on an invalidated connection
        raise TransientError(f"{doing}: the connection is closed") from None
    except DBAPIError as error:
        mapped = map_error(error.orig, doing)
        if mapped is None:
            raise
        raise mapped from error.orig
