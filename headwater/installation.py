"""What a command works with: settings, entities, and on demand AWS and the warehouse."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.settings import Settings, read_settings
from schemas.entity import Catalog
from schemas.loader import load_catalog

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

    def warehouse(self) -> Warehouse:
        """The warehouse, with what it lacks made. Raises ConfigurationError, TransientError."""
        from consumers.warehouse.sqlite import open_warehouse

        warehouse = open_warehouse(self.settings.require_warehouse(), self.catalog.entities.values())
        warehouse.ensure()
        return warehouse


def load() -> Installation:
    """The installation of this process's environment. Raises ConfigurationError."""
    settings = read_settings(os.environ)
    return Installation(settings, load_catalog(settings.home))
