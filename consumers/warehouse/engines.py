"""Which engine a URL names: the one place that knows."""

from collections.abc import Iterable

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from consumers.warehouse.mssql import open_mssql
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite import open_sqlite
from schemas.entity import Entity
from schemas.errors import ConfigurationError

_ENGINES = {"sqlite": open_sqlite, "mssql": open_mssql}


def open_warehouse(url: str, entities: Iterable[Entity]) -> Warehouse:
    """The warehouse at an SQLAlchemy URL: `sqlite:////absolute/path.db`,
    `mssql+pymssql://user:password@host:1433/database`. Opens nothing yet.

    Raises ConfigurationError, which never shows the URL: it holds a password.
    """
    return _ENGINES[engine_of(url)](parsed(url), entities)


def engine_of(url: str) -> str:
    """"sqlite" or "mssql". Raises ConfigurationError."""
    name = parsed(url).get_backend_name()
    if name not in _ENGINES:
        raise ConfigurationError(f"no warehouse engine for {name!r}; there are: {', '.join(_ENGINES)}")
    return name


def parsed(url: str) -> URL:
    """The parts of a URL. Raises ConfigurationError."""
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "HEADWATER_WAREHOUSE is not a database URL (sqlite:///path, mssql+pymssql://user:password@host/database)"
        ) from None
