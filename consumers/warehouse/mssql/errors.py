"""SQL Server's errors as ours: one table, by number, never by text.

https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors; from
20001 to 20999 the numbers are those of DB-Library, the client (FreeTDS, include/sybdb.h). A number that is
not here is judged by its severity. Texts of the server may carry values and never leave this file (INV-7):
what is raised has the number, and words of ours.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymssql
from pymssql import _mssql
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from consumers.warehouse.mssql.sql import LOCK_TIMED_OUT, LOCK_VICTIM
from consumers.warehouse.port import TransactionLostError
from schemas.errors import ConfigurationError, TransientError

CLIENT_NUMBERS = range(20_001, 21_000)
SERVER_SAYS = 20_018
_SOCKET_NUMBERS = range(10_053, 10_062)
_INFORMATIONAL = {5701, 5703}
_CLIENT_SAYS = re.compile(rb"DB-Lib error message (\d+)")


class RowRefused(Exception):  # noqa: N818 - caught where the row is known, and never leaves this package
    """SQL Server refuses the values of a row, whatever is retried."""


Kind = type[TransientError | ConfigurationError | RowRefused]

NUMBERS: dict[int, tuple[Kind, str]] = {
    # Undone by another transaction, or the connection is gone: the same again, at once.
    1205: (TransactionLostError, "deadlock"),
    2601: (TransactionLostError, "another writer was first"),
    2627: (TransactionLostError, "another writer was first"),
    3960: (TransactionLostError, "another writer was first"),
    3961: (TransactionLostError, "a table or view was changed meanwhile"),
    LOCK_VICTIM: (TransactionLostError, "deadlock over an application lock"),
    3902: (TransactionLostError, "the transaction had ended"),
    3903: (TransactionLostError, "the transaction had ended"),
    3930: (TransactionLostError, "the transaction can not be committed"),
    3939: (TransactionLostError, "the transaction can not be committed"),
    3940: (TransactionLostError, "the locks of the commit were not free"),
    3948: (TransactionLostError, "the transaction was ended by an availability replica"),
    3971: (TransactionLostError, "the server did not go on with the transaction"),
    3981: (TransactionLostError, "the transaction can not be committed"),
    3998: (TransactionLostError, "the transaction can not be committed"),
    539: (TransactionLostError, "a table was changed meanwhile"),
    2801: (TransactionLostError, "a table or view was changed meanwhile"),
    20003: (TransactionLostError, "no answer in time"),
    20004: (TransactionLostError, "reading from the server failed"),
    20006: (TransactionLostError, "writing to the server failed"),
    20017: (TransactionLostError, "the server closed the connection"),
    20020: (TransactionLostError, "the server's answer was not understood"),
    20047: (TransactionLostError, "the connection is dead"),
    10053: (TransactionLostError, "connection aborted"),
    10054: (TransactionLostError, "connection reset"),
    596: (TransactionLostError, "the session was ended"),
    # The environment's state, which passes or is mended: wait.
    LOCK_TIMED_OUT: (TransientError, "an application lock is not free"),
    1203: (TransientError, "a lock was let go too early"),
    1204: (TransientError, "out of locks"),
    1221: (TransientError, "a lock was let go too early"),
    1807: (TransientError, "the database model is not free"),
    8628: (TransientError, "a statement could not be optimised in time"),
    1222: (TransientError, "a lock is not free"),
    701: (TransientError, "out of memory"),
    802: (TransientError, "out of memory"),
    8645: (TransientError, "no memory in time"),
    8651: (TransientError, "no memory"),
    845: (TransientError, "a page is not free in time"),
    823: (TransientError, "reading a page failed"),
    824: (TransientError, "a page is damaged"),
    825: (TransientError, "reading a page failed"),
    1101: (TransientError, "the data file is full"),
    1105: (TransientError, "the filegroup is full"),
    9002: (TransientError, "the transaction log is full"),
    3935: (TransientError, "too few resources"),
    3949: (TransientError, "a row's version is missing"),
    3950: (TransientError, "a scan of the version store took too long"),
    3957: (TransientError, "the version store is not ready"),
    3958: (TransientError, "the version store is full"),
    3966: (TransientError, "the version store is full"),
    3967: (TransientError, "the version store is full"),
    3906: (TransientError, "the database is read-only"),
    3908: (TransientError, "the database is in emergency mode"),
    3984: (TransientError, "a lock of the database is not free"),
    3985: (TransientError, "too little memory"),
    5061: (TransientError, "others use the database, and this setting needs it alone: try again later"),
    5070: (TransientError, "others use the database, and this setting needs it alone: try again later"),
    233: (TransientError, "the connection was closed at login"),
    921: (TransientError, "the database is not recovered yet"),
    922: (TransientError, "the database is being recovered"),
    923: (TransientError, "the database is in restricted use"),
    924: (TransientError, "the database is in single-user mode"),
    926: (TransientError, "the database is suspect"),
    927: (TransientError, "the database is being restored"),
    942: (TransientError, "the database is offline"),
    945: (TransientError, "the database can not be opened"),
    952: (TransientError, "the database is in transition"),
    976: (TransientError, "this is a secondary replica that takes no connections"),
    978: (TransientError, "this is a read-only replica"),
    983: (TransientError, "the replica is not accessible"),
    4064: (TransientError, "the login's default database is not accessible"),
    5120: (TransientError, "a file of the database can not be opened"),
    6005: (TransientError, "the server is shutting down"),
    17142: (TransientError, "the server is paused"),
    17187: (TransientError, "the server is starting"),
    17197: (TransientError, "the login timed out"),
    17809: (TransientError, "too many connections"),
    18401: (TransientError, "the server is in script upgrade mode"),
    18451: (TransientError, "only administrators may connect now"),
    18461: (TransientError, "the server is in single-user mode"),
    10060: (TransientError, "no connection in time"),
    10061: (TransientError, "connection refused"),
    # Azure SQL: https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
    4221: (TransientError, "the login waits for a replica"),
    10928: (TransientError, "too many workers"),
    10929: (TransientError, "too many workers"),
    10936: (TransientError, "too many workers"),
    40143: (TransientError, "the service failed"),
    40166: (TransientError, "the service failed"),
    40197: (TransientError, "the service is being moved"),
    40501: (TransientError, "the service is busy"),
    40540: (TransientError, "the service ended the session"),
    40544: (TransientError, "the database is full"),
    40549: (TransientError, "the session took too long"),
    40550: (TransientError, "the session took too many locks"),
    40551: (TransientError, "the session took too much of tempdb"),
    40552: (TransientError, "the session took too much log"),
    40553: (TransientError, "the session took too much memory"),
    40613: (TransientError, "the database is not available now"),
    42108: (TransientError, "the pool is paused"),
    42109: (TransientError, "the pool is resuming"),
    49918: (TransientError, "too few resources"),
    49919: (TransientError, "too many operations"),
    49920: (TransientError, "too many operations"),
    20002: (
        TransientError,
        "the connection could not be made: is a server there, with TLS, and its certificate right?",
    ),
    SERVER_SAYS: (TransientError, "the server refuses the connection"),
    20008: (TransientError, "no socket"),
    20009: (TransientError, "no server answers"),
    20010: (TransientError, "the client is out of memory"),
    20011: (TransientError, "too many connections of this process"),
    # The values of one row.
    168: (RowRefused, "a number is too large for its column"),
    213: (RowRefused, "another number of values than of columns"),
    220: (RowRefused, "a number is too large for its column"),
    232: (RowRefused, "a number is too large for its column"),
    241: (RowRefused, "a text is no date or time"),
    242: (RowRefused, "a date is out of range"),
    245: (RowRefused, "a value does not convert to the type of its column"),
    248: (RowRefused, "a number is too large for an integer"),
    295: (RowRefused, "a text is no date or time"),
    515: (RowRefused, "a column takes no NULL"),
    517: (RowRefused, "a date is out of range"),
    542: (RowRefused, "a date is out of range"),
    547: (RowRefused, "a constraint of the table"),
    550: (RowRefused, "a view's CHECK OPTION"),
    1946: (RowRefused, "a value is too long for an index that somebody made"),
    2628: (RowRefused, "a value is too long for its column"),
    3621: (RowRefused, "a statement was ended"),
    8114: (RowRefused, "a value does not convert to the type of its column"),
    8115: (RowRefused, "a number is too large for its column"),
    8134: (RowRefused, "a computed column divides by zero"),
    8152: (RowRefused, "a value is too long for its column"),
    8169: (RowRefused, "a text is no identifier"),
    511: (RowRefused, "a row is larger than a page"),
    3609: (RowRefused, "a trigger ended the batch"),
    13608: (RowRefused, "a property is not in the JSON"),
    13606: (RowRefused, "a JSON is nested too deeply"),
    13609: (RowRefused, "a text is not JSON"),
    13610: (RowRefused, "a value is no text of JSON"),
    # A person has to look.
    18452: (ConfigurationError, "the login is not of a trusted domain"),
    18456: (
        ConfigurationError,
        "the login is refused, or the database is missing: look at user, password, name",
    ),
    18470: (ConfigurationError, "the login is disabled"),
    18486: (ConfigurationError, "the login is locked out"),
    18487: (ConfigurationError, "the login's password has expired"),
    18488: (ConfigurationError, "the login's password must be changed"),
    4060: (ConfigurationError, "the database is missing, or this login may not open it"),
    911: (ConfigurationError, "the database is missing"),
    916: (ConfigurationError, "this login may not open the database"),
    40615: (ConfigurationError, "the server's firewall refuses this address"),
    40532: (ConfigurationError, "the login is refused"),
    20012: (ConfigurationError, "no entry for this server"),
    20013: (ConfigurationError, "no host of this name"),
    20014: (ConfigurationError, "the login is refused"),
    **dict.fromkeys(
        (102, 105, 111, 137, 156, 195, 319, 325),
        (ConfigurationError, "this server does not know a statement: SQL Server 2017 or later is needed"),
    ),
    **dict.fromkeys(
        (109, 110, 120, 121, 206, 209, 257, 402, 4104, 10709, 10738, 13607),
        (ConfigurationError, "a statement does not fit its table: a bug, or a table that somebody changed"),
    ),
    **dict.fromkeys(
        (103, 123, 191, 564, 565, 8623, 8631, 8632, 13626),
        (ConfigurationError, "an entity has more, or longer, columns than a statement takes"),
    ),
    **dict.fromkeys((446, 449, 451, 457, 468), (ConfigurationError, "two collations meet")),
    226: (ConfigurationError, "a statement that is not allowed in a transaction"),
    266: (ConfigurationError, "a transaction that does not end where it began"),
    207: (ConfigurationError, "a column is missing"),
    # OPENJSON, too, is "an object" that is not there where the compatibility level is below 130.
    208: (ConfigurationError, "a table or view is missing: run `headwater warehouse init`, then `check`"),
    229: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    230: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    262: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    297: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    300: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    1088: (ConfigurationError, "a table or view is missing, or no permission"),
    1701: (ConfigurationError, "a row of this entity can be larger than a page"),
    1702: (ConfigurationError, "an entity has more columns than a table takes"),
    1750: (ConfigurationError, "a constraint can not be made"),
    2705: (ConfigurationError, "a column is named twice"),
    2714: (ConfigurationError, "a table or view is there that Headwater did not make"),
    2760: (ConfigurationError, "the schema is missing, or no permission"),
    2759: (ConfigurationError, "the schema can not be made"),
    2812: (ConfigurationError, "a procedure is missing"),
    3701: (ConfigurationError, "a table or view is missing, or no permission"),
    3705: (ConfigurationError, "a table is where a view should be, or the reverse"),
    3729: (ConfigurationError, "a table is used by another object, which somebody made"),
    4613: (ConfigurationError, "no permission to grant"),
    5011: (ConfigurationError, "no permission to alter the database"),
    5069: (ConfigurationError, "the database's setting can not be changed"),
    15023: (ConfigurationError, "a user or role of that name is there that Headwater did not make"),
    15151: (ConfigurationError, "a user, role or object is missing, or no permission"),
    15247: (ConfigurationError, "no permission"),
    448: (ConfigurationError, "this server does not know the collation"),
    4902: (ConfigurationError, "a table is missing, or no permission"),
}

_RESOURCES = 17
"""Severity from which on the server, and not the statement, is at fault."""


def map_error(number: int | None, severity: int | None) -> tuple[Kind, str]:
    """What an error is to us. Without a number it is pymssql's own: the connection is not there any more."""
    if number is None:
        return TransactionLostError, "the connection is closed"
    if number in NUMBERS:
        return NUMBERS[number]
    if number in CLIENT_NUMBERS:
        return TransactionLostError, "the client's library failed"
    if severity is not None and severity >= _RESOURCES:
        return TransientError, f"severity {severity}"
    return ConfigurationError, f"severity {severity or 'unknown'}"


