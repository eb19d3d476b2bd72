"""Construction of the parts that the Lambda functions of the reporting account share."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from consumers.aws_clients import aws_clients
from consumers.warehouse.engines import warehouse_of
from consumers.warehouse.port import Warehouse
from schemas.aws_errors import silence_botocore_bodies
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.settings import Settings, read_settings


class Wiring(NamedTuple):
    """The parts of a function. `client` creates a client of an AWS service by its name."""

    settings: Settings
    catalog: Catalog
    warehouse: Warehouse
    client: Callable[[str], Any]


class LateClient:
    """A client of an AWS service that `create` makes at its first use. Not for more than one thread."""

    def __init__(self, create: Callable[[], Any]) -> None:
        self._client = cache(create)

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client(), operation)


def wire(settings: Settings, client: Callable[[str], Any] | None = None) -> Wiring:
    """Build the parts for these settings. Raises ConfigurationError and TransientError.

    `client` creates a client of an AWS service by its name (default: consumers/aws_clients.py).
    """
    silence_botocore_bodies()  # at DEBUG level botocore logs request bodies, which hold field values (INV-7)
    catalog = load_catalog(settings.home)
    client = client or aws_clients(settings)
    warehouse = warehouse_of(settings, catalog.entities.values(), client)
    return Wiring(settings, catalog, warehouse, client)


def wire_from_environment() -> Wiring:
    """Build the parts of a Lambda function from its environment (schemas/settings.py)."""
    return wire(read_settings(os.environ))
