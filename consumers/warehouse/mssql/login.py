"""A login that is read again when the server refuses it, for logins that are rotated.

AWS changes the password in the database first, and then the secret; for a moment neither the old nor the new
secret has the right one. https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
"""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect

from consumers.warehouse.mssql.errors import FOREIGN, is_refusal

PAUSE_SECONDS = 5.0
"""Shortest time between two reads of the login, so that a wrong one causes no storm of requests."""

Arguments = dict[str, Any]
"""Arguments of pymssql.connect."""

_CONNECTING = Lock()


def connect_alone(
    dialect: Dialect, _record: object, _positional: object, arguments: Arguments
) -> DBAPIConnection:
    """Handle SQLAlchemy's event `do_connect`: connect while no other thread does. Raises the driver's errors.

    pymssql 2.4.6 collects the messages of all failing connects of a process in one buffer, and each clears
    it, so that of two at a time each may raise the other's error, or none that says what happened.
    """
    with _CONNECTING:
        return dialect.connect(**arguments)


class RotatedLogin:
    """Connects like SQLAlchemy, but once more with the login as it is now if the server refuses it.

    `read` returns the arguments of pymssql.connect with the present login. Threads may share an object.
    """

    def __init__(
        self, read: Callable[[Dialect], Arguments], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._newest: Arguments | None = None
        self._read_at: float | None = None

    def connect(
        self, dialect: Dialect, _record: object, _positional: object, arguments: Arguments
    ) -> DBAPIConnection:
        """Handle SQLAlchemy's event `do_connect`. Raises errors of the driver, and what `read` raises."""
        used = self._newest or arguments
        try:
            return connect_alone(dialect, None, (), used)
        except FOREIGN as error:
            if not is_refusal(error):
                raise
            refusal = error
        # Outside the block above, so that no error from here has the driver's in its context.
        renewed = self._renewed(dialect, used)
        if renewed == used:  # a second attempt could only lock the login out
            raise refusal
        return connect_alone(dialect, None, (), renewed)

    def _renewed(self, dialect: Dialect, used: Arguments) -> Arguments:
        """Return the newest arguments. Reads the login, unless it was read since `used` or a moment ago."""
        with self._lock:
            newest, now = self._newest or used, self._clock()
            is_due = self._read_at is None or now - self._read_at >= PAUSE_SECONDS
            if newest == used and is_due:
                self._read_at = now
                self._newest = newest = self._read(dialect)
            return newest
