"""What is published of an entity, recorded beside it for ever: the fingerprints of its versions, and the
settings of its sources that decide keys and positions."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.catalog.entity import Entity
from schemas.catalog.files import read_json
from schemas.catalog.source_settings import changes, recorded
from schemas.errors import ConfigurationError
from schemas.evolution.rules import Category
from schemas.refusals import refused

PUBLISHED = "published.json"
ALLOWED = "an object of a fingerprint by file"


def read_published(folder: Path) -> dict[str, str]:
    """File name to fingerprint in hex, of the versions that are published, and `<source> <setting>` to its
    value. Settings are missing where they were published before they were recorded. Raises
    ConfigurationError that names the file."""
    file = folder / PUBLISHED
    if not file.exists():
        return {}
    try:
        found = read_json(file, "published versions", ALLOWED)
        if not all(isinstance(each, str) for each in found.values()):
            raise refused("published versions", found, ALLOWED)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    return found


def changed_versions(entity: Entity, published: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The published versions that were changed or taken away since: file, and what refuses it."""
    now = fingerprints(entity)
    there = {name: text for name, text in published.items() if name.endswith(".avsc")}
    new = max(len(now), len(there)) + 1
    for file, fingerprint in there.items():
        if now.get(file) != fingerprint:
            found = "is not there" if file not in now else f"was changed: its fingerprint is {now[file]}"
            yield (
                file,
                f"{file}: is published as {fingerprint} and {found}; allowed: the file and the entity's key "
                f"as they were: a change is a new version, v{new}.avsc",
            )


def publish(folder: Path, entity: Entity) -> None:
    """Record all versions that there are and the settings of their sources, all or none. Raises
    ConfigurationError for what may not change and did, and where the folder cannot be written."""
    published = read_published(folder)
    for _, sentence in changed_versions(entity, published):
        raise ConfigurationError(sentence)
    for change in changes(entity, published):
        if change.rule.category is Category.REFUSED:
            raise ConfigurationError(f"entity.toml, {change.sentence}")
    text = json.dumps(to_publish(entity, published), indent=2) + "\n"
    file = folder / PUBLISHED
    made = file.with_name(f".{PUBLISHED}")
    try:
        made.write_text(text, encoding="utf-8")
        made.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error


def to_publish(entity: Entity, published: Mapping[str, str]) -> dict[str, str]:
    """What published.json says once the entity is published as it is."""
    return {**fingerprints(entity), **recorded(entity, published)}


def fingerprints(entity: Entity) -> dict[str, str]:
    """File name to fingerprint in hex, of all versions."""
    return {f"v{schema.version}.avsc": schema.fingerprint.hex() for schema in entity.versions}
