"""The warehouse's URL, from the environment, a secret or the command line.

The URL contains a password, so none of these ways shows it to other processes or users.
"""

import re
from collections.abc import Callable, Mapping

import boto3

from consumers.warehouse.urls import has_secret, parse_url
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.settings import Settings, not_set

URL = "HEADWATER_WAREHOUSE"
PASSWORD = "HEADWATER_WAREHOUSE_PASSWORD"
SECRET = "HEADWATER_WAREHOUSE_SECRET"

# A name (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html) or an ARN. The
# lookahead rejects a URL that was put into the wrong variable, before it reaches AWS or an error.
_SECRET_NAME = re.compile(r"(?!.*://)[A-Za-z0-9/_+=.@:-]{1,2048}")


def read_secret(name: str) -> str:
    """Return the text of a secret in AWS Secrets Manager. Raises ConfigurationError, TransientError."""
    if not _SECRET_NAME.fullmatch(name):
        raise ConfigurationError(f"{SECRET} is not the name of a secret; the URL itself belongs in {URL}")
    with aws_errors(f"GetSecretValue of {name}"):
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=name)
    if "SecretString" not in answer:
        raise ConfigurationError(f"the secret {name} is binary: store the warehouse's URL as text")
    return str(answer["SecretString"]).strip()


def warehouse_url(settings: Settings, secret: Callable[[str], str] = read_secret) -> str:
    """The warehouse's URL, from the settings or from the secret that they name.

    Raises ConfigurationError where they name neither, and what `secret` raises.
    """
    if settings.warehouse is not None:
        return settings.warehouse
    if settings.warehouse_secret is not None:
        return secret(settings.warehouse_secret)
    raise not_set(URL)


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
