"""The table of warehouse engines, by the backend name of a URL."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from consumers.warehouse.address import url_reader
from consumers.warehouse.port import Warehouse
from consumers.warehouse.urls import backend_name, parse_url
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.settings import Settings


def _open_sqlite(url: str, entities: Iterable[Entity]) -> Warehouse:
    from consumers.warehouse.sqlite.warehouse import open_warehouse as open_sqlite

    return open_sqlite(url, entities)


def _open_mssql(
    url: str, entities: Iterable[Entity], read_again: Callable[[], str] | None = None
) -> Warehouse:
    from consumers.warehouse.mssql.warehouse import open_warehouse as open_mssql

    return open_mssql(url, entities, read_again=read_again)


# The key is SQLAlchemy's backend name, the part of the scheme before "+". Each imports its engine when it is
# used: a cold start of a Lambda function needs one.
_ENGINES: dict[str, Callable[[str, Iterable[Entity]], Warehouse]] = {
    "sqlite": _open_sqlite,
    "mssql": _open_mssql,
}


def open_warehouse(url: str, entities: Iterable[Entity]) -> Warehouse:
    """Return the warehouse at an SQLAlchemy URL, without connecting to it yet.

    `sqlite:////absolute/path.db`, or `mssql+pymssql://user:password@host:1433/database`. Raises
    ConfigurationError, which never shows the URL because it contains a password.
    """
    return _ENGINES[engine_of(url)](url, entities)


def warehouse_of(
    settings: Settings, entities: Iterable[Entity], client: Callable[..., Any] | None = None
) -> Warehouse:
    """Return the warehouse that the settings name, without connecting to it yet.

    If its URL is in a secret, the secret is read again when the server refuses the login: its rotation needs
    no restart. `client` creates a client of an AWS service. Raises what `open_warehouse` and `warehouse_url`
    raise.
    """
    read = url_reader(settings, client)
    url = read()
    if settings.warehouse is None and engine_of(url) == "mssql":
        return _open_mssql(url, entities, read)
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
