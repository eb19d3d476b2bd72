"""A login that is rotated: read again when the server refuses it, without a restart and without a storm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymssql
import pytest
from tds_server import TdsServer

from consumers.warehouse.mssql.errors import mssql_errors
from consumers.warehouse.mssql.login import PAUSE_SECONDS, RotatedLogin
from consumers.warehouse.mssql.warehouse import MssqlWarehouse, open_warehouse
from schemas.errors import ConfigurationError, TransientError

URL = "mssql+pymssql://{}:{}@127.0.0.1:{}/warehouse?encryption=off"


class Secret:
    """The present login, and how often it was read."""

    def __init__(self, port: int) -> None:
        self.user, self.password, self.port, self.reads = "user", "first", port, 0

    def url(self) -> str:
        return URL.format(self.user, self.password, self.port)

    def read(self) -> str:
        self.reads += 1
        return self.url()


@pytest.fixture
def server() -> Iterator[TdsServer]:
    with TdsServer().running() as server:
        server.logins["user"] = "first"
        yield server


@pytest.fixture
def secret(server: TdsServer) -> Secret:
    return Secret(server.port)


@pytest.fixture
def connect(secret: Secret) -> Callable[[], None]:
    """Opens one more connection, by the event of SQLAlchemy, and closes it."""
    return connector(open_warehouse(secret.url(), (), read_again=secret.read))


def connector(warehouse: MssqlWarehouse) -> Callable[[], None]:
    dialect, pool = warehouse.engine.dialect, warehouse.engine.pool
    # The first connection of an engine is asked what the test's server can't answer.
    dialect.initialize = lambda _connection: None  # type: ignore[method-assign]

    def connect() -> None:
        with mssql_errors("connect"):
            connection = pool.connect()
            connection.invalidate()

    return connect


def test_a_rotated_password_is_read_once_and_kept(
    server: TdsServer, secret: Secret, connect: Callable[[], None]
) -> None:
    connect()
    assert secret.reads == 0
    server.logins["user"] = secret.password = "second"
    connect()
    connect()
    assert secret.reads == 1
    assert server.seen == [("user", word) for word in ("first", "first", "second", "second")]


def test_the_user_may_change_too(server: TdsServer, secret: Secret, connect: Callable[[], None]) -> None:
    """As AWS's rotation of alternating users does."""
    connect()
    server.logins.clear()
    server.logins["user_clone"] = "other"
    secret.user, secret.password = "user_clone", "other"
    connect()
    assert server.seen[-1] == ("user_clone", "other")


def test_a_login_that_is_refused_again_is_a_configuration_error(
    server: TdsServer, secret: Secret, connect: Callable[[], None]
) -> None:
    server.logins.clear()
    secret.password = "second"
    with pytest.raises(ConfigurationError, match="18456: the login is refused"):
        connect()
    assert (len(server.seen), secret.reads) == (2, 1)


def test_an_unchanged_secret_is_not_tried_again(
    server: TdsServer, secret: Secret, connect: Callable[[], None]
) -> None:
    """Each refusal counts where logins are locked out."""
    server.logins.clear()
    with pytest.raises(ConfigurationError, match="18456"):
        connect()
    assert (len(server.seen), secret.reads) == (1, 1)


def test_the_second_refusal_of_a_process_is_known_as_well(
    server: TdsServer, secret: Secret, connect: Callable[[], None]
) -> None:
    """pymssql gives its text only once."""
    server.logins.clear()
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="18456"):
            connect()


def test_the_secret_is_read_at_most_once_in_some_seconds(server: TdsServer, secret: Secret) -> None:
    now, dialect, reads = [0.0], open_warehouse(secret.url(), ()).engine.dialect, list[float]()
    arguments = {"host": f"127.0.0.1:{server.port}", "user": "user", "password": "wrong", "encryption": "off"}

    def read(_dialect: object) -> dict[str, Any]:
        reads.append(now[0])
        return {**arguments, "password": f"wrong at {now[0]}"}

    login = RotatedLogin(read, clock=lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        with pytest.raises(pymssql.Error):
            login.connect(dialect, None, (), arguments)
    assert reads == [0.0, PAUSE_SECONDS, 2 * PAUSE_SECONDS]
    assert len(server.seen) == 12 + len(reads)


def test_threads_that_are_refused_together_read_once_and_all_connect(
    server: TdsServer, secret: Secret, connect: Callable[[], None]
) -> None:
    server.logins["user"] = secret.password = "second"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: connect(), range(8)))
    assert secret.reads == 1


def test_threads_that_fail_together_each_raise_their_own_error(server: TdsServer, secret: Secret) -> None:
    """pymssql collects the messages of all connects of a process in one buffer."""
    server.logins.clear()
    refused = connector(open_warehouse(secret.url(), ()))
    secret.port = 1
    unreachable = connector(open_warehouse(secret.url(), ()))
    with ThreadPoolExecutor(8) as pool:
        failures = [(pool.submit(refused), pool.submit(unreachable)) for _ in range(8)]
    for refusal, silence in failures:
        assert isinstance(refusal.exception(), ConfigurationError)
        assert isinstance(silence.exception(), TransientError)


def test_a_server_that_does_not_answer_is_no_reason_to_read(secret: Secret) -> None:
    secret.port = 1
    with pytest.raises(TransientError):
        connector(open_warehouse(secret.url(), (), read_again=secret.read))()
    assert secret.reads == 0


def test_an_unreadable_secret_is_the_error_and_has_no_other_in_its_context(
    server: TdsServer, secret: Secret
) -> None:
    def unreadable() -> str:
        raise TransientError("GetSecretValue of warehouse: ThrottlingException")

    server.logins.clear()
    with pytest.raises(TransientError, match="ThrottlingException") as caught:
        connector(open_warehouse(secret.url(), (), read_again=unreadable))()
    assert caught.value.__context__ is None
