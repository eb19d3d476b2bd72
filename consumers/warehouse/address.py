"""Where the warehouse is: a URL, which holds a password, from where no other process sees it."""

import re
from collections.abc import Callable, Mapping

import boto3

from consumers.warehouse.urls import has_secret, parse_url
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError

URL = "HEADWATER_WAREHOUSE"
PASSWORD = "HEADWATER_WAREHOUSE_PASSWORD"
SECRET = "HEADWATER_WAREHOUSE_SECRET"

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html, or its ARN
_SECRET_NAME = re.compile(r"(?!.*://)[A-Za-z0-9/_+=.@:-]{1,2048}")


def read_secret(name: str) -> str:
    """The text of a secret of AWS Secrets Manager. Raises ConfigurationError, TransientError."""
    if not _SECRET_NAME.fullmatch(name):
        raise ConfigurationError(f"{SECRET} is no name of a secret; the URL itself belongs in {URL}")
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

    Raises ConfigurationError for one with a password, since everybody on the machine can read a command line,
    and for one that can't be read; no part of it is shown.
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
    """Whether this is not to be printed."""
    return has_secret(url)
