"""What a command works with: settings, entities, and on demand AWS and the warehouse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError
from schemas.settings import Settings, read_settings

if TYPE_CHECKING:
    from consumers.warehouse.port import Warehouse
    from headwater.aws import Aws


@dataclass(frozen=True, slots=True)
class Installation:
    """One set of names and entities."""

    settings: Settings
    catalog: Catalog

    def aws(self) -> Aws:
        """Clients for the environment's endpoint. Raises ConfigurationError."""
        from headwater.aws import connect

        return connect()

    @contextmanager
    def warehouse(self) -> Iterator[Warehouse]:
        """The warehouse, which the consumer has made; closed on leaving. Raises ConfigurationError."""
        from consumers.warehouse.address import warehouse_url
        from consumers.warehouse.engines import sqlite_file
        from consumers.warehouse.urls import printable_url

        url = warehouse_url(self.settings)
        file = sqlite_file(url)
        if file is not None and not file.is_file():  # SQLite would make an empty one
            raise ConfigurationError(
                f"there is no warehouse at {printable_url(url)}: start `headwater up` and run the `export` "
                "lines it prints"
            )
        with self.new_warehouse() as warehouse:
            yield warehouse

    @contextmanager
    def new_warehouse(self) -> Iterator[Warehouse]:
        """The warehouse, which may not have been made; closed on leaving. Raises ConfigurationError."""
        from consumers.warehouse.address import warehouse_url
        from consumers.warehouse.engines import open_warehouse

        url = warehouse_url(self.settings)
        with closing(open_warehouse(url, self.catalog.entities.values())) as warehouse:
            yield warehouse


def load(settings: Settings | None = None) -> Installation:
    """The installation of these settings, by default of the environment's. Raises ConfigurationError."""
    settings = settings or read_settings(os.environ)
    return Installation(settings, load_catalog(settings.home))
