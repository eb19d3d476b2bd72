"""Which versions of a schema are published: their fingerprints, recorded beside them for ever."""

import json
from pathlib import Path

from schemas.entity import Entity
from schemas.errors import ConfigurationError
from schemas.refusals import refused

PUBLISHED = "published.json"


def read_published(folder: Path) -> dict[str, str]:
    """File name to fingerprint in hex, of the versions that are published. Raises ConfigurationError."""
    file = folder / PUBLISHED
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_bytes())
    except ValueError:
        raise ConfigurationError(f"{PUBLISHED}: not JSON") from None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise refused(PUBLISHED, found, "an object of a fingerprint by file")
    return found


def check_published(folder: Path, entity: Entity) -> None:
    """Raises ConfigurationError for a published version that was changed or taken away since."""
    now = fingerprints(entity)
    for file, fingerprint in read_published(folder).items():
        if now.get(file) != fingerprint:
            found = "is not there" if file not in now else f"was changed: its fingerprint is {now[file]}"
            raise ConfigurationError(
                f"{file}: is published as {fingerprint} and {found}; allowed: the file and the entity's key "
                f"as they were: a change is a new version, v{len(now) + 1}.avsc"
            )


def publish(folder: Path, entity: Entity) -> None:
    """Record all versions that there are. Raises ConfigurationError as `check_published` does."""
    check_published(folder, entity)
    text = json.dumps(fingerprints(entity), indent=2) + "\n"
    (folder / PUBLISHED).write_text(text, encoding="utf-8")


def fingerprints(entity: Entity) -> dict[str, str]:
    """File name to fingerprint in hex, of all versions."""
    return {f"v{schema.version}.avsc": schema.fingerprint.hex() for schema in entity.versions}
