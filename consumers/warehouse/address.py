"""Where the warehouse is: a URL, which holds a password, from where no other process sees it."""

from collections.abc import Callable, Mapping

import boto3
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError

URL = "HEADWATER_WAREHOUSE"
PASSWORD = "HEADWATER_WAREHOUSE_PASSWORD"
SECRET = "HEADWATER_WAREHOUSE_SECRET"


def read_secret(name: str) -> str:
    """The text of a secret of AWS Secrets Manager. Raises ConfigurationError, TransientError."""
    with aws_errors(f"GetSecretValue of {name}"):
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=name)
    if "SecretString" not in answer:
        raise ConfigurationError(f"the secret {name} is binary: it is to be the warehouse's URL as text")
    return str(answer["SecretString"]).strip()


def warehouse_url(environ: Mapping[str, str], secret: Callable[[str], str] = read_secret) -> str | None:
    """The warehouse's URL: HEADWATER_WAREHOUSE, or what the secret HEADWATER_WAREHOUSE_SECRET holds.

    None where the environment names neither. Raises what `read_secret` raises.
    """
    if environ.get(URL):
        return environ[URL]
    return secret(environ[SECRET]) if environ.get(SECRET) else None


def from_command_line(url: str, environ: Mapping[str, str]) -> str:
    """The URL of `--warehouse`, with the password of HEADWATER_WAREHOUSE_PASSWORD where it names a user.

    Raises ConfigurationError for one with a password: everybody on the machine can read a command line.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        return url  # refused where it is opened
    if parsed.password is not None:
        raise ConfigurationError(
            f"--warehouse with a password is seen by all: set {PASSWORD} instead, or use {URL}"
        )
    if parsed.username and environ.get(PASSWORD):
        return parsed.set(password=environ[PASSWORD]).render_as_string(hide_password=False)
    return url


def shows_password(url: str) -> bool:
    """Whether this is not to be printed."""
    try:
        return make_url(url).password is not None
    except ArgumentError:
        return True
