"""The parts of an installation that a command uses: settings, entities, AWS and the warehouse."""

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
    """Settings and the entities that they name. AWS and the warehouse are opened on demand."""

    settings: Settings
    catalog: Catalog

    def aws(self) -> Aws:
        """Create clients for the environment's endpoint. Raises ConfigurationError."""
        from headwater.aws import connect

        return connect(settings=self.settings)

    @contextmanager
    def warehouse(self) -> Iterator[Warehouse]:
        """Open an existing warehouse; close it on leaving. Raises ConfigurationError."""
        from consumers.warehouse.engines import sqlite_file
        from consumers.warehouse.urls import printable_url

        url = self.settings.warehouse
        file = sqlite_file(url) if url else None
        if url and file and not file.is_file():  # SQLite would create an empty one
            raise ConfigurationError(
                f"there is no warehouse at {printable_url(url)}: start `headwater up` and run the `export` "
                "lines it prints"
            )
        with self.new_warehouse() as warehouse:
            yield warehouse

    @contextmanager
    def new_warehouse(self) -> Iterator[Warehouse]:
        """Open the warehouse, which may not exist yet; close it on leaving. Raises ConfigurationError."""
        from consumers.warehouse.engines import warehouse_of

        with closing(warehouse_of(self.settings, self.catalog.entities.values())) as warehouse:
            yield warehouse


def load(settings: Settings | None = None) -> Installation:
    """Load the installation of these settings, by default the environment's. Raises ConfigurationError."""
    settings = settings or read_settings(os.environ)
    return Installation(settings, load_catalog(settings.home))
