"""Arguments that name entities and the folder of their files."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from schemas.catalog.entity import Entity
from schemas.catalog.loader import entities_of, entity_folder, entity_folders, read_entity
from schemas.errors import ConfigurationError
from schemas.settings import Settings


def add_home(parser: argparse.ArgumentParser) -> None:
    """Add the option `--home`."""
    parser.add_argument(
        "--home", type=Path, metavar="HOME", help="the folder that holds entities/ (HEADWATER_HOME)"
    )


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings of the command, with the home folder of `--home` if given."""
    settings: Settings = options.settings
    return replace(settings, home=options.home) if options.home else settings


def home_option(options: argparse.Namespace) -> str:
    """Return ` --home HOME` for a command to copy into a shell, or "" if the environment names the folder."""
    return f" --home {shlex.quote(str(options.home))}" if options.home else ""


def folders_of(home: Path | None, names: Iterable[str]) -> list[Path]:
    """Return the folders of these entities, or of all if `names` is empty. Raises ConfigurationError."""
    return [entity_folder(home, name) for name in names] or entity_folders(entities_of(home))


def named_entity(options: argparse.Namespace) -> tuple[Path, Entity]:
    """Return folder and entity of the command line, without checking them. Raises ConfigurationError."""
    folder = entity_folder(settings_of(options).home, options.entity)
    return folder, read_entity(folder)


def at_version(entity: Entity, version: int) -> Entity:
    """Return the entity as it was when this version was the newest. Raises ConfigurationError."""
    if not 1 <= version <= len(entity.versions):
        raise ConfigurationError(
            f"entity {entity.name}: found version {version}; allowed: 1 to {len(entity.versions)}"
        )
    return entity.until(entity.versions[version - 1].fingerprint)
