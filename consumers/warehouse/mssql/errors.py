"""Mapping of SQL Server's errors to those of Headwater, by number and never by text.

https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors lists the
server's numbers. Numbers 20001 to 20999 are from the client library, DB-Library (FreeTDS, include/sybdb.h). A
number that is not in the table is mapped by its severity. The server's texts may contain field values and
never leave this module (INV-7); the errors raised have the number and a text of our own.
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
SERVER_ERROR = 20_018
"""The client's number for "the server sent an error", whose own number is the interesting one."""
_SOCKET_NUMBERS = range(10_053, 10_062)
_INFORMATIONAL = {5701, 5703}  # "changed database context", "changed language": sent at every login
_CLIENT_ERROR = re.compile(rb"DB-Lib error message (\d+), severity (\d+)")


class RowRefused(Exception):  # noqa: N818 - caught where the row is known, and never leaves this package
    """SQL Server refuses the values of a row; a retry does not help."""


Kind = type[TransientError | ConfigurationError | RowRefused]

NUMBERS: dict[int, tuple[Kind, str]] = {
    # Rolled back because of another transaction, or the connection broke: retry the transaction at once.
    1205: (TransactionLostError, "deadlock"),
    2601: (TransactionLostError, "another writer was first"),
    2627: (TransactionLostError, "another writer was first"),
    3960: (TransactionLostError, "another writer was first"),
    3961: (TransactionLostError, "a table or view was changed meanwhile"),
    LOCK_VICTIM: (TransactionLostError, "deadlock over an application lock"),
    3902: (TransactionLostError, "the transaction had ended"),
    3903: (TransactionLostError, "the transaction had ended"),
    3930: (TransactionLostError, "the transaction cannot be committed"),
    3939: (TransactionLostError, "the transaction cannot be committed"),
    3940: (TransactionLostError, "the commit could not get its locks"),
    3948: (TransactionLostError, "the transaction was ended by an availability replica"),
    3971: (TransactionLostError, "the server failed to resume the transaction"),
    3981: (TransactionLostError, "the transaction cannot be committed"),
    3998: (TransactionLostError, "the transaction cannot be committed"),
    539: (TransactionLostError, "a table was changed meanwhile"),
    2801: (TransactionLostError, "a table or view was changed meanwhile"),
    20003: (TransactionLostError, "the connection timed out"),
    20004: (TransactionLostError, "reading from the server failed"),
    20006: (TransactionLostError, "writing to the server failed"),
    20017: (TransactionLostError, "the server closed the connection"),
    20020: (TransactionLostError, "the server sent an invalid response"),
    20047: (TransactionLostError, "the connection is dead"),
    10053: (TransactionLostError, "connection aborted"),
    10054: (TransactionLostError, "connection reset"),
    596: (TransactionLostError, "the session was killed"),
    # A state of the environment that passes, or that an operator resolves: wait, then retry.
    LOCK_TIMED_OUT: (TransientError, "timed out waiting for an application lock"),
    1203: (TransientError, "a lock was released that was not held"),
    1204: (TransientError, "out of locks"),
    1221: (TransientError, "a lock was released that was not held"),
    1807: (TransientError, "the database model is locked"),
    8628: (TransientError, "timed out optimising a statement"),
    1222: (TransientError, "timed out waiting for a lock"),
    701: (TransientError, "out of memory"),
    802: (TransientError, "out of memory"),
    8645: (TransientError, "timed out waiting for memory"),
    8651: (TransientError, "not enough memory for a statement"),
    845: (TransientError, "timed out waiting for a page"),
    823: (TransientError, "reading a page failed"),
    824: (TransientError, "a page is damaged"),
    825: (TransientError, "reading a page failed"),
    1101: (TransientError, "the data file is full"),
    1105: (TransientError, "the filegroup is full"),
    9002: (TransientError, "the transaction log is full"),
    3935: (TransientError, "not enough resources"),
    3949: (TransientError, "a row version is missing"),
    3950: (TransientError, "a scan of the version store took too long"),
    3957: (TransientError, "the version store is not ready"),
    3958: (TransientError, "the version store is full"),
    3966: (TransientError, "the version store is full"),
    3967: (TransientError, "the version store is full"),
    3906: (TransientError, "the database is read-only"),
    3908: (TransientError, "the database is in emergency mode"),
    3984: (TransientError, "a lock of the database is not available"),
    3985: (TransientError, "not enough memory"),
    5061: (
        TransientError,
        "this setting needs exclusive access to the database, which others are using: try again later",
    ),
    5070: (
        TransientError,
        "this setting needs exclusive access to the database, which others are using: try again later",
    ),
    233: (TransientError, "the connection was closed at login"),
    921: (TransientError, "the database is not recovered yet"),
    922: (TransientError, "the database is being recovered"),
    923: (TransientError, "the database is in restricted use"),
    924: (TransientError, "the database is in single-user mode"),
    926: (TransientError, "the database is suspect"),
    927: (TransientError, "the database is being restored"),
    942: (TransientError, "the database is offline"),
    945: (TransientError, "the database cannot be opened"),
    952: (TransientError, "the database is in transition"),
    976: (TransientError, "this is a secondary replica that accepts no connections"),
    978: (TransientError, "this is a read-only replica"),
    983: (TransientError, "the replica is not accessible"),
    4064: (TransientError, "the login's default database is not accessible"),
    5120: (TransientError, "a file of the database cannot be opened"),
    6005: (TransientError, "the server is shutting down"),
    17142: (TransientError, "the server is paused"),
    17187: (TransientError, "the server is starting"),
    17197: (TransientError, "the login timed out"),
    17809: (TransientError, "too many connections"),
    18401: (TransientError, "the server is in script upgrade mode"),
    18451: (TransientError, "only administrators may connect now"),
    18461: (TransientError, "the server is in single-user mode"),
    10060: (TransientError, "connecting timed out"),
    10061: (TransientError, "connection refused"),
    # Azure SQL: https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
    4221: (TransientError, "the login waits for a replica"),
    10928: (TransientError, "too many workers"),
    10929: (TransientError, "too many workers"),
    10936: (TransientError, "too many workers"),
    40143: (TransientError, "the service failed"),
    40166: (TransientError, "the service failed"),
    40197: (TransientError, "the service is being reconfigured"),
    40501: (TransientError, "the service is busy"),
    40540: (TransientError, "the service closed the session"),
    40544: (TransientError, "the database is full"),
    40549: (TransientError, "the session ran too long"),
    40550: (TransientError, "the session used too many locks"),
    40551: (TransientError, "the session used too much of tempdb"),
    40552: (TransientError, "the session used too much log space"),
    40553: (TransientError, "the session used too much memory"),
    40613: (TransientError, "the database is not available now"),
    42108: (TransientError, "the pool is paused"),
    42109: (TransientError, "the pool is resuming"),
    49918: (TransientError, "not enough resources"),
    49919: (TransientError, "too many operations"),
    49920: (TransientError, "too many operations"),
    20002: (
        TransientError,
        "connecting failed: check that a server runs there, with TLS and a valid certificate",
    ),
    SERVER_ERROR: (TransientError, "the server refused the connection"),
    20008: (TransientError, "no socket could be opened"),
    20009: (TransientError, "no server answers"),
    20010: (TransientError, "the client is out of memory"),
    20011: (TransientError, "too many connections of this process"),
    # The values of one row.
    168: (RowRefused, "a number is too large for its column"),
    213: (RowRefused, "the number of values differs from the number of columns"),
    220: (RowRefused, "a number is too large for its column"),
    232: (RowRefused, "a number is too large for its column"),
    241: (RowRefused, "a text is not a valid date or time"),
    242: (RowRefused, "a date is out of range"),
    245: (RowRefused, "a value does not convert to the type of its column"),
    248: (RowRefused, "a number is too large for an integer"),
    295: (RowRefused, "a text is not a valid date or time"),
    515: (RowRefused, "a column does not accept NULL"),
    517: (RowRefused, "a date is out of range"),
    542: (RowRefused, "a date is out of range"),
    547: (RowRefused, "a constraint of the table is violated"),
    550: (RowRefused, "the CHECK OPTION of a view is violated"),
    1946: (RowRefused, "a value is too long for an index that was added to the table"),
    2628: (RowRefused, "a value is too long for its column"),
    3621: (RowRefused, "the statement was terminated"),
    8114: (RowRefused, "a value does not convert to the type of its column"),
    8115: (RowRefused, "a number is too large for its column"),
    8134: (RowRefused, "a computed column divides by zero"),
    8152: (RowRefused, "a value is too long for its column"),
    8169: (RowRefused, "a text is not a UUID"),
    511: (RowRefused, "a row is larger than a page"),
    3609: (RowRefused, "a trigger aborted the batch"),
    13608: (RowRefused, "a property is missing in the JSON"),
    13606: (RowRefused, "the JSON is nested too deeply"),
    13609: (RowRefused, "a text is not JSON"),
    13610: (RowRefused, "a value is not a JSON text"),
    # An operator has to act.
    18452: (ConfigurationError, "the login is from an untrusted domain"),
    18456: (
        ConfigurationError,
        "the login is refused, or the database is missing: check user, password and database name",
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
    20012: (ConfigurationError, "the server's name is not configured"),
    20013: (ConfigurationError, "the host name is unknown"),
    20014: (ConfigurationError, "the login is refused"),
    **dict.fromkeys(
        (102, 105, 111, 137, 156, 195, 319, 325),
        (ConfigurationError, "the server does not support a statement: SQL Server 2017 or later is needed"),
    ),
    **dict.fromkeys(
        (109, 110, 120, 121, 206, 209, 257, 402, 4104, 10709, 10738, 13607),
        (
            ConfigurationError,
            "a statement does not match its table: a bug, or a table that was changed by hand",
        ),
    ),
    **dict.fromkeys(
        (103, 123, 191, 564, 565, 8623, 8631, 8632, 13626),
        (ConfigurationError, "an entity has too many, or too long, columns for a statement"),
    ),
    **dict.fromkeys((446, 449, 451, 457, 468), (ConfigurationError, "two collations conflict")),
    226: (ConfigurationError, "a statement is not allowed in a transaction"),
    266: (ConfigurationError, "a transaction does not end where it began"),
    207: (ConfigurationError, "a column is missing"),
    # OPENJSON, too, is a missing "object" if the compatibility level is below 130.
    208: (ConfigurationError, "a table or view is missing: run `headwater warehouse init`, then `check`"),
    229: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    230: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    262: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    297: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    300: (ConfigurationError, "no permission: run `headwater warehouse check`"),
    1088: (ConfigurationError, "a table or view is missing, or no permission"),
    1701: (ConfigurationError, "a row of this entity can be larger than a page"),
    1702: (ConfigurationError, "an entity has too many columns for a table"),
    1750: (ConfigurationError, "a constraint cannot be created"),
    2705: (ConfigurationError, "two columns have the same name"),
    2714: (ConfigurationError, "a table or view exists that Headwater did not create"),
    2760: (ConfigurationError, "the schema is missing, or no permission"),
    2759: (ConfigurationError, "the schema cannot be created"),
    2812: (ConfigurationError, "a procedure is missing"),
    3701: (ConfigurationError, "a table or view is missing, or no permission"),
    3705: (ConfigurationError, "a table exists in place of a view, or the reverse"),
    3729: (ConfigurationError, "another object, which Headwater did not create, depends on a table"),
    4613: (ConfigurationError, "no permission to grant"),
    5011: (ConfigurationError, "no permission to alter the database"),
    5069: (ConfigurationError, "a setting of the database cannot be changed"),
    15023: (ConfigurationError, "a user or role of that name exists that Headwater did not create"),
    15151: (ConfigurationError, "a user, role or object is missing, or no permission"),
    15247: (ConfigurationError, "no permission"),
    448: (ConfigurationError, "the server does not support the collation"),
    4902: (ConfigurationError, "a table is missing, or no permission"),
}

# Only the texts of these errors are read for what is missing: they quote names, and never a value (INV-7).
# The texts are those of sys.messages in English; of another language no name is shown.
_SUBJECTS: dict[int | None, tuple[re.Pattern[bytes], str]] = {
    207: (re.compile(rb"Invalid column name '(\w{1,128})'"), "{}"),
    208: (re.compile(rb"Invalid object name '([\w.]{1,300})'"), "{}"),
    229: (
        re.compile(
            rb"The (\w{1,40}) permission was denied on the object '(\w+)', database '\w+', schema '(\w+)'"
        ),
        "{0} on {2}.{1}",
    ),
    262: (re.compile(rb"([A-Z ]{1,40}) permission denied in database"), "{}"),
}

_RESOURCES = 17
"""The lowest severity of errors of the server's resources or software, as opposed to the statement."""


def map_error(number: int | None, severity: int | None) -> tuple[Kind, str]:
    """Return the class and text of our error for a number and severity."""
    if number is None:  # raised by pymssql itself, for a connection that is no longer open
        return TransactionLostError, "the connection is closed"
    if number in NUMBERS:
        return NUMBERS[number]
    if number in CLIENT_NUMBERS:
        return TransactionLostError, "the client's library failed"
    if severity is not None and severity >= _RESOURCES:
        return TransientError, f"severity {severity}"
    return ConfigurationError, f"severity {severity or 'unknown'}"


def number_of(error: BaseException | None) -> tuple[int | None, int | None]:
    """Return the number and the severity of an error of pymssql; None for what it does not have."""
    # The severity is only in the error of the lower layer, from which the other one was raised.
    severity = getattr(error, "severity", None) or getattr(error and error.__context__, "severity", None)
    match error:
        # A failed connect has number and text in a nested tuple.
        case BaseException(args=((int() as number, bytes() as text), *_)):
            return _number_at_connect(number, text, severity), None
        case BaseException(args=(int() as number, *_)):
            return number, severity
    return None, None


def _number_at_connect(number: int, text: bytes, severity: int | None) -> int:
    """Return the number of the error that made a connect fail."""
    # Number and text may be from an earlier failure of this process: pymssql 2.4.6 keeps the message of the
    # greatest severity so far (its `clr_err` resets only the text), and appends those of the client. So
    # `number` is right if the server did send an error, whose text then precedes the client's. If that text
    # is missing, the severity of the error was not above the kept one; equal ones are most likely the same.
    client_errors = [(int(client), level) for client, level in _CLIENT_ERROR.findall(text)]
    sent = [level for client, level in client_errors if client == SERVER_ERROR]
    if not sent:
        return client_errors[-1][0] if client_errors else number
    is_earlier = _CLIENT_ERROR.match(text) is not None and int(sent[-1]) != severity
    return SERVER_ERROR if is_earlier or number in _INFORMATIONAL else number


def is_refusal(error: BaseException) -> bool:
    """Return whether the server answered a connect with an error, such as that of a refused login."""
    # Not by the error's number, which may be that of an earlier failure.
    match error:
        case BaseException(args=((int(), bytes() as text), *_)):
            return any(int(client) == SERVER_ERROR for client, _ in _CLIENT_ERROR.findall(text))
    return False


def words_of(error: BaseException | None) -> str:
    """Return the server's text for a statement that failed to compile.

    Only for such a statement: the text then quotes names and constants of the statement. The text of an
    executed statement may quote field values (INV-7).
    """
    return _text_of(error).partition(b"DB-Lib error")[0].decode("utf-8", "replace").strip()


def _text_of(error: BaseException | None) -> bytes:
    return next((argument for argument in getattr(error, "args", ()) if isinstance(argument, bytes)), b"")


FOREIGN = (DBAPIError, pymssql.Error, _mssql.MSSQLException, PendingRollbackError)
"""Errors that a statement or a login may raise.

During a connect, pymssql lets errors of its lower layer through, which are not DB-API errors. SQLAlchemy
raises PendingRollbackError for a statement on an invalidated connection.
"""


@contextmanager
def mssql_errors(doing: str, server: str = "") -> Iterator[None]:
    """Convert the driver's errors to TransientError, ConfigurationError or RowRefused.

    `doing` names the operation in the error; `server` is host and port, for errors of the connection.
    """
    try:
        yield
    except FOREIGN as error:
        number, severity = number_of(error.orig if isinstance(error, DBAPIError) else error)
        kind, words = map_error(number, severity)
        where = f" at {server}" if server and _is_of_connection(number) else ""
        code = f": SQL Server error {number}{_subject_of(number, error)}" if number else ""
        # `from None`: the driver's error and the statement in it may contain field values (INV-7).
        raise kind(f"{doing}{code}{where}: {words}") from None


def _subject_of(number: int | None, error: Exception) -> str:
    """Return the table, column or right that an error is about, in parentheses; empty if it names none."""
    pattern, form = _SUBJECTS.get(number, (None, ""))
    text = _text_of(error.orig if isinstance(error, DBAPIError) else error)
    match = pattern.search(text) if pattern else None
    return f" ({form.format(*(name.decode() for name in match.groups()))})" if match else ""


def _is_of_connection(number: int | None) -> bool:
    """Return whether the client detected the error, so that the server's address helps to find the cause."""
    return number is None or number in CLIENT_NUMBERS or number in _SOCKET_NUMBERS
