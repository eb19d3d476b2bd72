"""The warehouse's login as RDS keeps it: every password survives, and no error shows a part of it."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from consumers.warehouse.address import secret_url, url_reader
from consumers.warehouse.engines import engine_of, open_warehouse
from schemas.errors import ConfigurationError
from schemas.settings import Settings, environment, read_settings

SECRET = "w0rdOfMine"
LOGIN = {"username": "headwater", "password": SECRET}
WHERE = Settings(warehouse_host="db.example", warehouse_database="warehouse")
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def url_of(login: dict[str, Any], settings: Settings = WHERE) -> Any:
    return make_url(secret_url(json.dumps(login), settings))


@given(user=texts, password=texts, database=texts)
def test_any_user_password_and_database_survive(user: str, password: str, database: str) -> None:
    login = {"username": user, "password": password, "dbname": database}
    text = secret_url(json.dumps(login), Settings(warehouse_host="db.example:1444"))
    engine = open_warehouse(text, ()).engine  # type: ignore[attr-defined]
    _, arguments = engine.dialect.create_connect_args(engine.url)
    assert arguments == {
        "host": "db.example:1444",
        "user": user,
        "password": password,
        "database": database,
        "encryption": "require",
    }


def test_the_environment_says_where_the_server_is() -> None:
    url = url_of({**LOGIN, "engine": "sqlserver", "host": "old.example", "port": 1555, "dbname": "old"})
    assert (url.host, url.port, url.database) == ("db.example", None, "warehouse")
    assert url_of(LOGIN, Settings(warehouse_host="h:1444", warehouse_database="d")).port == 1444


@pytest.mark.parametrize("port", [1555, "1555"])
def test_else_the_login_says_it(port: int | str) -> None:
    url = url_of({**LOGIN, "host": "db.example", "port": port, "dbname": "warehouse"}, Settings())
    assert (url.host, url.port, url.database) == ("db.example", 1555, "warehouse")
    assert url_of({**LOGIN, "host": "db.example", "dbname": "warehouse"}, Settings()).port is None


def test_encryption_is_required() -> None:
    assert url_of(LOGIN).query == {"encryption": "require"}


def test_a_url_is_used_as_it_is() -> None:
    url = f"mssql+pymssql://u:{SECRET}@h/d"
    assert secret_url(url, WHERE) == url


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        (f'{{"username": "u", "password": "{SECRET}"', WHERE, "neither a URL nor JSON"),
        (f'{{"username": "u", "password": "{SECRET}\\ud800"}}', WHERE, "neither a URL nor JSON"),
        ('{"a":' * 100_000, WHERE, "neither a URL nor JSON"),
        (json.dumps({"password": SECRET}), WHERE, "no text 'username'"),
        (json.dumps({"username": SECRET}), WHERE, "no text 'password'"),
        (json.dumps({"username": SECRET, "password": 1}), WHERE, "no text 'password'"),
        (json.dumps({"username": SECRET, "password": ""}), WHERE, "no text 'password'"),
        (json.dumps(LOGIN), Settings(warehouse_database="d"), "no text 'host'.*HEADWATER_WAREHOUSE_HOST"),
        (json.dumps(LOGIN), Settings(warehouse_host="h"), "no text 'dbname'.*HEADWATER_WAREHOUSE_DATABASE"),
        (json.dumps(LOGIN), Settings(warehouse_host=f"u:{SECRET}@h"), "HEADWATER_WAREHOUSE_HOST is not"),
        (json.dumps(LOGIN), Settings(warehouse_host="h:"), "HEADWATER_WAREHOUSE_HOST is not"),
        (json.dumps({**LOGIN, "host": f"@{SECRET}"}), Settings(), "invalid host or port"),
        (json.dumps({**LOGIN, "host": "h", "port": SECRET}), Settings(), "invalid host or port"),
    ],
)
def test_an_unusable_login_is_a_configuration_error_without_a_part_of_it(
    text: str, settings: Settings, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        secret_url(text, settings)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_the_secret_is_read_with_each_call() -> None:
    secrets = Secrets()
    named = Settings(warehouse_secret="warehouse", warehouse_host="h", warehouse_database="d")
    read = url_reader(named, lambda _service: secrets)
    for password in ("first", "second"):
        secrets.text = json.dumps({**LOGIN, "password": password})
        assert make_url(read()).password == password
    assert engine_of(read()) == "mssql"


class Secrets:
    """Secrets Manager, as far as it is called."""

    text = ""

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        return {"SecretString": self.text}


def test_the_variables_of_the_login() -> None:
    variables = {
        "HEADWATER_WAREHOUSE_SECRET": "s",
        "HEADWATER_WAREHOUSE_HOST": "h:1444",
        "HEADWATER_WAREHOUSE_DATABASE": "d",
    }
    settings = read_settings(variables)
    assert settings == Settings(warehouse_secret="s", warehouse_host="h:1444", warehouse_database="d")
    assert environment(settings) == variables
