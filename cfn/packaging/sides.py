"""What each package holds: the modules that are run, the extra of pyproject.toml, and the data files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Arch: TypeAlias = str
"""A machine, as Lambda names it."""

ARCHES: tuple[Arch, ...] = ("x86_64", "arm64")


@dataclass(frozen=True, slots=True)
class Side:
    """A package. Its name is also that of its extra in pyproject.toml."""

    name: str
    entries: tuple[str, ...]
    """The modules that are run, such as Lambda's handlers; everything else follows from their imports."""
    warehouse: bool = False
    """It logs in to the warehouse: the CA bundle and freetds.conf belong in it."""
    reports: bool = False
    """It reads the reports."""


FUNCTIONS = (
    Side("producers", ("producers.csv.handler", "producers.dynamodb.handler", "producers.redrive_handler")),
    Side(
        "consumers",
        ("consumers.handler", "consumers.redrive_handler", "consumers.metrics_handler"),
        warehouse=True,
    ),
    Side("refresher", ("consumers.reporting.handler",), warehouse=True, reports=True),
    Side("scheduler", ("headwater.schedule.handler",)),
)
"""Packages of Lambda functions."""

# The command line, for the container image of replay/Dockerfile.
REPLAY = Side("replay", ("headwater.__main__",), warehouse=True, reports=True)

SIDES = (*FUNCTIONS, REPLAY)
