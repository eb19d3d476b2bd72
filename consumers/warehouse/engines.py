"""The table of warehouse engines, by the backend name of a URL."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import boto3

from consumers.warehouse.address import url_reader
from consumers.warehouse.mssql import warehouse as mssql
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite import warehouse as sqlite
from consumers.warehouse.urls import backend_name, parse_url
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.settings import Settings

# The key is SQLAlchemy's backend name, the part of the scheme before "+".
_ENGINES: dict[str, Callable[[str, Iterable[Entity]], Warehouse]] = {
    "sqlite": sqlite.open_warehouse,
    "mssql": mssql.open_warehouse,
}


def open_warehouse(url: str, entities: Iterable[Entity]) -> Warehouse:
    """Return the warehouse at an SQLAlchemy URL, without connecting to it yet.

    `sqlite:////absolute/path.db`, or `mssql+pymssql://user:password@host:1433/database`. Raises
    ConfigurationError, which never shows the URL because it contains a password.
    """
    return _ENGINES[engine_of(url)](url, entities)


def warehouse_of(
    settings: Settings, entities: Iterable[Entity], client: Callable[..., Any] = boto3.client
) -> Warehouse:
    """Return the warehouse that the settings name, without connecting to it yet.

    If its URL is in a secret, the secret is read again when the server refuses the login: its rotation needs
    no restart. `client` creates a client of an AWS service. Raises what `open_warehouse` and `warehouse_url`
    raise.
    """
    read = url_reader(settings, client)
    url = read()
    if settings.warehouse is None and engine_of(url) == "mssql":
        return mssql.open_warehouse(url, entities, read_again=read)
    return open_warehouse(url, entities)


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite warehouse, or None for another engine. Raises ConfigurationError."""
    return Path(parse_url(url).database or "") if engine_of(url) == "sqlite" else None


def engine_of(url: str) -> str:
    """Return "sqlite" or "mssql". Raises ConfigurationError."""
    parsed = parse_url(url)
    name = parsed.get_backend_name()
    if name not in _ENGINES:
        raise ConfigurationError(
            f"no warehouse engine for {backend_name(parsed)}; there are: {', '.join(_ENGINES)}"
        )
    return name
