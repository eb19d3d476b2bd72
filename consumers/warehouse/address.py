"""The warehouse's URL, from the environment, a secret or the command line.

The URL contains a password, so none of these ways shows it to other processes or users.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import botocore.session
import sqlalchemy

from consumers.warehouse.urls import has_secret, parse_url
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.settings import Settings, not_set

URL = "HEADWATER_WAREHOUSE"
PASSWORD = "HEADWATER_WAREHOUSE_PASSWORD"
SECRET = "HEADWATER_WAREHOUSE_SECRET"
HOST = "HEADWATER_WAREHOUSE_HOST"
DATABASE = "HEADWATER_WAREHOUSE_DATABASE"

# A name (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html) or an ARN. The
# lookahead rejects a URL that was put into the wrong variable, before it reaches AWS or an error.
_SECRET_NAME = re.compile(r"(?!.*://)[A-Za-z0-9/_+=.@:-]{1,2048}")
_SERVER = re.compile(r"(?P<host>[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")


def url_reader(settings: Settings, client: Callable[..., Any] | None = None) -> Callable[[], str]:
    """Return a function that returns the warehouse's URL, and reads a secret again with each call.

    The function raises what `secret_reader` and `secret_url` raise. Raises ConfigurationError if the settings
    name no warehouse, or a secret by an impossible name.
    """
    if settings.warehouse is not None:
        url = settings.warehouse
        return lambda: url
    if settings.warehouse_secret is None:
        raise not_set(URL)
    read = secret_reader(settings.warehouse_secret, client)
    return lambda: secret_url(read(), settings)


def warehouse_url(settings: Settings) -> str:
    """Return the warehouse's URL, from the settings or from the secret that they name.

    Raises what `url_reader` and its function raise.
    """
    return url_reader(settings)()


def secret_reader(name: str, client: Callable[..., Any] | None = None) -> Callable[[], str]:
    """Return a function that returns the text of a secret as it is when called.

    `client` creates a client of an AWS service (default: with the process's credentials). The function
    raises ConfigurationError and TransientError. Raises ConfigurationError for what can't be a name.
    """
    if not _SECRET_NAME.fullmatch(name):
        raise ConfigurationError(f"{SECRET} is not the name of a secret; the URL itself belongs in {URL}")
    doing = f"GetSecretValue of {name}"
    with aws_errors(doing):
        client = client or botocore.session.get_session().create_client
        # Here, before there are threads: creation is not thread-safe.
        secrets: Any = client("secretsmanager")

    def read() -> str:
        with aws_errors(doing):
            answer = secrets.get_secret_value(SecretId=name)
        if "SecretString" not in answer:
            raise ConfigurationError(f"the secret {name} is binary: store the warehouse's URL as text")
        return str(answer["SecretString"]).strip()

    return read


def secret_url(text: str, settings: Settings) -> str:
    """Return the URL that a secret contains, or that its login belongs to.

    A login is JSON with `username` and `password`, as RDS keeps it. Server and database are those of the
    settings, or else `host`, `port` and `dbname` of the JSON. Encryption is required. Raises
    ConfigurationError, which shows no part of the secret.
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    """
    if not text.startswith("{"):
        return text
    login = _login(text)
    host, port = _server(login, settings.warehouse_host)
    url = sqlalchemy.URL.create(
        "mssql+pymssql",
        username=_text_of(login, "username"),
        password=_text_of(login, "password"),
        host=host,
        port=port,
        database=settings.warehouse_database or _text_of(login, "dbname", f"or set {DATABASE}"),
        query={"encryption": "require"},
    )
    return url.render_as_string(hide_password=False)


def _login(text: str) -> Mapping[str, Any]:
    try:
        # A lone surrogate, which JSON can express, has no form in a URL.
        login: Mapping[str, Any] = json.loads(text)
        json.dumps(login, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        # `from None`: the parser's error contains the whole text.
        raise _unusable("is neither a URL nor JSON that can be read") from None
    return login


def _server(login: Mapping[str, Any], configured: str | None) -> tuple[str, int | None]:
    """Return host and port. The port of the JSON belongs to the host of the JSON."""
    if configured is not None:
        server, error = configured, ConfigurationError(f"{HOST} is not a host, or host:port")
    else:
        host, port = _text_of(login, "host", f"or set {HOST}"), login.get("port")
        server = host if port is None else f"{host}:{port}"
        error = _unusable("has an invalid host or port")
    match = _SERVER.fullmatch(server)
    if match is None:
        raise error
    return match["host"], int(match["port"]) if match["port"] else None


def _text_of(login: Mapping[str, Any], name: str, otherwise: str = "") -> str:
    value = login.get(name)
    if not (isinstance(value, str) and value):
        raise _unusable(f"has no text {name!r}{otherwise and f': add it, {otherwise}'}")
    return value


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(f"the secret that {SECRET} names {why}")


def from_command_line(url: str, environ: Mapping[str, str]) -> str:
    """Return the URL of `--warehouse`, completed with HEADWATER_WAREHOUSE_PASSWORD if it names a user.

    Raises ConfigurationError, which shows no part of the URL, if it is malformed or contains a password:
    every user of the machine can read the command lines of its processes.
    """
    parsed = parse_url(url)
    if has_secret(url):
        raise ConfigurationError(
            f"--warehouse with a password is seen by all: set {PASSWORD} instead, or use {URL}"
        )
    if parsed.username and environ.get(PASSWORD):
        return parsed.set(password=environ[PASSWORD]).render_as_string(hide_password=False)
    return url


def shows_password(url: str) -> bool:
    """Return whether a URL may contain a password and must not be printed."""
    return has_secret(url)
