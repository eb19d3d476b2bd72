"""The warehouse's URL, from the environment, a secret or the command line.

The URL contains a password, so none of these ways shows it to other processes or users.
"""

from collections.abc import Callable, Mapping
from typing import Any

import boto3

from consumers.warehouse.secret import secret_reader, secret_url
from consumers.warehouse.urls import has_secret, parse_url
from schemas.errors import ConfigurationError
from schemas.settings import Settings, not_set

URL = "HEADWATER_WAREHOUSE"
PASSWORD = "HEADWATER_WAREHOUSE_PASSWORD"


def url_reader(settings: Settings, client: Callable[..., Any] = boto3.client) -> Callable[[], str]:
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
