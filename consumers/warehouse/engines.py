"""The table of warehouse engines, by the backend name of a URL."""

from collections.abc import Callable, Iterable
from pathlib import Path

from consumers.warehouse.mssql import warehouse as mssql
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite import warehouse as sqlite
from consumers.warehouse.urls import backend_name, parse_url
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError

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
