"""The record of what is published of an entity, in published.json beside its files.

It contains the fingerprints of the versions, and the settings of sources that decide keys and positions.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.catalog.entity import Entity
from schemas.catalog.files import naming, read_json
from schemas.catalog.source_settings import changes, recorded
from schemas.errors import ConfigurationError
from schemas.evolution.rules import Category
from schemas.refusals import refused

PUBLISHED = "published.json"
ALLOWED = "an object of a fingerprint by file"


def read_published(folder: Path) -> dict[str, str]:
    """Return the published versions and settings.

    A version maps a file name to a fingerprint in hex, a setting maps `<source> <setting>` to its value.
    Entities that were published before settings were recorded have none. Raises ConfigurationError that names
    the file.
    """
    file = folder / PUBLISHED
    if not file.exists():
        return {}
    with naming(file):
        record = read_json(file, "published versions", ALLOWED)
        if not all(isinstance(value, str) for value in record.values()):
            raise refused("published versions", record, ALLOWED)
    return record


def changed_versions(entity: Entity, published: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the published versions that were changed or removed since: file, and the text of the error."""
    current = fingerprints(entity)
    versions = {name: text for name, text in published.items() if name.endswith(".avsc")}
    new = max(len(current), len(versions)) + 1
    for file, fingerprint in versions.items():
        if current.get(file) != fingerprint:
            # The key is part of the fingerprint, so a change of the key changes every version.
            fault = (
                "is missing" if file not in current else f"was changed: its fingerprint is {current[file]}"
            )
            yield (
                file,
                f"{file}: is published as {fingerprint} and {fault}; allowed: the file and the entity's key "
                f"as they were published: a change is a new version, v{new}.avsc",
            )


def publish(folder: Path, entity: Entity) -> None:
    """Record all versions and the settings of their sources, all or none.

    Raises ConfigurationError for a change that is not allowed, and if the folder cannot be written.
    """
    published = read_published(folder)
    for _, sentence in changed_versions(entity, published):
        raise ConfigurationError(sentence)
    for change in changes(entity, published):
        if change.rule.category is Category.REFUSED:
            raise ConfigurationError(f"entity.toml, {change.sentence}")
    text = json.dumps(to_publish(entity, published), indent=2) + "\n"
    file = folder / PUBLISHED
    temporary = file.with_name(f".{PUBLISHED}")
    # A rename is atomic: no reader sees an incomplete record.
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error


def to_publish(entity: Entity, published: Mapping[str, str]) -> dict[str, str]:
    """Return the content of published.json once the entity is published in its present state."""
    return {**fingerprints(entity), **recorded(entity, published)}


def fingerprints(entity: Entity) -> dict[str, str]:
    """Return the fingerprints of all versions in hex, by file name."""
    return {f"v{schema.version}.avsc": schema.fingerprint.hex() for schema in entity.versions}
