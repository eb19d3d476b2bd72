"""Which engine a URL names: the one place that knows."""

from collections.abc import Callable, Iterable
from pathlib import Path

from consumers.warehouse.mssql import warehouse as mssql
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite import warehouse as sqlite
from consumers.warehouse.urls import named, parse_url
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError

_ENGINES: dict[str, Callable[[str, Iterable[Entity]], Warehouse]] = {
    "sqlite": sqlite.open_warehouse,
    "mssql": mssql.open_warehouse,
}


def open_warehouse(url: str, entities: Iterable[Entity]) -> Warehouse:
    """The warehouse at an SQLAlchemy URL: `sqlite:////absolute/path.db`,
    `mssql+pymssql://user:password@host:1433/database`. Opens nothing yet.

    Raises ConfigurationError, which never shows the URL: it holds a password.
    """
    return _ENGINES[engine_of(url)](url, entities)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite warehouse; None for another engine. Raises ConfigurationError."""
    return Path(parse_url(url).database or "") if engine_of(url) == "sqlite" else None


def engine_of(url: str) -> str:
    """ "sqlite" or "mssql". Raises ConfigurationError."""
    parsed = parse_url(url)
    name = parsed.get_backend_name()
    if name not in _ENGINES:
        raise ConfigurationError(f"no warehouse engine for {named(parsed)}; there are: {', '.join(_ENGINES)}")
    return name
