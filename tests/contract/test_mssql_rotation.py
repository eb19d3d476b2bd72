"""The rotation of a login that is kept in a secret, on a server, in mid-run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import Aws
from babelfish import close_kept
from consumers_world import ENTITIES
from mssql_server import bare, connected, new_database, server, url_of
from mssql_world import batches, consume, oracle
from sqlalchemy.engine import make_url

from consumers.warehouse.engines import warehouse_of
from consumers.warehouse.mssql.warehouse import open_warehouse
from schemas.errors import ConfigurationError
from schemas.settings import Settings

WORK = batches(seed=1, size=8, keys=10)
FIRST, SECOND, WRONG = (f"Swordfish_{number}" for number in range(3))


@pytest.fixture
def database() -> Iterator[str]:
    with new_database() as name:
        owner = open_warehouse(url_of(name), ENTITIES)
        owner.init()
        owner.close()
        close_kept()
        yield name
        close_kept()


class Rotation:
    """Two logins that may write, and the secret that names one of them."""

    def __init__(self, database: str, aws: Aws) -> None:
        self.database = database
        self.users = [f"headwater_{uuid.uuid4().hex[:8]}" for _ in range(2)]
        self._secrets = aws.client("secretsmanager")
        self._secret = aws.name("login")
        self._secrets.create_secret(Name=self._secret, SecretString=self.url(self.users[0], FIRST))
        self.warehouse: Any = warehouse_of(Settings(warehouse_secret=self._secret), ENTITIES, aws.client)

    def url(self, user: str, password: str) -> str:
        url = make_url(url_of(self.database)).set(username=user, password=password)
        return url.render_as_string(hide_password=False)

    def save(self, user: str, password: str) -> None:
        self._secrets.put_secret_value(SecretId=self._secret, SecretString=self.url(user, password))

    def end_sessions(self) -> None:
        """The open connection would go on with the old password."""
        with self.warehouse.engine.connect() as connection:
            session = connection.exec_driver_sql("SELECT @@SPID").scalar_one()
        self.execute(f"KILL {session}", "master")

    def execute(self, statement: str, database: str | None = None) -> None:
        with bare(database or self.database) as connection:
            connection.cursor().execute(statement)


@pytest.fixture
def rotation(database: str, aws: Aws) -> Iterator[Rotation]:
    made = Rotation(database, aws)
    for user in made.users:
        made.execute(f"CREATE LOGIN {user} WITH PASSWORD = '{FIRST}'")
        made.execute(f"CREATE USER {user} FOR LOGIN {user}")
        made.execute(f"ALTER ROLE headwater_writer ADD MEMBER {user}")
    yield made
    made.warehouse.close()
    for user in made.users:
        made.execute(f"DROP USER {user}")
        with connected(server()) as connection:
            connection.cursor().execute(f"DROP LOGIN {user}")


def rows(database: str) -> list[Any]:
    owner = open_warehouse(url_of(database), ENTITIES)
    found = list(owner.rows("item", 1))
    owner.close()
    return found


def test_a_password_that_is_changed_in_mid_run_stops_nothing(rotation: Rotation, tmp_path: Path) -> None:
    consume(rotation.warehouse, WORK[:2])
    user = rotation.users[0]
    rotation.execute(f"ALTER LOGIN {user} WITH PASSWORD = '{SECOND}'")
    rotation.save(user, SECOND)
    consume(rotation.warehouse, WORK[2:4])  # on the connection that is open
    rotation.end_sessions()
    consume(rotation.warehouse, WORK[4:])
    assert rows(rotation.database) == oracle(tmp_path, WORK)


def test_the_other_of_two_alternating_users_goes_on(rotation: Rotation, tmp_path: Path) -> None:
    consume(rotation.warehouse, WORK[:3])
    rotation.save(rotation.users[1], FIRST)
    rotation.end_sessions()
    rotation.execute(f"ALTER LOGIN {rotation.users[0]} WITH PASSWORD = '{WRONG}'")
    consume(rotation.warehouse, WORK[3:])
    assert rows(rotation.database) == oracle(tmp_path, WORK)
    with rotation.warehouse.engine.connect() as connection:
        name = connection.exec_driver_sql("SELECT SUSER_SNAME()").scalar_one()
    assert name == rotation.users[1]


def test_a_secret_that_lags_behind_the_password_stops_batches_until_it_is_right(
    rotation: Rotation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS changes the password first."""
    monkeypatch.setattr("consumers.warehouse.mssql.login.PAUSE_SECONDS", 0.0)
    consume(rotation.warehouse, WORK[:3])
    user = rotation.users[0]
    rotation.execute(f"ALTER LOGIN {user} WITH PASSWORD = '{SECOND}'")
    rotation.end_sessions()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="18456") as caught:
            consume(rotation.warehouse, WORK[3:])
        assert FIRST not in str(caught.value)
    rotation.save(user, SECOND)
    consume(rotation.warehouse, WORK[3:])
    assert rows(rotation.database) == oracle(tmp_path, WORK)