def number_of(error: BaseException | None) -> tuple[int | None, int | None]:
    """Number and severity. pymssql tells the severity only in the error that its own came of.

    Where a connection can't be made, its arguments stand in a tuple of their own.
    """
    match error:
        case BaseException(args=((int() as number, bytes() as said), *_)):
            return _number_at_connect(number, said), None
        case BaseException(args=(int() as number, *_)):
            return number, getattr(error.__context__, "severity", None)
    return None, None


def _number_at_connect(number: int, said: bytes) -> int:
    """Number and text may be those of an earlier failure of this process: pymssql 2.4.6 keeps what had the
    greatest severity ever (`clr_err` sets locals), and adds what it says itself. So the number is right where
    the server sent an error, and its text is before what pymssql says of it."""
    client = [int(each) for each in _CLIENT_SAYS.findall(said)]
    if SERVER_SAYS not in client:
        return client[-1] if client else number
    return SERVER_SAYS if _CLIENT_SAYS.match(said) or number in _INFORMATIONAL else number


def words_of(error: BaseException | None) -> str:
    """What the server said of a statement that it did not run: names and constants that stand in it, and no
    value of any row. Of no other statement (INV-7)."""
    said = next((each for each in getattr(error, "args", ()) if isinstance(each, bytes)), b"")
    return said.partition(b"DB-Lib error")[0].decode("utf-8", "replace").strip()


FOREIGN = (DBAPIError, pymssql.Error, _mssql.MSSQLException, PendingRollbackError)
"""What a statement or a login may raise. While it connects, pymssql lets errors of its lower layer through,
which are no errors of the DB-API; SQLAlchemy refuses statements on a connection that it has given up."""


@contextmanager
def mssql_errors(doing: str, server: str = "") -> Iterator[None]:
    """Re-raise what SQL Server, pymssql and SQLAlchemy raise as TransientError, ConfigurationError or
    RowRefused, without the foreign error: its text, and the statement in it, may carry values.

    `server`: its host and port, named where the connection failed.
    """
    try:
        yield
    except FOREIGN as error:
        number, severity = number_of(error.orig if isinstance(error, DBAPIError) else error)
        kind, words = map_error(number, severity)
        where = f" at {server}" if server and _is_of_connection(number) else ""
        said = f"{doing}: SQL Server error {number}{where}: {words}" if number else f"{doing}{where}: {words}"
        raise kind(said) from None


def _is_of_connection(number: int | None) -> bool:
    """Whether the client, not the server, found the fault."""
    return number is None or number in CLIENT_NUMBERS or number in _SOCKET_NUMBERS
